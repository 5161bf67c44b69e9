import { deprecate } from 'node:util'
import type { MessageEvent, SseOptions, SseOverflow, SsePluginOptions, SseSummary } from '../types/index.ts'
import { FST_SSE_INVALID_OPTION, FST_SSE_UNKNOWN_OPTION } from './errors.ts'
import { preview } from './preview.ts'
import { EMPTY_COMMENT, encodeEnd, encodeFrame, encodeRetry } from './wire/encode.ts'
import type { Serializer } from './wire/encode.ts'
import type { Frame } from './wire/frame.ts'
import type { FastifyRequest } from 'fastify'

/** The options of one stream, checked and merged, with the frames that never change already made. */
export interface ResolvedOptions {
  readonly heartbeat: Heartbeat | null
  /** What goes out with the head: the reconnection time, or an empty comment. */
  readonly firstFrame: Frame
  readonly open: 'immediately' | 'first-event'
  /** For what the source emits: the response schema's, or the option's. */
  readonly serializer: Serializer
  /** For the messages of other options, which no schema describes. */
  readonly optionSerializer: Serializer
  readonly buffer: BufferOptions
  /** Milliseconds. */
  readonly stallTimeout: number
  /** Milliseconds. */
  readonly maxDuration: number | null
  readonly encodeOnce: boolean
  /** The last event when the source completes. */
  readonly endFrame: Frame | null
  readonly lastEventIdQuery: string | null
  readonly onError: SseOptions['onError'] | null
  readonly onOpen: readonly OnOpen[]
  readonly onClose: readonly OnClose[]
  readonly signal: AbortSignal | null
}

type OnOpen = (request: FastifyRequest) => void
type OnClose = (summary: SseSummary, request: FastifyRequest) => void

export interface Heartbeat {
  /** Milliseconds. */
  readonly interval: number
  readonly frame: Frame
}

/** How much may wait for one client, and what happens past it. */
export interface BufferOptions {
  readonly maxBytes: number
  readonly overflow: SseOverflow
}

/** What only the registration decides. */
export interface ServerOptions {
  readonly shutdownRetry: RetryRange | null
  readonly maxConnections: ConnectionLimit | null
}

export interface ConnectionLimit {
  readonly limit: number
  readonly answer: 'retry' | 503
}

/** Random reconnection times for the clients of a server that closes, in milliseconds. */
export type RetryRange = readonly [min: number, max: number]

const DEFAULTS: ResolvedOptions = {
  heartbeat: { interval: 15_000, frame: EMPTY_COMMENT },
  firstFrame: EMPTY_COMMENT,
  open: 'immediately',
  serializer: JSON.stringify,
  optionSerializer: JSON.stringify,
  buffer: { maxBytes: 4 * 1024 * 1024, overflow: 'disconnect' },
  stallTimeout: 30_000,
  maxDuration: null,
  encodeOnce: true,
  endFrame: null,
  lastEventIdQuery: null,
  onError: null,
  onOpen: [],
  onClose: [],
  signal: null
}

/** What browsers wait by default: Chromium and WebKit 3 s, Firefox 5 s. */
const BROWSER_RETRY = 3000

/** setTimeout's longest. */
const MAX_DELAY = 2 ** 31 - 1

/** What Fastify itself puts among a plugin's options. */
const REGISTER_OPTIONS: ReadonlySet<string> = new Set(['prefix', 'logLevel', 'logSerializers'])

/** The options of `app.register()`. Throws `FST_SSE_INVALID_OPTION` and `FST_SSE_UNKNOWN_OPTION`. */
export function resolvePluginOptions (options: SsePluginOptions): { defaults: ResolvedOptions, server: ServerOptions } {
  const { shutdown, maxConnections, ...rest } = options
  const own = Object.fromEntries(Object.entries(rest).filter(([name]) => !REGISTER_OPTIONS.has(name)))
  const server = { shutdownRetry: checkShutdown(shutdown), maxConnections: checkMaxConnections(maxConnections) }
  // Browsers keep the reconnection time that they were last told: where one is told in need, openings tell the usual.
  const tellsRetry = server.shutdownRetry !== null || server.maxConnections?.answer === 'retry'
  const base = tellsRetry ? { ...DEFAULTS, firstFrame: encodeRetry(BROWSER_RETRY) } : DEFAULTS
  return { defaults: resolveOptions(base, own, [...Object.keys(CHECKS), 'maxConnections', 'shutdown']), server }
}

/** `options` over `base`. Throws `FST_SSE_INVALID_OPTION` and `FST_SSE_UNKNOWN_OPTION`. */
export function resolveOptions (
  base: ResolvedOptions, options: SseOptions | undefined, known: readonly string[] = Object.keys(CHECKS)
): ResolvedOptions {
  if (options === undefined) return base
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid('options', 'an object', options)
  }

  const given: Given = {}
  const serializer = checkFunction<Serializer>('serializer', options.serializer) ?? base.optionSerializer
  for (const [name, value] of Object.entries(options)) {
    const check = CHECKS[name as keyof SseOptions]
    if (!Object.hasOwn(CHECKS, name)) throw unknown(name, known)
    if (value !== undefined) Object.assign(given, check(value, base, serializer))
  }
  return { ...base, ...given }
}

type Given = { [K in keyof ResolvedOptions]?: ResolvedOptions[K] }

type Check = (value: unknown, base: ResolvedOptions, serializer: Serializer) => Given

const CHECKS: { [K in keyof Required<SseOptions>]: Check } = {
  heartbeat: (value, _base, serializer) => ({ heartbeat: checkHeartbeat(value, serializer) }),
  retry: (value) => ({ firstFrame: encodeRetry(checkMilliseconds('retry', value, 0, Number.MAX_SAFE_INTEGER)) }),
  open: (value) => {
    if (value !== 'immediately' && value !== 'first-event') {
      throw invalid('open', "'immediately' or 'first-event'", value)
    }
    return { open: value }
  },
  serializer: (_value, _base, serializer) => ({ serializer, optionSerializer: serializer }),
  buffer: (value, base) => ({ buffer: checkBuffer(value, base.buffer) }),
  stallTimeout: (value) => ({ stallTimeout: checkMilliseconds('stallTimeout', value, 1, MAX_DELAY) }),
  maxDuration: (value) => ({
    maxDuration: value === false ? null : checkMilliseconds('maxDuration', value, 1, MAX_DELAY, ', or false')
  }),
  encodeOnce: (value) => ({ encodeOnce: checkBoolean('encodeOnce', value) }),
  share: (value) => {
    warnOfShare()
    return { encodeOnce: checkBoolean('share', value) }
  },
  finite: (value, _base, serializer) => ({ endFrame: checkFinite(value, serializer) }),
  lastEventIdQuery: (value) => {
    if (typeof value !== 'string' || value === '') {
      throw invalid('lastEventIdQuery', 'the name of a query parameter', value)
    }
    return { lastEventIdQuery: value }
  },
  onError: (value) => ({ onError: checkFunction('onError', value) }),
  onOpen: (value, base) => ({ onOpen: [...base.onOpen, checkFunction<OnOpen>('onOpen', value)] }),
  onClose: (value, base) => ({ onClose: [...base.onClose, checkFunction<OnClose>('onClose', value)] }),
  signal: (value) => {
    if (!(value instanceof AbortSignal)) throw invalid('signal', 'an AbortSignal', value)
    return { signal: value }
  }
}

function checkHeartbeat (value: unknown, serializer: Serializer): Heartbeat | null {
  if (value === false) return null
  if (typeof value !== 'object' || value === null) {
    const interval = checkMilliseconds('heartbeat', value, 1, MAX_DELAY, ', false, or { interval, message }')
    return { interval, frame: EMPTY_COMMENT }
  }
  checkMembers('heartbeat', value, ['interval', 'message'])
  const { interval, message } = value as { interval?: unknown, message?: MessageEvent }
  const frame = message === undefined
    ? null
    : encodeOption('heartbeat.message', message, (given) => encodeFrame(given, serializer))
  if (frame === null) throw invalid('heartbeat.message', 'a message with something to send', message)
  return { interval: checkMilliseconds('heartbeat.interval', interval, 1, MAX_DELAY), frame }
}

function checkBuffer (value: unknown, base: BufferOptions): BufferOptions {
  if (typeof value !== 'object' || value === null) throw invalid('buffer', 'an object, { maxBytes, overflow }', value)
  checkMembers('buffer', value, ['maxBytes', 'overflow'])
  const { maxBytes = base.maxBytes, overflow = base.overflow } = value as Partial<BufferOptions>
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    throw invalid('buffer.maxBytes', 'a whole number of bytes from 1', maxBytes)
  }
  if (!isOverflow(overflow)) {
    throw invalid(
      'buffer.overflow', "'disconnect', 'drop-oldest', 'drop-newest', or { latest: message => key }", overflow)
  }
  return { maxBytes, overflow }
}

function isOverflow (value: unknown): value is SseOverflow {
  if (typeof value === 'string') return value === 'disconnect' || value === 'drop-oldest' || value === 'drop-newest'
  return typeof value === 'object' && value !== null && Object.keys(value).join() === 'latest' &&
    typeof (value as { latest: unknown }).latest === 'function'
}

function checkMaxConnections (value: unknown): ConnectionLimit | null {
  if (value === undefined) return null
  const isObject = typeof value === 'object' && value !== null
  const given = (isObject ? value : { limit: value }) as Partial<ConnectionLimit>
  checkMembers('maxConnections', given, ['limit', 'answer'])
  const { limit, answer = 'retry' } = given
  if (!Number.isSafeInteger(limit) || Number(limit) < 0) {
    throw invalid('maxConnections', 'a whole number from 0, or { limit, answer }', value)
  }
  if (answer !== 'retry' && answer !== 503) throw invalid('maxConnections.answer', "'retry' or 503", answer)
  return { limit: Number(limit), answer }
}

function checkFinite (value: unknown, serializer: Serializer): Frame | null {
  if (value === false) return null
  if (value === true) return encodeEnd('end', undefined, serializer)
  if (typeof value !== 'object' || value === null) throw invalid('finite', 'true, false, or { type, data }', value)
  checkMembers('finite', value, ['type', 'data'])
  const { type = 'end', data } = value as { type?: string, data?: unknown }
  return encodeOption('finite', value, () => encodeEnd(type, data, serializer))
}

function checkShutdown (value: unknown): RetryRange | null {
  if (value === undefined) return null
  if (typeof value !== 'object' || value === null) throw invalid('shutdown', 'an object, { retry: [min, max] }', value)
  checkMembers('shutdown', value, ['retry'])
  const { retry } = value as { retry?: unknown }
  if (retry === undefined) return null
  if (!Array.isArray(retry) || retry.length !== 2) {
    throw invalid('shutdown.retry', 'two times in milliseconds, [min, max]', retry)
  }
  const min = checkMilliseconds('shutdown.retry[0]', retry[0], 0, MAX_DELAY)
  return [min, checkMilliseconds('shutdown.retry[1]', retry[1], min, MAX_DELAY)]
}

function checkMilliseconds (option: string, value: unknown, min: number, max: number, orElse = ''): number {
  if (!Number.isSafeInteger(value) || Number(value) < min || Number(value) > max) {
    throw invalid(option, `a whole number of milliseconds from ${min} to ${max}${orElse}`, value)
  }
  return Number(value)
}

/** `share` reads as RxJS's operator, which it is not. */
const warnOfShare = deprecate(() => {}, 'The option "share" is now called "encodeOnce"', 'FST_SSE_DEP001')

function checkBoolean (option: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(option, 'true or false', value)
  return value
}

function checkFunction<F extends Function> (option: string, value: unknown): F {
  if (value !== undefined && typeof value !== 'function') throw invalid(option, 'a function', value)
  return value as F
}

/** Makes a frame of an option's message; what is wrong with it is told with the option's name. */
function encodeOption (option: string, value: unknown, encode: (value: unknown) => Frame | null): Frame | null {
  try {
    return encode(value)
  } catch (error) {
    throw invalid(option, `a message that can be sent (${error instanceof Error ? error.message : preview(error)})`, value)
  }
}

function invalid (option: string, expected: string, value: unknown): Error {
  return new FST_SSE_INVALID_OPTION(option, expected, preview(value))
}

function unknown (option: string, known: readonly string[]): Error {
  return new FST_SSE_UNKNOWN_OPTION(option, option === 'shutdown' || option === 'maxConnections'
    ? 'it is given at registration'
    : `there are ${known.join(', ')}`)
}

/** Throws for a member that an option does not have. */
function checkMembers (option: string, value: object, known: readonly string[]): void {
  for (const name in value) {
    if (!known.includes(name)) throw unknown(`${option}.${name}`, known)
  }
}

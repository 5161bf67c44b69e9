import { deprecate } from 'node:util'
import type { MessageEvent, SseOptions, SseOverflow, SsePluginOptions, SseSummary } from '../types/index.ts'
import {
  MAX_DELAY, checkBoolean, checkChoice, checkCount, checkFunction, checkMembers, checkMilliseconds, checkNames,
  checkSignal, checkText, invalidOption, ownMembers
} from './check.ts'
import { FST_SSE_UNKNOWN_OPTION } from './errors.ts'
import { preview } from './preview.ts'
import { EMPTY_COMMENT, encodeEnd, encodeFrame, encodeRetry } from './wire/encode.ts'
import type { Serializer } from './wire/encode.ts'
import type { Frame } from './wire/frame.ts'
import type { FastifyRequest } from 'fastify'

/** The options of one stream, checked, and merged from registration, route and call. Fixed messages are encoded. */
export interface ResolvedOptions {
  /** The heartbeat of a silent stream, or `null` for none. */
  readonly heartbeat: Heartbeat | null
  /** The frame that is sent with the response headers: the reconnection time, or an empty comment. */
  readonly firstFrame: Frame
  /** The moment at which the response headers are sent. */
  readonly open: 'immediately' | 'first-event'
  /** The serializer for values of the source: that of the route's response schema, or of the option. */
  readonly serializer: Serializer
  /** The serializer for messages that are options themselves (`finite`, `heartbeat`): no schema describes them. */
  readonly optionSerializer: Serializer
  readonly buffer: BufferOptions
  /** The longest time, in milliseconds, that a client may take no bytes while some are pending. */
  readonly stallTimeout: number
  /** The longest duration of the stream, in milliseconds, or `null` for no limit. */
  readonly maxDuration: number | null
  /** Whether a message is encoded once for all connections that get it in one turn of the event loop. */
  readonly encodeOnce: boolean
  /** The frame that is sent when the source completes, or `null` for none. */
  readonly endFrame: Frame | null
  /** The name of the query parameter that replaces a missing `Last-Event-ID` header, or `null` for none. */
  readonly lastEventIdQuery: string | null
  readonly onError: SseOptions['onError'] | null
  /** The callbacks of all levels: those of the registration first, then the route's, then the call's. */
  readonly onOpen: readonly OnOpen[]
  readonly onClose: readonly OnClose[]
  readonly signal: AbortSignal | null
}

type OnOpen = (request: FastifyRequest) => void
type OnClose = (summary: SseSummary, request: FastifyRequest) => void

export interface Heartbeat {
  /** The silence after which the frame is sent, in milliseconds. */
  readonly interval: number
  readonly frame: Frame
}

/** The bound on the frames that are pending for one client, and the policy for those that exceed it. */
export interface BufferOptions {
  /** The bound in bytes, in which each frame counts with its overhead. */
  readonly maxBytes: number
  readonly overflow: SseOverflow
}

/** The options that only `app.register()` takes. */
export interface ServerOptions {
  /** The reconnection times for the clients of a server that closes, or `null` if none are sent. */
  readonly shutdownRetry: RetryRange | null
  /** The limit on open streams, or `null` for no limit. */
  readonly maxConnections: ConnectionLimit | null
}

export interface ConnectionLimit {
  /** The number of streams that may be open at once. */
  readonly limit: number
  /** The answer to a request above the limit: an empty stream with a reconnection time, or status 503. */
  readonly answer: 'retry' | 503
}

/** The range, in milliseconds, from which each client gets a random reconnection time. */
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

/** A browser's own reconnection time, in milliseconds: Chromium and WebKit wait 3 s, Firefox 5 s. */
const BROWSER_RETRY = 3000

/** The options that Fastify itself adds to those of a plugin. */
const FASTIFY_NAMES: ReadonlySet<string> = new Set(['prefix', 'logLevel', 'logSerializers'])

/** The options that a route or a call cannot have. */
const REGISTRATION_NAMES: readonly string[] = ['maxConnections', 'shutdown'] satisfies Array<keyof SsePluginOptions>

/** Checks the options of `app.register()`. Throws `FST_SSE_INVALID_OPTION` and `FST_SSE_UNKNOWN_OPTION`. */
export function resolvePluginOptions (options: SsePluginOptions): { defaults: ResolvedOptions, server: ServerOptions } {
  const { shutdown, maxConnections, ...rest } = ownMembers('options', options)
  const own = Object.fromEntries(Object.entries(rest).filter(([name]) => !FASTIFY_NAMES.has(name)))
  const server = { shutdownRetry: checkShutdown(shutdown), maxConnections: checkMaxConnections(maxConnections) }
  // A browser keeps the last reconnection time that it was sent. Where this server sends unusual ones, each stream
  // therefore begins with the usual one.
  const sendsRetry = server.shutdownRetry !== null || server.maxConnections?.answer === 'retry'
  const base = sendsRetry ? { ...DEFAULTS, firstFrame: encodeRetry(BROWSER_RETRY) } : DEFAULTS
  return { defaults: resolveOptions(base, own, [...NAMES, ...REGISTRATION_NAMES]), server }
}

/**
 * Checks the options of a route or a call, and merges them over `base`. `known` are the names that an error lists.
 * Throws `FST_SSE_INVALID_OPTION` and `FST_SSE_UNKNOWN_OPTION`.
 */
export function resolveOptions (
  base: ResolvedOptions, options: object | undefined, known: readonly string[] = NAMES
): ResolvedOptions {
  if (options === undefined) return base
  const members = ownMembers('options', options)
  renameShare(members)
  const misplaced = REGISTRATION_NAMES.find((name) => name in members)
  if (misplaced !== undefined) throw new FST_SSE_UNKNOWN_OPTION(misplaced, 'it is given at registration')
  checkNames(members, known)

  const changes: Changes = {}
  const serializer = members['serializer'] === undefined
    ? base.optionSerializer
    : checkFunction<Serializer>('serializer', members['serializer'])
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined) Object.assign(changes, CHECKS[name as Name](value, base, serializer))
  }
  return { ...base, ...changes }
}

/** Replaces `share`, the former name of `encodeOnce`, and warns once per process. `encodeOnce` wins over it. */
function renameShare (members: Record<string, unknown>): void {
  const { share } = members
  delete members['share']
  if (share === undefined) return
  warnOfShare()
  const encodeOnce = checkBoolean('share', share)
  if (members['encodeOnce'] === undefined) members['encodeOnce'] = encodeOnce
}

const warnOfShare = deprecate(() => {}, 'The option "share" is now called "encodeOnce"', 'FST_SSE_DEP001')

type Name = Exclude<keyof SseOptions, 'share'>

type Changes = { [K in keyof ResolvedOptions]?: ResolvedOptions[K] }

/**
 * Checks the value of one option and returns what it changes in the resolved options. `serializer` is that of the
 * options which are being checked.
 */
type Check = (value: unknown, base: ResolvedOptions, serializer: Serializer) => Changes

const CHECKS: { readonly [K in Name]: Check } = {
  heartbeat: (value, _base, serializer) => ({ heartbeat: checkHeartbeat(value, serializer) }),
  retry: (value) => ({ firstFrame: encodeRetry(checkMilliseconds('retry', value, 0, Number.MAX_SAFE_INTEGER)) }),
  open: (value) => ({ open: checkChoice('open', value, ['immediately', 'first-event']) }),
  serializer: (_value, _base, serializer) => ({ serializer, optionSerializer: serializer }),
  buffer: (value, base) => ({ buffer: checkBuffer(value, base.buffer) }),
  stallTimeout: (value) => ({ stallTimeout: checkMilliseconds('stallTimeout', value, 1, MAX_DELAY) }),
  maxDuration: (value) => ({
    maxDuration: value === false ? null : checkMilliseconds('maxDuration', value, 1, MAX_DELAY, ', or false')
  }),
  encodeOnce: (value) => ({ encodeOnce: checkBoolean('encodeOnce', value) }),
  finite: (value, _base, serializer) => ({ endFrame: checkFinite(value, serializer) }),
  lastEventIdQuery: (value) => ({
    lastEventIdQuery: checkText('lastEventIdQuery', value, 'the name of a query parameter')
  }),
  onError: (value) => ({ onError: checkFunction('onError', value) }),
  onOpen: (value, base) => ({ onOpen: [...base.onOpen, checkFunction<OnOpen>('onOpen', value)] }),
  onClose: (value, base) => ({ onClose: [...base.onClose, checkFunction<OnClose>('onClose', value)] }),
  signal: (value) => ({ signal: checkSignal('signal', value) })
}

const NAMES: readonly string[] = Object.keys(CHECKS)

function checkHeartbeat (value: unknown, serializer: Serializer): Heartbeat | null {
  if (value === false) return null
  if (typeof value !== 'object' || value === null) {
    const interval = checkMilliseconds('heartbeat', value, 1, MAX_DELAY, ', false, or { interval, message }')
    return { interval, frame: EMPTY_COMMENT }
  }
  const { interval, message } = checkMembers('heartbeat', value, ['interval', 'message'])
  const frame = message === undefined
    ? null
    : encodeOption('heartbeat.message', message, () => encodeFrame(message, serializer))
  if (frame === null) throw invalidOption('heartbeat.message', 'a message with something to send', message)
  return { interval: checkMilliseconds('heartbeat.interval', interval, 1, MAX_DELAY), frame }
}

function checkBuffer (value: unknown, base: BufferOptions): BufferOptions {
  const { maxBytes = base.maxBytes, overflow = base.overflow } =
    checkMembers('buffer', value, ['maxBytes', 'overflow'], 'an object, { maxBytes, overflow }')
  return { maxBytes: checkCount('buffer.maxBytes', maxBytes, 'bytes'), overflow: checkOverflow(overflow) }
}

function checkOverflow (value: unknown): SseOverflow {
  if (value === 'disconnect' || value === 'drop-oldest' || value === 'drop-newest' || isLatest(value)) return value
  throw invalidOption(
    'buffer.overflow', "'disconnect', 'drop-oldest', 'drop-newest', or { latest: message => key }", value)
}

function isLatest (value: unknown): value is { latest (message: MessageEvent): unknown } {
  return typeof value === 'object' && value !== null && Object.keys(value).join() === 'latest' &&
    typeof (value as { latest: unknown }).latest === 'function'
}

function checkMaxConnections (value: unknown): ConnectionLimit | null {
  if (value === undefined) return null
  if (typeof value !== 'object' || value === null) {
    return { limit: checkCount('maxConnections', value, 'streams', 0, ', or { limit, answer }'), answer: 'retry' }
  }
  const { limit, answer = 'retry' } = checkMembers('maxConnections', value, ['limit', 'answer'])
  return {
    limit: checkCount('maxConnections.limit', limit, 'streams', 0),
    answer: checkChoice('maxConnections.answer', answer, ['retry', 503])
  }
}

function checkFinite (value: unknown, serializer: Serializer): Frame | null {
  if (value === false) return null
  if (value === true) return encodeEnd('end', undefined, serializer)
  const { type = 'end', data } = checkMembers('finite', value, ['type', 'data'], 'true, false, or { type, data }')
  return encodeOption('finite', value, () => encodeEnd(type as string, data, serializer))
}

function checkShutdown (value: unknown): RetryRange | null {
  if (value === undefined) return null
  const { retry } = checkMembers('shutdown', value, ['retry'], 'an object, { retry: [min, max] }')
  if (retry === undefined) return null
  if (!Array.isArray(retry) || retry.length !== 2) {
    throw invalidOption('shutdown.retry', 'two times in milliseconds, [min, max]', retry)
  }
  const min = checkMilliseconds('shutdown.retry[0]', retry[0], 0, MAX_DELAY)
  return [min, checkMilliseconds('shutdown.retry[1]', retry[1], min, MAX_DELAY)]
}

/** Encodes the message of an option. If it cannot be sent, the error names the option. */
function encodeOption (option: string, value: unknown, encode: () => Frame | null): Frame | null {
  try {
    return encode()
  } catch (error) {
    const reason = error instanceof Error ? error.message : preview(error)
    throw invalidOption(option, `a message that can be sent (${reason})`, value)
  }
}

import createError from '@fastify/error'

/** An option has a value that it cannot have. */
export const FST_SSE_INVALID_OPTION = createError<[option: string, expected: string, value: string]>(
  'FST_SSE_INVALID_OPTION', 'The option "%s" must be %s; it is %s', 500, TypeError)

/** An option does not exist, or not in the place where it is given. */
export const FST_SSE_UNKNOWN_OPTION = createError<[option: string, hint: string]>(
  'FST_SSE_UNKNOWN_OPTION', 'The option "%s" is not known here; %s', 500, TypeError)

/** The argument of `reply.sse()`, or what a factory or a promise gave, is not a source of events. */
export const FST_SSE_INVALID_SOURCE = createError<[value: string, hint: string]>(
  'FST_SSE_INVALID_SOURCE', '%s is not a source of events; %s', 500, TypeError)

/** A source has emitted a value that is not a message. */
export const FST_SSE_INVALID_MESSAGE = createError<[value: string, hint: string]>(
  'FST_SSE_INVALID_MESSAGE', '%s is not a message; %s', 500, TypeError)

/** A source has emitted a plain object with a key that is none of a message's five fields. */
export const FST_SSE_UNKNOWN_FIELD = createError<[field: string, hint: string]>(
  'FST_SSE_UNKNOWN_FIELD', 'A message has no field "%s"; %s', 500, TypeError)

/** A field of a message has a value that cannot be written. */
export const FST_SSE_INVALID_FIELD = createError<[field: string, expected: string, value: string]>(
  'FST_SSE_INVALID_FIELD', 'The field "%s" of a message must be %s; it is %s', 500, TypeError)

/** A message has the id that is reserved for the end of a finite stream. */
export const FST_SSE_RESERVED_ID = createError<[id: string]>(
  'FST_SSE_RESERVED_ID',
  'The field "id" of a message must not be "%s", which marks the end of a finite stream; use another id',
  500, TypeError)

/** The serializer threw, or returned something else than a string. */
export const FST_SSE_SERIALIZATION = createError<[value: string, reason: string, options?: ErrorOptions]>(
  'FST_SSE_SERIALIZATION', 'The field "data" of a message cannot be serialized, it is %s; %s', 500, TypeError)

/** The source failed with a value that is no `Error`, which `cause` holds. */
export const FST_SSE_SOURCE_FAILED = createError<[value: string, options: ErrorOptions]>(
  'FST_SSE_SOURCE_FAILED',
  'The source of an event stream failed with %s, which is not an Error; throw an Error to give it a status')

/** A client read more slowly than its source emitted: more was pending than `buffer.maxBytes`. */
export const FST_SSE_OVERFLOW = createError<[maxBytes: number]>(
  'FST_SSE_OVERFLOW',
  'More waited for a client than the option "buffer.maxBytes" allows, which is %s; raise it, choose another ' +
  '"buffer.overflow", or give a source that can wait: an iterable instead of an Observable')

/** A client has stopped reading: bytes were pending, and none has left for `stallTimeout`. */
export const FST_SSE_STALLED = createError<[milliseconds: number]>(
  'FST_SSE_STALLED',
  'Bytes waited for a client and none left for longer than the option "stallTimeout" allows, which is %s ms')

/** As many streams are open as `maxConnections` allows. */
export const FST_SSE_MAX_CONNECTIONS = createError<[limit: number]>(
  'FST_SSE_MAX_CONNECTIONS',
  'There are as many event streams as the option "maxConnections" allows, which is %s; try again later', 503)

/** The reply has a content type other than `text/event-stream`. */
export const FST_SSE_CONTENT_TYPE = createError<[value: string]>(
  'FST_SSE_CONTENT_TYPE',
  'The content type of an event stream must be "text/event-stream"; it is %s: remove that header')

/** The reply has a status code that allows no body. */
export const FST_SSE_STATUS_CODE = createError<[value: number]>(
  'FST_SSE_STATUS_CODE', 'An event stream needs a status code that allows a body; %s does not: use 200')

/** The client does not accept event streams, by its `Accept` header. */
export const FST_SSE_NOT_ACCEPTABLE = createError<[accept: string]>(
  'FST_SSE_NOT_ACCEPTABLE', 'The client accepts %s; this route answers with text/event-stream', 406)

/** A route without the option `sse` has answered with an Observable or a generator, which Fastify cannot send. */
export const FST_SSE_NOT_A_STREAM_ROUTE = createError<[value: string]>(
  'FST_SSE_NOT_A_STREAM_ROUTE',
  'The answer is %s, which Fastify cannot send: return it from the handler of a route with the option "sse", or give ' +
  'it to reply.sse(). Routes that were added before the plugin was loaded lack the option: await app.register(…) first',
  500, TypeError)

/** `reply.sse()` was called in an `onSend` hook of the same reply. */
export const FST_SSE_IN_ON_SEND = createError<[]>(
  'FST_SSE_IN_ON_SEND',
  'reply.sse() was called in an onSend hook of its own stream; a hook may put a stream between, but not start another')

/** An event log could not be reached, has not answered in time, or has refused an event; `cause` says why. */
export const FST_SSE_LOG_UNAVAILABLE = createError<[outcome: string, options: ErrorOptions]>(
  'FST_SSE_LOG_UNAVAILABLE', 'An event could not be appended to its log; %s', 503)

/** Fastify lacks something of its inside that this plugin needs. */
export const FST_SSE_UNSUPPORTED_FASTIFY = createError<[version: string, symbol: string, options?: ErrorOptions]>(
  'FST_SSE_UNSUPPORTED_FASTIFY',
  'Fastify %s has no symbol "%s", by which a stream gives way to an error handler. Fastify 5.0.0 to 5.12.8 has it: ' +
  'install one of these, or a newer fastify-rxjs-sse')

/** The plugin is already registered in this scope, or in one around it. */
export const FST_SSE_ALREADY_REGISTERED = createError<[]>(
  'FST_SSE_ALREADY_REGISTERED',
  'fastify-rxjs-sse is already registered in this scope or in one around it; register it once, and give what differs ' +
  'to reply.sse()')

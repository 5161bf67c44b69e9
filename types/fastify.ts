import type {
  ContextConfigDefault, FastifyBaseLogger, FastifySchema as Schema, FastifyTypeProvider, FastifyTypeProviderDefault,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface
} from 'fastify'
import type { SseOptions, SseSource } from './index.ts'
import type { Given } from './message.ts'
import type {
  OnlyWithSse, SseRouteHandler, SseRouteOption, SseRouteOptions, SseSchemaData, SseShorthandOptions
} from './route.ts'

declare module 'fastify' {
  interface RouteShorthandOptions<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    ContextConfig = ContextConfigDefault,
    SchemaCompiler extends Schema = Schema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    /**
     * Streams the source that the handler returns or resolves to, as `reply.sse()` does. An object holds the options of
     * the route's streams; they are checked when the route is added.
     *
     * The handler may still answer by itself, with `reply.send()`. A value that is no source is answered with
     * `FST_SSE_INVALID_SOURCE`, and a client whose `Accept` header refuses `text/event-stream` with
     * `FST_SSE_NOT_ACCEPTABLE` (406).
     *
     * @default false
     * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION`, where the route is added.
     * @example
     * ```ts
     * app.get('/ticks', { sse: true }, () => interval(1000).pipe(map((n) => ({ data: { n } }))))
     * app.get('/prices', { sse: { retry: 1000 } }, async () => prices$)
     * ```
     */
    sse?: SseRouteOption<TypeProvider, SchemaCompiler>
  }

  interface RouteShorthandMethod<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    <RouteGeneric extends RouteGenericInterface = RouteGenericInterface, ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema, Names extends PropertyKey = never>(
      path: string,
      opts: SseShorthandOptions<Names, RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler,
        TypeProvider, Logger>,
      handler: SseRouteHandler<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler,
        TypeProvider, Logger>,
      ...only: OnlyWithSse<Names>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    <RouteGeneric extends RouteGenericInterface = RouteGenericInterface, ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema, Names extends PropertyKey = never>(
      path: string,
      opts: SseShorthandOptions<Names, RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler,
        TypeProvider, Logger> & {
          handler: SseRouteHandler<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig,
            NoInfer<SchemaCompiler>, TypeProvider, Logger>
        },
      ...only: OnlyWithSse<Names>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }

  interface FastifyInstance<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    Logger extends FastifyBaseLogger = FastifyBaseLogger,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault
  > {
    /**
     * The event streams of this server.
     *
     * @example
     * ```ts
     * app.get('/health', async () => ({ streams: app.sse.size }))
     * ```
     */
    sse: {
      /** How many event streams are open. A stream counts from the call of `reply.sse()` until it is over. */
      readonly size: number
    }

    route<RouteGeneric extends RouteGenericInterface = RouteGenericInterface, ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema, Names extends PropertyKey = never>(
      opts: SseRouteOptions<Names, RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler,
        TypeProvider, Logger>,
      ...only: OnlyWithSse<Names>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }

  interface FastifyRequest {
    /**
     * The id of the last event that the client has received: its `Last-Event-ID` header (WHATWG HTML, 9.2.4), decoded
     * as UTF-8. `undefined` if there is none, as in the first request of a browser. A client may send anything.
     *
     * @example
     * ```ts
     * app.get('/orders', (request, reply) => reply.sse(ordersAfter(request.lastEventId)))
     * ```
     */
    readonly lastEventId: string | undefined
  }

  interface FastifyReply<
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    ContextConfig = ContextConfigDefault,
    SchemaCompiler extends Schema = Schema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault
  > {
    /**
     * Answers with a stream of server-sent events (WHATWG HTML, 9.2): subscribes to the source in this call, writes
     * each value that it emits as an event, and ends the response when it completes. `onSend` hooks run as for any
     * reply.
     *
     * When the client closes the connection, or the stream ends in another way, the source is unsubscribed from in the
     * same turn of the event loop.
     *
     * If a client reads slowly, a source that can wait (an iterable, a stream of objects, an event log) is pulled more
     * slowly. The values of an Observable, which cannot wait, are held for the client up to `buffer.maxBytes`;
     * `buffer.overflow` says what happens beyond that.
     *
     * If the source fails before the response headers are sent, the error handler answers. If it fails later, the error
     * is logged, the event of `onError` is sent, and the connection is broken. Nothing of this is thrown here.
     *
     * @template T The type of `data`, or that of the messages (`SseEvents<{ tick: Tick }>`), which the source is
     * checked against. By default it is what a type provider makes of the response schema for `text/event-stream`.
     * @param source What is streamed: an Observable, a promise, an iterable, a stream of objects, an event log, or a
     * function that makes one of these.
     * @param options Options of this stream, which win over those of the route and of the registration.
     * @returns The reply, for a handler to return. A handler that does not return it does no harm.
     * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION` if an option is wrong.
     * @throws `FST_SSE_INVALID_SOURCE` if `source` cannot be streamed.
     * @throws `FST_SSE_CONTENT_TYPE`, `FST_SSE_STATUS_CODE` if the reply has a content type or a status code that an
     * event stream cannot have.
     * @throws `FST_SSE_IN_ON_SEND` if it is called in an `onSend` hook of the same reply.
     * @example
     * ```ts
     * app.get('/ticks', (request, reply) => reply.sse(interval(1000).pipe(map((n) => ({ data: { n } })))))
     * ```
     */
    sse<T = SseSchemaData<TypeProvider, SchemaCompiler>> (source: SseSource<Given<T>>, options?: SseOptions): this
  }
}

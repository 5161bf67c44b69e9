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
     * What the handler returns, or resolves to, is a source, and is streamed as by `reply.sse()`. Options given here
     * are those of the route's streams.
     * @default false
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
    sse: {
      /** How many event streams are open. */
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
    /** The `Last-Event-ID` header, decoded. */
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
     * Answers with a stream of server-sent events: subscribes to the source, writes each value, and unsubscribes in
     * the turn in which the client leaves. `onSend` hooks run as for any reply.
     *
     * What the source does never throws here: a failure before the head has left is answered by the error handler.
     *
     * `T` is the type of `data`, or that of the messages (`SseEvents<{ tick: Tick }>`), and is held against the source;
     * where it is not given, it is what a type provider makes of the response schema for `text/event-stream`.
     *
     * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION`, `FST_SSE_INVALID_SOURCE`, `FST_SSE_CONTENT_TYPE`,
     * `FST_SSE_STATUS_CODE`: what was given cannot make a stream.
     */
    sse<T = SseSchemaData<TypeProvider, SchemaCompiler>> (source: SseSource<Given<T>>, options?: SseOptions): this
  }
}

import type {
  FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, FastifyTypeProvider,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RouteGenericInterface, RouteOptions,
  RouteShorthandOptions
} from 'fastify'
import type { SseOptions, SseSource } from './index.ts'

/**
 * What the handler of a route with the option `sse` returns, or resolves to: a source, a factory of one, or, if it
 * answers by itself, the reply or nothing.
 */
export type SseHandlerResult<T, Reply> = SseSource<T> | Reply | void | Promise<SseSource<T> | Reply | void>

/** The handler of a route with the option `sse`: Fastify's `RouteHandlerMethod`, but for what it returns. */
export type SseRouteHandler<
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface,
  ContextConfig,
  Schema extends FastifySchema,
  Provider extends FastifyTypeProvider,
  Logger extends FastifyBaseLogger
> = (
  this: FastifyInstance<RawServer, RawRequest, RawReply, Logger, Provider>,
  request: FastifyRequest<RouteGeneric, RawServer, RawRequest, Schema, Provider, ContextConfig, Logger>,
  reply: FastifyReply<RouteGeneric, RawServer, RawRequest, RawReply, ContextConfig, Schema, Provider>
) => SseHandlerResult<
  SseSchemaData<Provider, Schema>,
  FastifyReply<RouteGeneric, RawServer, RawRequest, RawReply, ContextConfig, Schema, Provider>
>

/** The options of `app.get()` and the like with `sse` among them: Fastify's `RouteShorthandOptions`. */
export type SseShorthandOptions<
  Names extends PropertyKey,
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface,
  ContextConfig,
  Schema extends FastifySchema,
  Provider extends FastifyTypeProvider,
  Logger extends FastifyBaseLogger
> = SseOption & InferNames<Names> & Omit<
  RouteShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, Schema, Provider, Logger>, 'sse'
>

/** The options of `app.route()` with `sse` among them: Fastify's `RouteOptions`. */
export type SseRouteOptions<
  Names extends PropertyKey,
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface,
  ContextConfig,
  Schema extends FastifySchema,
  Provider extends FastifyTypeProvider,
  Logger extends FastifyBaseLogger
> = SseOption & InferNames<Names> & Omit<
  RouteOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, Schema, Provider, Logger>,
  'sse' | 'handler'
> & {
  handler: SseRouteHandler<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<Schema>, Provider,
    Logger>
}

interface SseOption {
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
  sse: true | SseOptions
}

/** Makes the compiler infer the names of the options that are given. It checks nothing of their values. */
type InferNames<Names extends PropertyKey> = 'sse' extends Names ? unknown : Record<Names, unknown>

/**
 * The last parameters of a signature for routes with the option `sse`: none, or two that no caller gives, if `sse` is
 * not among the options. The signature then takes no part in the check of another route: Fastify's own checks, its
 * inference and its error messages stay as they are.
 */
export type OnlyWithSse<Names extends PropertyKey> = 'sse' extends Names ? [] : [never, never]

/**
 * The type of the route option `sse` in Fastify's own signatures. These cannot check a source against a response
 * schema: if there is a schema for the stream, only the signatures of this plugin accept the option.
 */
export type SseRouteOption<Provider extends FastifyTypeProvider, Schema extends FastifySchema> =
  unknown extends SseSchemaData<Provider, Schema>
    ? boolean | SseOptions | undefined
    : false | SseOptions & HandlerMustReturnSourceOf<SseSchemaData<Provider, Schema>> | undefined

/** A type without values, whose name the compiler shows if a source does not fit the schema. */
interface HandlerMustReturnSourceOf<T> {
  readonly [impossible]: T
}
declare const impossible: unique symbol

/**
 * The type of `data` by a route's response schema for `text/event-stream`: that of a status code, or else of `2xx`, or
 * else of `default`. It is `unknown` if there is no such schema, or no type provider that understands it.
 */
export type SseSchemaData<Provider extends FastifyTypeProvider, Schema extends FastifySchema> =
  Schema extends { response: infer Responses }
    ? FirstOf<
      StreamAt<Provider, Responses, Exclude<keyof Responses, Wildcard>>,
      FirstOf<StreamAt<Provider, Responses, '2xx' | '2XX'>, StreamAt<Provider, Responses, 'default'>>
    >
    : unknown

type Wildcard = `${number}xx` | `${number}XX` | 'default'

/** The type of `data` by the responses with one of these status codes; `never` if none of them is an event stream. */
type StreamAt<Provider extends FastifyTypeProvider, Responses, Status> = {
  [Key in keyof Responses]: Key extends Status
    ? Responses[Key] extends { content: infer Content } ? StreamIn<Provider, Content> : never
    : never
}[keyof Responses]

type StreamIn<Provider extends FastifyTypeProvider, Content> = {
  [Type in keyof Content]: Lowercase<Type & string> extends `text/event-stream${string}`
    ? Content[Type] extends { schema: infer Schema } ? (Provider & { schema: Schema })['serializer'] : never
    : never
}[keyof Content]

type FirstOf<A, B> = [A] extends [never] ? [B] extends [never] ? unknown : B : A

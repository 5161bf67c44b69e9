import type {
  FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, FastifyTypeProvider,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RouteGenericInterface, RouteOptions,
  RouteShorthandOptions
} from 'fastify'
import type { SseOptions, SseSource } from './index.ts'

/**
 * What the handler of a route with the option `sse` returns, or resolves to: a source, a factory of one, or, where it
 * answers by itself, the reply or nothing.
 */
export type SseHandlerResult<T, Reply> = SseSource<T> | Reply | void | Promise<SseSource<T> | Reply | void>

/** Fastify's `RouteHandlerMethod`, but for what it returns. */
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

/** Fastify's `RouteShorthandOptions` with `sse`. */
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

/** Fastify's `RouteOptions` with `sse`. */
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
  sse: true | SseOptions
}

/** The compiler infers from it the names of the options that are given; what they may be is left to others. */
type InferNames<Names extends PropertyKey> = 'sse' extends Names ? unknown : Record<Names, unknown>

/**
 * Parameters that nobody gives, unless `sse` is among the options. So a signature for sse routes does not even take
 * part where other routes are checked: Fastify's checks, its inference and its error messages stay as they are.
 */
export type OnlyWithSse<Names extends PropertyKey> = 'sse' extends Names ? [] : [never, never]

/**
 * The route option. Where a schema types the stream, Fastify's own signatures cannot hold the source against it: there
 * only those of this plugin take `sse`.
 */
export type SseRouteOption<Provider extends FastifyTypeProvider, Schema extends FastifySchema> =
  unknown extends SseSchemaData<Provider, Schema>
    ? boolean | SseOptions | undefined
    : false | SseOptions & HandlerMustReturnSourceOf<SseSchemaData<Provider, Schema>> | undefined

/** No value has this type: its name is what the compiler says where the source does not fit the schema. */
interface HandlerMustReturnSourceOf<T> {
  readonly [impossible]: T
}
declare const impossible: unique symbol

/**
 * The type of `data` by a route's response schema for `text/event-stream`: that of a status code, else of `2xx`, else
 * of `default`. `unknown` where there is no such schema, or no type provider that understands it.
 */
export type SseSchemaData<Provider extends FastifyTypeProvider, Schema extends FastifySchema> =
  Schema extends { response: infer Responses }
    ? FirstOf<
      StreamAt<Provider, Responses, Exclude<keyof Responses, Wildcard>>,
      FirstOf<StreamAt<Provider, Responses, '2xx' | '2XX'>, StreamAt<Provider, Responses, 'default'>>
    >
    : unknown

type Wildcard = `${number}xx` | `${number}XX` | 'default'

/** `never` where there is none. */
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

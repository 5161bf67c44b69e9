import type { FastifyReply } from 'fastify'
import type { ResolvedOptions } from '../options.ts'
import { compiledSerializer } from './response-schema.ts'

/** Where the config of a route keeps what its option `sse` says. */
export const kRouteOptions = Symbol('fastify-rxjs-sse.routeOptions')

/** What the option `sse` of a route says. */
export interface RouteStreamOptions {
  readonly options: ResolvedOptions
  /** It has a serializer, which is nearer than the response schema. */
  readonly hasSerializer: boolean
}

/**
 * The options that a call of `reply.sse()` starts from: those of its route, or of the registration, with what the
 * response schema was compiled to. They are made once for each route and status.
 */
export class BaseOptions {
  readonly #defaults: ResolvedOptions
  readonly #known: WeakMap<object, Map<number, ResolvedOptions>>

  constructor (defaults: ResolvedOptions) {
    this.#defaults = defaults
    this.#known = new WeakMap()
  }

  of (reply: FastifyReply): ResolvedOptions {
    const { config } = reply.routeOptions
    const known = this.#known.get(config)?.get(reply.statusCode)
    if (known !== undefined) return known
    const made = this.#make(reply, (config as { [kRouteOptions]?: RouteStreamOptions })[kRouteOptions])
    const ofRoute = this.#known.get(config)
    if (ofRoute === undefined) this.#known.set(config, new Map([[reply.statusCode, made]]))
    else ofRoute.set(reply.statusCode, made)
    return made
  }

  #make (reply: FastifyReply, route: RouteStreamOptions | undefined): ResolvedOptions {
    const options = route?.options ?? this.#defaults
    const serializer = route?.hasSerializer === true ? null : compiledSerializer(reply)
    return serializer === null ? options : { ...options, serializer }
  }
}

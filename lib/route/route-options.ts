import type { FastifyReply } from 'fastify'
import type { ResolvedOptions } from '../options.ts'
import { compiledSerializer } from './response-schema.ts'

/** The key under which the config of a route holds its option `sse`. */
export const kRouteOptions = Symbol('fastify-rxjs-sse.routeOptions')

/** The option `sse` of a route, checked and merged with the options of the registration. */
export interface RouteStreamOptions {
  readonly options: ResolvedOptions
  /** Whether the route option has a serializer, which wins over that of the response schema. */
  readonly hasSerializer: boolean
}

/**
 * The options that those of a call of `reply.sse()` are merged into: the options of the route, or else of the
 * registration, with the serializer of the response schema. They are made once for each route and status code.
 */
export class BaseOptions {
  readonly #defaults: ResolvedOptions
  /** The options that were made, by the config of the route and the status code. */
  readonly #made: WeakMap<object, Map<number, ResolvedOptions>> = new WeakMap()

  constructor (defaults: ResolvedOptions) {
    this.#defaults = defaults
  }

  of (reply: FastifyReply): ResolvedOptions {
    const { config } = reply.routeOptions
    const known = this.#made.get(config)?.get(reply.statusCode)
    if (known !== undefined) return known
    const options = this.#make(reply, (config as { [kRouteOptions]?: RouteStreamOptions })[kRouteOptions])
    const ofRoute = this.#made.get(config)
    if (ofRoute === undefined) this.#made.set(config, new Map([[reply.statusCode, options]]))
    else ofRoute.set(reply.statusCode, options)
    return options
  }

  #make (reply: FastifyReply, route: RouteStreamOptions | undefined): ResolvedOptions {
    const options = route?.options ?? this.#defaults
    const serializer = route?.hasSerializer === true ? null : compiledSerializer(reply)
    return serializer === null ? options : { ...options, serializer }
  }
}

import type { FastifyInstance, FastifyReply } from 'fastify'
import { FST_SSE_UNSUPPORTED_FASTIFY } from '../errors.ts'

/** The keys of a reply's private state. Each copy of Fastify has its own. */
export interface ReplyKeys {
  /** The key of a flag: whatever is sent next is an error. */
  readonly isError: symbol
  /** The key of the error handler that comes next. Its value changes whenever one is called. */
  readonly nextErrorHandler: symbol
  /** The key of the trailers; `null` is there where the reply has none. */
  readonly trailers: symbol
}

/**
 * Finds the keys by the names that Fastify gives to its symbols. There is no reply at registration, and a reply has no
 * next error handler until one was called: hence the reply that is made here, and sent an error. It belongs to no
 * client, and is asked nothing else.
 *
 * @throws `FST_SSE_UNSUPPORTED_FASTIFY` where a key is missing: without it, a request whose `onSend` hook fails would
 * get no answer.
 */
export function findReplyKeys (app: FastifyInstance): ReplyKeys {
  const Reply = Reflect.get(app, keyOf('fastify.Reply', app, app)) as ReplyConstructor
  const reply = new Reply({ writableEnded: false }, REQUEST, app.log)
  let cause: unknown
  try {
    reply.send(new Error('This error has Fastify call an error handler.'))
  } catch (error) {
    cause = error
  }
  return {
    isError: keyOf('fastify.reply.isError', reply, app, cause),
    nextErrorHandler: keyOf('fastify.reply.nextErrorHandler', reply, app, cause),
    trailers: keyOf('fastify.reply.trailers', reply, app, cause)
  }
}

/**
 * Adds a `preClose` hook that runs after the application's own: they are all there when `onReady` hooks run. Fastify
 * before 5.12.1 refuses one then; it is added to the list in which newer versions keep it.
 */
export function addLastPreClose (app: FastifyInstance, close: () => void): void {
  const hook = async (): Promise<void> => close()
  app.addHook('onReady', async () => {
    try {
      app.addHook('preClose', hook)
    } catch {
      const hooks = Reflect.get(app, keyOf('fastify.hooks', app, app)) as HookLists
      hooks.add('preClose', hook)
    }
  })
}

type ReplyConstructor = new (response: object, request: object, log: FastifyInstance['log']) => FastifyReply

interface HookLists {
  add (name: string, hook: () => Promise<void>): void
}

/** The route of a request that belongs to no client: an error handler that does nothing, and no hooks. */
const ROUTE = { onError: null, errorHandler: { func () {} } }

/** A request that belongs to no client: whatever Fastify asks it for is that route. */
const REQUEST = new Proxy({}, { get: () => ROUTE })

/** The key of a property that an object has, or inherits, under a symbol with that description. */
function keyOf (description: string, object: object, app: FastifyInstance, cause?: unknown): symbol {
  for (let owner: object | null = object; owner !== null; owner = Object.getPrototypeOf(owner) as object | null) {
    const key = Object.getOwnPropertySymbols(owner).find((symbol) => symbol.description === description)
    if (key !== undefined) return key
  }
  throw new FST_SSE_UNSUPPORTED_FASTIFY(app.version, description, { cause })
}

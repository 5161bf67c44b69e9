/** What a check plays in: an application of its own, and the connections to it, all closed when it is over. */
import { Observable } from 'rxjs'

/** How long a check may take, and its end, in milliseconds. */
const LIMIT = 8000

/** A source to look at, and to emit with. */
export class Probe {
  subscribed = 0
  unsubscribed = 0
  source = new Observable((subscriber) => {
    this.subscribed++
    this.#subscribers.add(subscriber)
    return () => {
      this.unsubscribed++
      this.#subscribers.delete(subscriber)
    }
  })

  #subscribers = new Set()

  next (value) {
    for (const subscriber of this.#subscribers) subscriber.next(value)
  }

  error (error) {
    for (const subscriber of this.#subscribers) subscriber.error(error)
  }

  complete () {
    for (const subscriber of this.#subscribers) subscriber.complete()
  }
}

/** Waits until the condition holds. The limit of the check is its limit too. */
export async function until (condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

class Scene {
  address = ''
  #apps = []
  #connections = []
  #fastify
  #sse
  #transport

  constructor (fastify, sse, transport) {
    this.#fastify = fastify
    this.#sse = sse
    this.#transport = transport
  }

  /** An application with the plugin, that listens; `addRoutes` is given it before. */
  async serve (options, addRoutes) {
    const app = this.#fastify({ ...this.#transport.server })
    this.#apps.push(app)
    await app.register(this.#sse, options)
    await addRoutes(app)
    this.address = await app.listen({ port: 0, host: '127.0.0.1' })
    return app
  }

  /** A connection of its own. */
  connect () {
    const connection = this.#transport.connect(Number(new URL(this.address).port))
    this.#connections.push(connection)
    return connection
  }

  /** A request on a connection of its own. */
  request (path, init) {
    return this.connect().request(path, init)
  }

  async close () {
    for (const connection of this.#connections) connection.leave()
    await Promise.all(this.#apps.map((app) => app.close()))
  }
}

/** Plays one check; rejects where it fails or takes too long. */
export async function play (check, { fastify, sse, transport }) {
  const scene = new Scene(fastify, sse, transport)
  try {
    await limited(check(scene), 'the check')
  } finally {
    await limited(scene.close(), 'its end')
  }
}

async function limited (promise, what) {
  const { promise: tooLate, reject } = withResolvers()
  const timer = setTimeout(() => reject(new Error(`${what} has taken ${LIMIT} ms`)), LIMIT)
  try {
    return await Promise.race([promise, tooLate])
  } finally {
    clearTimeout(timer)
  }
}

function withResolvers () {
  const resolvers = {}
  resolvers.promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }))
  return resolvers
}

import { Controller, Module, Sse } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { from, Subject } from 'rxjs'

/** `@Sse()` on Fastify: one hot Observable for all. Decorators are called as functions, which needs no compiler. */
export async function start ({ tokens }) {
  const events$ = new Subject()

  class Events {
    events () {
      return events$
    }

    tokens () {
      return from(tokens())
    }
  }
  decorate(Events, 'events', Sse('events'))
  // An Observable cannot wait, so that all tokens may queue for the client.
  decorate(Events, 'tokens', Sse('tokens', { maxPendingDataLength: Infinity }))
  Controller()(Events)

  Module({ controllers: [Events] })(App)

  const app = await NestFactory.create(App, new FastifyAdapter(), { logger: ['warn', 'error'] })
  await app.listen(0, '127.0.0.1')
  return { server: app.getHttpServer(), emit: (data) => events$.next({ data }) }
}

/** The root module, which needs no members. */
function App () {}

function decorate ({ prototype }, name, decorator) {
  decorator(prototype, name, Object.getOwnPropertyDescriptor(prototype, name))
}

import { AsyncLocalStorage } from 'node:async_hooks'
import { Transform, pipeline } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { Observable, Subject } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import type { SseOptions } from '../../index.ts'
import { RawClient, buildApp, listen } from '../fixtures/app.ts'
import { immediate, once, waitUntil } from '../fixtures/waits.ts'

/** Notes which store each callback saw: the name of its request, or `none` outside of all. */
class StoreNotes {
  readonly storage = new AsyncLocalStorage<string>()
  readonly #seen = new Map<string, Set<string>>()

  note (what: string): void {
    const stores = this.#seen.get(what) ?? new Set()
    this.#seen.set(what, stores.add(this.storage.getStore() ?? 'none'))
  }

  /** In the order of the names, as one line each. */
  get all (): string[] {
    return [...this.#seen].map(([what, stores]) => `${what}: ${[...stores].join()}`).toSorted()
  }
}

interface HotStreams {
  readonly app: FastifyInstance
  readonly notes: StoreNotes
  readonly hot: Subject<unknown>
  /** Opens a stream at `/:name`, which sees `name` as its store. */
  open (name: string): Promise<RawClient>
  /** Calls `fn` from a handler of another request. */
  elsewhere (fn: () => void): Promise<void>
}

/** The streams of one hot Subject, all of whose callbacks note where they are. */
async function serveHotStreams (t: Test, options: SseOptions = {}, addHooks?: (app: FastifyInstance, notes: StoreNotes) => void): Promise<HotStreams> {
  const notes = new StoreNotes()
  const hot = new Subject<unknown>()
  const app = await buildApp(t)
  app.addHook('onRequest', (request, _reply, done) => { notes.storage.run(request.url.slice(1), done) })
  app.addHook('onSend', async (request) => { notes.note(`onSend of ${request.url.slice(1)}`) })
  addHooks?.(app, notes)
  let act: (() => void) | undefined
  app.get('/elsewhere', async () => { act?.(); return '' })
  app.get('/:name', (request, reply) => {
    const { name } = request.params as { name: string }
    const note = (what: string): void => notes.note(`${what} of ${name}`)
    return reply.sse(({ signal }) => {
      note('factory')
      signal.addEventListener('abort', () => note('signal'))
      return new Observable<string>((subscriber) => {
        note('subscribe')
        const subscription = (hot as Subject<string>).subscribe(subscriber)
        return () => {
          note('teardown')
          subscription.unsubscribe()
        }
      })
    }, {
      serializer: (data) => { note('serializer'); return JSON.stringify(data) },
      onOpen: () => note('onOpen'),
      onClose: () => note('onClose'),
      onError: () => { note('onError'); return { data: { failed: true } } },
      ...options
    })
  })
  await listen(app)
  const elsewhere = async (fn: () => void): Promise<void> => {
    act = fn
    await app.inject('/elsewhere')
  }
  const open = async (name: string): Promise<RawClient> => {
    const client = new RawClient(app)
    t.teardown(() => client.socket.destroy())
    client.get(`/${name}`)
    await client.until(/:\n\n/)
    return client
  }
  return { app, notes, hot, open, elsewhere }
}

const ALWAYS = ['factory', 'onClose', 'onOpen', 'onSend', 'serializer', 'signal', 'subscribe', 'teardown']

/** What every callback of these streams must have seen: the store of its own request. */
function own (names: readonly string[], callbacks: readonly string[]): string[] {
  return callbacks.flatMap((callback) => names.map((name) => `${callback} of ${name}: ${name}`)).toSorted()
}

/** Leaves aside what the other request's own hooks saw. */
function seen (notes: StoreNotes): string[] {
  return notes.all.filter((line) => !line.includes('of elsewhere'))
}

t.test('Should run what a hot source triggers from another request in the context of its own', async (t) => {
  const { hot, open, elsewhere, notes } = await serveHotStreams(t)
  const clients = [await open('a'), await open('b')]
  await elsewhere(() => hot.next({ data: {} }))
  await Promise.all(clients.map((client) => client.until(/{}/)))
  await elsewhere(() => hot.complete())
  await Promise.all(clients.map((client) => client.until(/\r\n0\r\n\r\n$/)))
  await immediate()
  t.same(seen(notes), own(['a', 'b'], ALWAYS))
})

t.test('Should run them in the context of their own when a hot source fails from another request', async (t) => {
  const { hot, open, elsewhere, notes } = await serveHotStreams(t)
  const clients = [await open('a'), await open('b')]
  const closed = clients.map((client) => once(client.socket, 'close'))
  await elsewhere(() => hot.error(new Error('boom')))
  await Promise.all(closed)
  await immediate()
  t.same(seen(notes), own(['a', 'b'], [...ALWAYS, 'onError']))
})

t.test('Should run the hooks and onOpen in the context of their own when another request emits the first event', async (t) => {
  const { hot, open, elsewhere, notes } = await serveHotStreams(t, { open: 'first-event' })
  const opening = [open('a'), open('b')]
  await waitUntil(() => seen(notes).filter((line) => line.startsWith('subscribe')).length >= 2)
  await elsewhere(() => hot.next({ data: {} }))
  const clients = await Promise.all(opening)
  await elsewhere(() => hot.complete())
  await Promise.all(clients.map((client) => client.until(/\r\n0\r\n\r\n$/)))
  await immediate()
  t.same(seen(notes), own(['a', 'b'], ALWAYS))
})

t.test('Should run the error handler in the context of its own when another request makes the source fail', async (t) => {
  const { app, hot, elsewhere, notes } = await serveHotStreams(t, { open: 'first-event' }, (app, notes) => {
    app.addHook('onError', async (request) => notes.note(`onError hook of ${request.url.slice(1)}`))
    app.setErrorHandler((_error, request, reply) => {
      notes.note(`error handler of ${request.url.slice(1)}`)
      return reply.code(418).send('handled')
    })
  })
  const client = new RawClient(app)
  client.get('/a')
  await waitUntil(() => hot.observed)
  await elsewhere(() => hot.error(new Error('boom')))
  await client.until(/^HTTP\/1.1 418 .*handled$/s)
  client.socket.destroy()
  t.same(seen(notes), own(['a'], ['error handler', 'factory', 'onError hook', 'onSend', 'signal', 'subscribe', 'teardown']))
})

t.test('Should run them in the context of their own when a shared signal fires in another request', async (t) => {
  const controller = new AbortController()
  const { hot, open, elsewhere, notes } = await serveHotStreams(t, { signal: controller.signal })
  const clients = [await open('a'), await open('b')]
  hot.next({ data: {} })
  await elsewhere(() => controller.abort())
  await Promise.all(clients.map((client) => client.until(/\r\n0\r\n\r\n$/)))
  await immediate()
  t.same(seen(notes), own(['a', 'b'], ALWAYS))
})

t.test('Should run them in the context of their own when clients leave', async (t) => {
  const { hot, open, app, notes } = await serveHotStreams(t)
  const clients = [await open('a'), await open('b')]
  hot.next({ data: {} })
  for (const client of clients) client.socket.destroy()
  await waitUntil(() => app.sse.size === 0)
  t.same(seen(notes), own(['a', 'b'], ALWAYS))
})

t.test('Should run them in the context of their own at app.close()', async (t) => {
  const { hot, open, app, notes } = await serveHotStreams(t)
  const clients = [await open('a'), await open('b')]
  hot.next({ data: {} })
  const closed = clients.map((client) => once(client.socket, 'close'))
  await notes.storage.run('whoever closes', () => app.close())
  await Promise.all(closed)
  t.same(seen(notes), own(['a', 'b'], ALWAYS))
})

t.test('Should run a stream that an onSend hook puts between in the context of its own, with heartbeats and a hot source', async (t) => {
  const options = { heartbeat: { interval: 5, message: { type: 'beat' } } }
  const { hot, open, elsewhere, notes } = await serveHotStreams(t, options, (app, notes) => {
    app.addHook('onSend', async (request, _reply, payload) => {
      const name = request.url.slice(1)
      if (name === 'elsewhere') return payload
      return pipeline(payload as Transform, new Transform({
        transform (chunk, _encoding, done) {
          notes.note(`${String(chunk).includes('beat') ? 'heartbeat' : 'event'} of ${name}`)
          done(null, chunk)
        }
      }), () => {})
    })
  })
  const clients = [await open('a'), await open('b')]
  await Promise.all(clients.map((client) => client.until(/beat/)))
  await elsewhere(() => hot.next({ data: {} }))
  await Promise.all(clients.map((client) => client.until(/{}/)))
  t.same(seen(notes).filter((line) => /^(event|heartbeat)/.test(line)), own(['a', 'b'], ['event', 'heartbeat']))
})

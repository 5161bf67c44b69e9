import type { FastifyReply } from 'fastify'
import { from } from 'rxjs'
import type { Observable } from 'rxjs'
import { MemoryEventLog } from '../../index.ts'
import type { EventLog, EventLogGap, EventLogOptions, LoggedEvent, MessageEvent } from '../../index.ts'
import { expectType } from './expect.ts'
import type { Equal } from './expect.ts'

interface Chat {
  readonly room: string
  readonly text: string
}

/** Checks what can be appended to a log. The compiler checks this file; nothing of it ever runs. */
export async function appends (log: MemoryEventLog<Chat>): Promise<void> {
  const id = await log.append({ data: { room: 'a', text: 'hello' }, type: 'chat', retry: 1000, comment: 'c' })
  expectType<Equal<typeof id, string>>()
  await log.append({ type: 'cleared' })
  // @ts-expect-error: data of another type
  await log.append({ data: { room: 1, text: 'hello' } })
  // @ts-expect-error: data that is not wrapped
  await log.append({ room: 'a', text: 'hello' })

  const any = new MemoryEventLog()
  await any.append('text')
  await any.append([1, 2])
  await any.append({ data: { what: 'ever' } })
  // @ts-expect-error: nothing is no event
  await any.append(undefined)
}

/** Checks the types of what is read from a log. */
export async function reads (log: EventLog<Chat>, memory: MemoryEventLog<Chat>): Promise<void> {
  for await (const { data, id } of log.after()) {
    expectType<Equal<typeof data, Chat | undefined>>()
    expectType<Equal<typeof id, string | number | null | undefined>>()
  }
  const mine = memory.after('id', { filter: ({ data, id }) => data?.room === 'a' && id.startsWith('a') })
  for await (const event of mine) {
    expectType<Equal<typeof event, MessageEvent<Chat>>>()
  }
  const texts = memory.after(undefined, { map: ({ data }) => ({ data: data?.text ?? '' }) })
  expectType<Equal<typeof texts, AsyncIterable<MessageEvent<string>>>>()
  const spread = memory.after('', { map: (event) => ({ ...event, type: 'chat' }) })
  expectType<Equal<typeof spread, AsyncIterable<MessageEvent<Chat>>>>()
  const observable = from(memory.after())
  expectType<Equal<typeof observable, Observable<MessageEvent<Chat>>>>()
  expectType<Equal<LoggedEvent<Chat>['id'], string>>()

  // @ts-expect-error: an id is a string
  log.after(1)
  // @ts-expect-error: an option that does not exist
  log.after('id', { from: 'start' })
  // @ts-expect-error: a filter tells whether
  log.after('id', { filter: () => 'yes' })
  // @ts-expect-error: what a reader gets is a message
  memory.after('id', { map: ({ data }) => ({ room: data?.room }) })
}

/** Checks that a log is a source, of messages of its own type alone. */
export function sources (reply: FastifyReply, log: MemoryEventLog<Chat>, any: EventLog<Chat>): void {
  reply.sse(log)
  reply.sse(any)
  reply.sse(new MemoryEventLog())
  reply.sse<Chat>(log)
  reply.sse<Chat>(any)
  reply.sse(Promise.resolve(log))
  reply.sse(() => log)
  reply.sse(async () => log)
  reply.sse(({ lastEventId }) => log.after(lastEventId, { filter: ({ data }) => data?.room === 'a' }))
  reply.sse<Chat>(({ lastEventId }) => log.after(lastEventId))
  reply.sse<string>(({ lastEventId }) => log.after(lastEventId, { map: ({ data }) => ({ data: data?.text ?? '' }) }))
  // @ts-expect-error: a log of something else
  reply.sse<{ price: number }>(log)
  // @ts-expect-error: a part of a log of something else
  reply.sse<{ price: number }>(({ lastEventId }) => log.after(lastEventId))
  // @ts-expect-error: a log can be appended to
  reply.sse({ after: () => log.after() })
}

/** Checks which values the options of a log accept. */
export function options (): void {
  const given: EventLogOptions = {
    maxEvents: 100,
    maxBytes: 2 ** 20,
    maxAge: false,
    from: 'start',
    gap (gap) {
      expectType<Equal<typeof gap, EventLogGap>>()
      expectType<Equal<typeof gap.lastEventId, string | null>>()
      expectType<Equal<typeof gap.oldest, string | null>>()
      return { type: 'gap', data: gap.oldest }
    }
  }
  new MemoryEventLog<Chat>(given).after()
  new MemoryEventLog({ maxAge: 1000, gap: () => undefined, maxEvents: undefined }).after()
  // @ts-expect-error: never is false
  new MemoryEventLog({ maxAge: true }).after()
  // @ts-expect-error: there are two beginnings
  new MemoryEventLog({ from: 'end' }).after()
  // @ts-expect-error: an option that does not exist
  new MemoryEventLog({ maxLength: 1 }).after()
}

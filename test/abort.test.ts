import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { LightMyRequestResponse } from 'fastify'
import { NEVER } from 'rxjs'
import t from 'tap'
import { onAbort } from '../lib/abort.ts'
import { buildApp } from './fixtures/app.ts'
import { collectWarnings } from './fixtures/leaks.ts'
import { within } from './fixtures/waits.ts'

t.test('Should put one listener on a signal, however many share it', async (t) => {
  const warnings = collectWarnings(t)
  const controller = new AbortController()
  const calls = Array.from({ length: 50 }, () => 0)
  for (const index of calls.keys()) onAbort(controller.signal, () => { calls[index] = (calls[index] ?? 0) + 1 })
  t.equal(getEventListeners(controller.signal, 'abort').length, 1)
  controller.abort()
  t.same(calls, Array.from({ length: 50 }, () => 1), 'each is called once')
  await setImmediate()
  t.same(warnings, [])
})

t.test('Should take its listener back when the last leaves, and only then', async (t) => {
  const { signal } = new AbortController()
  const leave = Array.from({ length: 3 }, () => onAbort(signal, () => {}))
  leave[0]?.()
  leave[2]?.()
  t.equal(getEventListeners(signal, 'abort').length, 1)
  leave[1]?.()
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('Should not call one that has left', async (t) => {
  const controller = new AbortController()
  const calls: string[] = []
  const leaveFirst = onAbort(controller.signal, () => { calls.push('first') })
  onAbort(controller.signal, () => {
    calls.push('second')
    leaveThird()
  })
  const leaveThird = onAbort(controller.signal, () => { calls.push('third') })
  leaveFirst()
  controller.abort()
  t.same(calls, ['second'], 'neither before nor while the signal fires')
})

t.test('Should take newcomers after the last has left', async (t) => {
  const controller = new AbortController()
  const leave = onAbort(controller.signal, () => t.fail('has left'))
  leave()
  const newcomer = t.captureFn(() => {})
  onAbort(controller.signal, newcomer)
  leave()
  t.equal(getEventListeners(controller.signal, 'abort').length, 1, 'leaving twice takes nothing from others')
  controller.abort()
  t.equal(newcomer.calls.length, 1)
})

t.test('Should keep signals apart', async (t) => {
  const one = new AbortController()
  const other = new AbortController()
  const onOne = t.captureFn(() => {})
  const onOther = t.captureFn(() => {})
  onAbort(one.signal, onOne)
  onAbort(other.signal, onOther)
  one.abort()
  t.equal(onOne.calls.length, 1)
  t.equal(onOther.calls.length, 0)
})

t.test('Should end fifty streams that share a signal, and leave nothing on it', async (t) => {
  const warnings = collectWarnings(t)
  const controller = new AbortController()
  const app = await buildApp(t, { signal: controller.signal })
  let responses: Array<Promise<LightMyRequestResponse>> = []
  await within(new Promise<void>((resolve) => {
    let opened = 0
    const onOpen = () => { if (++opened === 50) resolve() }
    app.get('/', (_request, reply) => reply.sse(NEVER, { onOpen }))
    responses = Array.from({ length: 50 }, async () => await app.inject('/'))
  }), 'fifty open streams')
  t.equal(getEventListeners(controller.signal, 'abort').length, 1)
  controller.abort()
  const bodies = await Promise.all(responses)
  t.ok(bodies.every(({ statusCode, payload }) => statusCode === 200 && payload === ':\n\n'))
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
  t.equal(app.sse.size, 0)
  t.same(warnings, [])
})

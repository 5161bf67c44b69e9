import * as fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import { of } from 'rxjs'
import t from 'tap'
import type { Test } from 'tap'
import { buildApp, listen, parse } from '../fixtures/app.ts'

/** A schema, with an arbitrary for the values that fit it. */
interface Fit {
  readonly schema: object
  readonly value: fc.Arbitrary<unknown>
}

const LEAVES: readonly Fit[] = [
  { schema: { type: 'string' }, value: fc.string({ unit: 'grapheme' }) },
  { schema: { type: 'string' }, value: fc.string({ unit: 'binary', maxLength: 60 }) },
  { schema: { type: 'string', format: 'date-time' }, value: fc.date({ noInvalidDate: true }) },
  { schema: { type: 'string', enum: ['a', 'b"', '\n'] }, value: fc.constantFrom('a', 'b"', '\n') },
  { schema: { type: 'integer' }, value: fc.maxSafeInteger() },
  { schema: { type: 'number' }, value: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { schema: { type: 'boolean' }, value: fc.boolean() },
  { schema: { type: 'null' }, value: fc.constant(null) },
  { schema: { type: ['string', 'null'] }, value: fc.option(fc.string()) },
  { schema: { type: 'string', nullable: true }, value: fc.option(fc.string()) },
  { schema: { type: 'integer', nullable: true }, value: fc.option(fc.integer()) },
  { schema: {}, value: fc.jsonValue() }
]

// No name ends in a backslash: from V8 13.6 on, JSON.parse takes a `"` behind it for the end of a name that it has seen, so
// that after JSON.parse('{"x":1,"\\\\":1}') the name in '{"x":1,"\\"":1}' comes out as `\`.
const NAME = fc.oneof(fc.constantFrom('a', 'b', 'name', 'a-b', 'ä', '"', 'a"', 'a\\b', '0', 'a.b', "it's"), fc.stringMatching(/^[a-z]\w{0,5}$/))

/** Makes schemas of objects and arrays that are nested in each other. */
const { object } = fc.letrec<{ fit: Fit, object: Fit, array: Fit }>((tie) => ({
  fit: fc.oneof({ maxDepth: 3, depthSize: 'small' }, fc.constantFrom(...LEAVES), tie('object'), tie('array')),
  array: tie('fit').map(({ schema, value }) => ({ schema: { type: 'array', items: schema }, value: fc.array(value, { maxLength: 4 }) })),
  object: fc.tuple(fc.dictionary(NAME, fc.tuple(tie('fit'), fc.boolean()), { maxKeys: 5, noNullPrototype: true }), fc.boolean())
    .map(([members, isNullable]) => {
      const entries = Object.entries(members)
      const value = fc.record(Object.fromEntries(entries.map(([name, [fit]]) => [name, fit.value])), {
        requiredKeys: entries.filter(([, [, isRequired]]) => isRequired).map(([name]) => name), noNullPrototype: true
      })
      const schema = {
        type: 'object',
        properties: Object.fromEntries(entries.map(([name, [fit]]) => [name, fit.schema])),
        required: entries.filter(([, [, isRequired]]) => isRequired).map(([name]) => name)
      }
      return isNullable ? { schema: { ...schema, nullable: true }, value: fc.option(value) } : { schema, value }
    })
}))

const CASES = object.chain(({ schema, value }) => fc.record({
  schema: fc.constant({ ...schema, nullable: false }),
  values: fc.array(value.filter((given) => given !== null), { minLength: 1, maxLength: 5 })
}))

/** Names of members that no schema declares. */
const SECRET = 'passwordHash'

async function buildStream (t: Test, schema: object, values: readonly unknown[]): Promise<FastifyInstance> {
  const app = await buildApp(t)
  app.get('/', { sse: true, schema: { response: { 200: { content: { 'text/event-stream': { schema } } } } } },
    () => of(...values.map((data) => ({ data: typeof data === 'object' ? { ...data, [SECRET]: 'secret' } : data }))))
  return app
}

function check (t: Test, body: string, values: readonly unknown[]): void {
  if (body.includes(SECRET)) throw new Error(`an undeclared field is on the wire: ${body}`)
  const sent = parse(body).map(({ data }): unknown => JSON.parse(data))
  if (!t.strictSame(sent, values.map((value): unknown => JSON.parse(JSON.stringify(value))))) throw new Error(body)
}

t.test('Should put on the wire what JSON.stringify would, for values that fit the schema', async (t) => {
  await fc.assert(fc.asyncProperty(CASES, async ({ schema, values }) => {
    const app = await buildStream(t, schema, values)
    const { payload } = await app.inject('/')
    await app.close()
    check(t, payload, values)
  }), { numRuns: 150 })
})

t.test('Should do so through a socket', async (t) => {
  await fc.assert(fc.asyncProperty(CASES, async ({ schema, values }) => {
    const app = await buildStream(t, schema, values)
    const body = await (await fetch(await listen(app))).text()
    await app.close()
    check(t, body, values)
  }), { numRuns: 20 })
})

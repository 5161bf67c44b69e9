import { inspect } from 'node:util'

/**
 * What a value is, for messages that may reach a client: Fastify's default error handler sends them. What is in an
 * object may be a secret.
 */
export function kindOf (value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return preview(value)
  if (Array.isArray(value)) return 'an array'
  const { constructor } = value
  const name = typeof constructor === 'function' ? constructor.name : ''
  return name === '' || name === 'Object' ? 'an object' : `an instance of ${name}`
}

/** A value as it is shown in an error's message: one line, short, and without the stack of an error. */
export function preview (value: unknown): string {
  let text: string
  try {
    text = value instanceof Error
      ? `${value.name}: ${value.message}`
      : inspect(value, { depth: 0, maxStringLength: 64, maxArrayLength: 8, breakLength: Infinity })
  } catch {
    text = `a ${typeof value} that cannot be shown`
  }
  text = text.replace(/\s+/g, ' ')
  return text.length > 160 ? `${text.slice(0, 159)}…` : text
}

import { inspect } from 'node:util'

/**
 * Names the kind of a value of the application, for an error's message. Only primitives are shown as they are: a member
 * of an object may be a secret, and Fastify's default error handler sends the message to the client.
 */
export function kindOf (value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return preview(value)
  if (Array.isArray(value)) return 'an array'
  const { constructor } = value
  const name = typeof constructor === 'function' ? constructor.name : ''
  return name === '' || name === 'Object' ? 'an object' : `an instance of ${name}`
}

/**
 * Shows a value with what is in it, for an error's message: an option, or what the client itself has sent. The result
 * is one line of at most 160 characters. Of an error it has the name and the message, and not the stack.
 */
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

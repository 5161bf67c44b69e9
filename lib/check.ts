import { FST_SSE_INVALID_OPTION, FST_SSE_UNKNOWN_OPTION } from './errors.ts'
import { preview } from './preview.ts'

/** The longest delay of `setTimeout`, in milliseconds (2^31 − 1). */
export const MAX_DELAY = 2 ** 31 - 1

/** The members of an options object, before their values are checked. One that is absent is `undefined`. */
export type Members<Name extends string> = { readonly [K in Name]?: unknown }

/** Makes the error for an option with a value that it cannot have: `expected` continues "The option must be …". */
export function invalidOption (option: string, expected: string, value: unknown): Error {
  return new FST_SSE_INVALID_OPTION(option, expected, preview(value))
}

/**
 * Returns the own members of an options object, in an object without a prototype: a property that other code has added
 * to `Object.prototype` is not an option. Throws `FST_SSE_INVALID_OPTION` if the value is no object.
 */
export function ownMembers (option: string, value: unknown, expected = 'an object'): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidOption(option, expected, value)
  return Object.assign(Object.create(null), value) as Record<string, unknown>
}

/**
 * Returns the members, if all their names are known. Throws `FST_SSE_UNKNOWN_OPTION` for another name, even if its
 * value is `undefined`. `prefix` stands before the name in the error.
 */
export function checkNames<Name extends string> (
  members: Record<string, unknown>, known: readonly Name[], prefix = ''
): Members<Name> {
  for (const name of Object.keys(members)) {
    if (!known.includes(name as Name)) {
      throw new FST_SSE_UNKNOWN_OPTION(prefix + name, `there are ${known.join(', ')}`)
    }
  }
  return members as Members<Name>
}

/** Checks what was given as `options`, and returns its own members. Throws what the two functions above throw. */
export function checkOptions<Name extends string> (options: unknown, known: readonly Name[]): Members<Name> {
  return checkNames(ownMembers('options', options), known)
}

/** Does the same for an option that is itself an object; `expected` describes that object in an error. */
export function checkMembers<Name extends string> (
  option: string, value: unknown, known: readonly Name[], expected?: string
): Members<Name> {
  return checkNames(ownMembers(option, value, expected), known, `${option}.`)
}

// Each of the functions below returns the value, or throws FST_SSE_INVALID_OPTION. `orElse` continues the description
// of the expected value, where the option may also be something else.

export function checkMilliseconds (option: string, value: unknown, min: number, max: number, orElse = ''): number {
  if (isCount(value, min) && value <= max) return value
  throw invalidOption(option, `a whole number of milliseconds from ${min} to ${max}${orElse}`, value)
}

/** Checks a whole number; `unit` says of what, in the plural. */
export function checkCount (option: string, value: unknown, unit: string, min = 1, orElse = ''): number {
  if (isCount(value, min)) return value
  throw invalidOption(option, `a whole number of ${unit} from ${min}${orElse}`, value)
}

export function checkBoolean (option: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalidOption(option, 'true or false', value)
}

/** Checks a string that is not empty. */
export function checkText (option: string, value: unknown, expected: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw invalidOption(option, expected, value)
}

export function checkChoice<Choice> (option: string, value: unknown, choices: readonly Choice[]): Choice {
  if (choices.includes(value as Choice)) return value as Choice
  throw invalidOption(option, choices.map(preview).join(' or '), value)
}

export function checkFunction<F extends Function> (option: string, value: unknown): F {
  if (typeof value === 'function') return value as F
  throw invalidOption(option, 'a function', value)
}

/** Checks what a signal can do, not its class: a signal of another realm, or of a polyfill, is one too. */
export function checkSignal (option: string, value: unknown): AbortSignal {
  const { aborted, addEventListener, removeEventListener } = Object(value) as Partial<AbortSignal>
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function' &&
    typeof removeEventListener === 'function') return value as AbortSignal
  throw invalidOption(option, 'an AbortSignal', value)
}

function isCount (value: unknown, min: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= min
}

/** Whether `await` would wait for a value: it has a method `then`, whatever class of promise it is. */
export function isPromise (value: unknown): value is PromiseLike<unknown> {
  return ((typeof value === 'object' && value !== null) || typeof value === 'function') && hasMethod(value, 'then')
}

/** Whether an object or a function has a method of that name, of its own or inherited. */
export function hasMethod (value: object, key: PropertyKey): boolean {
  return key in value && typeof (value as Record<PropertyKey, unknown>)[key] === 'function'
}

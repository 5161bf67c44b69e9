export function isPromise (value: unknown): value is PromiseLike<unknown> {
  return ((typeof value === 'object' && value !== null) || typeof value === 'function') && hasMethod(value, 'then')
}

export function hasMethod (value: object, key: PropertyKey): boolean {
  return key in value && typeof (value as Record<PropertyKey, unknown>)[key] === 'function'
}

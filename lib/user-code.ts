import type { AsyncResource } from 'node:async_hooks'

/**
 * Calls back into code of the user's, in the async context of the call that made its stream. What it throws, or rejects
 * with if it is async, goes to `onThrow`.
 */
export function callUserCode (context: AsyncResource, callback: () => unknown, onThrow: (error: unknown) => void): void {
  try {
    const result: unknown = context.runInAsyncScope(callback)
    if (result instanceof Promise) result.catch(onThrow)
  } catch (error) {
    onThrow(error)
  }
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Longer than any scene of any contestant. */
const TIMEOUT = 120_000

/** Another process, and the calls that it answers by `answer()`. */
export class Child {
  #name
  #process
  #calls
  #lastId
  #error
  #rejectFailure
  /** Rejects when the process has ended, or could not begin. */
  failure

  constructor (script, args, { core, execArgv = [] }) {
    const command = [process.execPath, ...execArgv, fileURLToPath(new URL(script, import.meta.url)), ...args]
    if (core !== undefined) command.unshift('taskset', '-c', String(core))
    this.#name = [script, ...args].join(' ')
    this.#calls = new Map()
    this.#lastId = 0
    this.#error = undefined
    this.failure = new Promise((_resolve, reject) => { this.#rejectFailure = reject })
    this.failure.catch(() => {})
    this.#process = spawn(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#process.on('message', (message) => this.#settle(message))
    this.#process.on('error', (error) => this.#fail(error))
    this.#process.on('exit', (code, signal) => this.#fail(new Error(`${this.#name} has exited: ${signal ?? code}`)))
  }

  async call (method, options = {}) {
    if (this.#error !== undefined) throw this.#error
    const id = ++this.#lastId
    return await new Promise((resolve, reject) => {
      const timeout = setTimeout(() => {
        this.#settle({ id, error: `${this.#name} has not answered ${method}(${JSON.stringify(options)})` })
      }, TIMEOUT)
      this.#calls.set(id, { resolve, reject, timeout })
      this.#process.send({ id, method, options })
    })
  }

  async stop () {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null || this.#process.pid === undefined) return
    const exit = once(this.#process, 'exit')
    if (this.#process.connected) this.#process.disconnect()
    const timeout = setTimeout(() => this.#process.kill('SIGKILL'), 5_000)
    await exit
    clearTimeout(timeout)
  }

  #settle ({ id, result, error }) {
    const call = this.#calls.get(id)
    if (call === undefined) return
    this.#calls.delete(id)
    clearTimeout(call.timeout)
    if (error === undefined) call.resolve(result)
    else call.reject(new Error(error))
  }

  #fail (error) {
    this.#error ??= error
    this.#rejectFailure(error)
    for (const id of this.#calls.keys()) this.#settle({ id, error: error.message })
  }
}

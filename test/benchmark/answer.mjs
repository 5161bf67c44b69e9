/** Answers the calls of the process that has started this one, and ends with it. */
export function answer (methods) {
  process.on('message', async ({ id, method, options }) => {
    try {
      process.send({ id, result: await methods[method](options) })
    } catch (error) {
      process.send({ id, error: error.stack })
    }
  })
  process.on('disconnect', () => process.exit())
}

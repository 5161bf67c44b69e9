import { build } from './app.ts'
import { createModel } from './model.ts'

const app = await build({ echo: createModel(50) })

// Ends every stream; then nothing keeps the process running.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => app.close())

const { PORT = '3000' } = process.env
const { port } = new URL(await app.listen({ port: Number(PORT) }))
console.log(`Chat completions at http://localhost:${port}/v1`)

/** The entry point `fastify-rxjs-sse/redis`: an event log on a Redis stream. It needs the package `redis`. */
export { RedisEventLog } from '../event-log/redis/event-log.ts'
export type { RedisClient, RedisEventLogOptions } from '../event-log/redis/event-log.ts'

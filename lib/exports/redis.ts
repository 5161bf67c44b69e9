export { RedisEventLog } from '../event-log/redis/event-log.ts'
export type { RedisClient, RedisEventLogOptions } from '../event-log/redis/event-log.ts'

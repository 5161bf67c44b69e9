import type { SseOptions, SseSource } from './index.ts'

declare module 'fastify' {
  interface FastifyInstance {
    sse: {
      /** How many event streams are open. */
      readonly size: number
    }
  }

  interface FastifyRequest {
    /** The `Last-Event-ID` header, decoded. */
    readonly lastEventId: string | undefined
  }

  interface FastifyReply {
    /**
     * Answers with a stream of server-sent events: subscribes to the source, writes each value, and unsubscribes in
     * the turn in which the client leaves. `onSend` hooks run as for any reply.
     *
     * What the source does never throws here: a failure before the head has left is answered by the error handler.
     *
     * @throws `FST_SSE_INVALID_OPTION`, `FST_SSE_UNKNOWN_OPTION`, `FST_SSE_INVALID_SOURCE`, `FST_SSE_CONTENT_TYPE`,
     * `FST_SSE_STATUS_CODE`: what was given cannot make a stream.
     */
    sse<T = unknown> (source: SseSource<NoInfer<T>>, options?: SseOptions): this
  }
}

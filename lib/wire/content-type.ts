/** The media type of an event stream (WHATWG HTML, 9.2.5). */
export const CONTENT_TYPE = 'text/event-stream'

/** Whether a media type is `text/event-stream`, ignoring case and parameters. */
export function isEventStream (type: string): boolean {
  return type.split(';')[0]?.trim().toLowerCase() === CONTENT_TYPE
}

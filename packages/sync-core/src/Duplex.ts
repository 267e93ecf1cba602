/**
 * The protocol over a channel of messages, such as a WebSocket: the requests and answers of {@link Protocol}, each behind
 * a line that says which request it belongs to. A connection has no state but the requests that wait for their answers, so
 * whoever comes back, to this server or to another one, goes on with the next request.
 *
 * | to the server              |                                                                                  |
 * |----------------------------|----------------------------------------------------------------------------------|
 * | first line: `id`           | number that the client chooses; one of this connection's requests has it at a time |
 * | `token`                    | as the bearer token of HTTP, checked with each request                           |
 * | `wait`                     | `true`: answer when there is something new, or after a while. Without records; takes the place of the connection's request that waits |
 * | the rest                   | `Protocol.WireRequest`                                                           |
 *
 * | to the client              |                                                                                  |
 * |----------------------------|----------------------------------------------------------------------------------|
 * | first line: `id`           | of the request                                                                   |
 * | `ok`                       | whether the rest is an answer                                                    |
 * | the rest                   | `Protocol.WireResponse`, or `Protocol.SyncError`                                 |
 *
 * What a client has applied it acknowledges by the cursors of its next request.
 */
import { Option, Schema } from "effect"
import { isBefore } from "./Cursors.ts"
import * as Hlc from "./Hlc.ts"
import type { SyncRequest, SyncResponse, WireRequest } from "./Protocol.ts"

const Id = Schema.NonNegativeInt

export const RequestHead = Schema.Struct({
  id: Id,
  token: Schema.String,
  wait: Schema.optional(Schema.Boolean)
})
export type RequestHead = typeof RequestHead.Type

export const AnswerHead = Schema.Struct({ id: Id, ok: Schema.Boolean })
export type AnswerHead = typeof AnswerHead.Type

/** A message: the line, and what follows it. */
export const write = (head: RequestHead | AnswerHead, body: string): string =>
  `${JSON.stringify(head)}\n${body}`

/** The parts of a message; none when it is no message of this kind. */
export const reader = <Head>(schema: Schema.Schema<Head>) => {
  const decode = Schema.decodeUnknownOption(Schema.parseJson(schema))
  return (message: string): Option.Option<{ readonly head: Head; readonly body: string }> => {
    const end = message.indexOf("\n")
    return Option.map(decode(message.slice(0, Math.max(end, 0))), (head) => ({
      head,
      body: message.slice(end + 1)
    }))
  }
}

/** What a client asks when it has applied this answer, and has no records and nothing done since: the very same request. */
export const next = (request: SyncRequest, response: SyncResponse): SyncRequest => {
  const { position: _, ...same } = request
  const isComplete = (audience: string) =>
    response.next === null || isBefore(audience, response.next.audience)
  return {
    ...same,
    records: [],
    // What it does next it stamps after all that it has seen.
    after:
      request.after === null
        ? null
        : Hlc.make(Hlc.latest(Hlc.parts(request.after), response.clock), request.clientId),
    cursors: Object.fromEntries(
      response.audiences.flatMap((audience): ReadonlyArray<[string, number]> => {
        if (isComplete(audience)) return [[audience, response.seq]]
        return Object.hasOwn(request.cursors, audience) ? [[audience, request.cursors[audience]!]] : []
      })
    ) as SyncRequest["cursors"],
    ...(response.next === null ? { seq: response.seq } : { position: response.next })
  }
}

/** Whether the answer says more than that nothing has happened. One to a request without cursors is for the same audiences. */
export const isNews = ({ cursors }: Pick<WireRequest, "cursors">, response: SyncResponse): boolean =>
  response.next !== null ||
  response.tables.length > 0 ||
  response.notices.length > 0 ||
  response.later.length > 0 ||
  (cursors !== null &&
    (response.audiences.length !== Object.keys(cursors).length ||
      response.audiences.some((audience) => !Object.hasOwn(cursors, audience))))

/**
 * What tells a client of this project of commits: the answer that a sync would get, sent before it is asked for. The wire
 * is described in sync-core's `Live`.
 *
 * An offset is the commit from which the next message goes on. It stays where it is while there is nothing to tell, so that
 * a client which has heard nothing misses nothing.
 */
import {
  type Audience,
  ClientId,
  Live,
  type Principal,
  type Protocol,
  type Seq,
  type SyncApp
} from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { digestOf, invalid, messageKey, mustRefetchMessage, type ShapeRequest } from "../shape/protocol.ts"
import type { Chunk } from "../shape/read.ts"
import type { Answer, Question } from "./read.ts"

export { type Answer, type Question, type Reader, readAll } from "./read.ts"

export interface FeedOptions<E> {
  readonly app: SyncApp.SyncApp
  readonly ask: (question: Question) => Effect.Effect<Answer, E>
}

const relation = ["synchrotron", "feed"] as const

const schema = JSON.stringify({
  seq: { type: "int8", not_null: true, pk_index: 0 },
  from: { type: "int8", not_null: true },
  answer: { type: "text" }
})

const isClientId = Schema.is(ClientId)

export const makeFeed =
  <E>({ app, ask }: FeedOptions<E>) =>
  (principal: Principal, { client, handle, schema: clientSchema }: ShapeRequest) =>
    Effect.gen(function* () {
      if (!isClientId(client)) return yield* invalid("client: send the id of the client.")
      if (clientSchema !== app.schemaHash)
        return yield* invalid(`schema: the server's is ${app.schemaHash}. Update the older of the two.`)
      /** As long as the handle is good, the user holds what he held when it was made. */
      let held: ReadonlyArray<Audience> | null = null
      let digest: string | null = null
      const read = (offset: ShapeRequest["offset"]): Effect.Effect<Chunk, Protocol.InvalidRequest | E> =>
        Effect.gen(function* () {
          const from = typeof offset === "object" ? offset.seq : null
          const { audiences, outcome, seq, text } = yield* ask({ principal, client, from, audiences: held })
          if (outcome === "stranger") return yield* invalid("client: it is another user's.")
          // Who was told once is told often, and mostly holds what he held.
          if (digest === null || !isSame(held ?? [], audiences))
            digest = digestOf({
              table: Live.feedTable,
              columns: [client],
              userId: principal.userId,
              schemaHash: app.schemaHash,
              audiences
            })
          held = audiences
          // A message, for browsers would show a 409 as an error, and this happens whenever audiences change.
          const ends = from !== null && (outcome === "lost" || handle?.digest !== digest)
          const quiet = from === null || outcome === "nothing"
          return {
            _tag: "Chunk",
            digest,
            since: seq,
            messages: ends ? [mustRefetchMessage] : quiet ? [] : [messageOf(from, seq, text)],
            next: { seq: ends || quiet ? (from ?? seq) : seq, place: "0" },
            upToDate: true,
            seq,
            audiences
          } as const
        })
      return { schema, read }
    })

const isSame = (a: ReadonlyArray<Audience>, b: ReadonlyArray<Audience>): boolean =>
  a === b || (a.length === b.length && a.every((audience, i) => audience === b[i]))

const messageOf = (from: Seq, at: Seq, answer: string | null): string => {
  const seq = String(at)
  return JSON.stringify({
    key: messageKey(relation, [seq]),
    value: { seq, from: String(from), answer },
    headers: { operation: "insert", relation, lsn: seq }
  })
}

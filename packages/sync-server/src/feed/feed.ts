/**
 * What tells a client of this project of commits: the answer that a sync would get, sent before it is asked for. The wire
 * is described in sync-core's `Live`.
 *
 * An offset is the commit from which the next message goes on. It stays where it is while there is nothing to tell, so that
 * a client which has heard nothing misses nothing.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import { ClientId, Live, type Principal, type Protocol, type Seq, type SyncApp } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { type ChunkLimits, pull } from "../authority/pull.ts"
import type { Setup } from "../authority/setup.ts"
import { digestOf, invalid, messageKey, type ShapeRequest } from "../shape/protocol.ts"
import type { Chunk, Refetch } from "../shape/read.ts"

export interface FeedOptions {
  readonly sql: SqlClient.SqlClient
  readonly setup: Setup
  readonly app: SyncApp.SyncApp
  /** What is more is not sent: the client asks for it. */
  readonly chunk: ChunkLimits
}

const relation = ["synchrotron", "feed"] as const

const schema = JSON.stringify({
  seq: { type: "int8", not_null: true, pk_index: 0 },
  from: { type: "int8", not_null: true },
  answer: { type: "text" }
})

const isClientId = Schema.is(ClientId)

export const makeFeed =
  ({ app, chunk, setup, sql }: FeedOptions) =>
  (principal: Principal, { client, handle, schema: clientSchema }: ShapeRequest) =>
    Effect.gen(function* () {
      if (!isClientId(client)) return yield* invalid("client: send the id of the client.")
      if (clientSchema !== app.schemaHash)
        return yield* invalid(`schema: the server's is ${app.schemaHash}. Update the older of the two.`)
      const ask = (from: Seq) =>
        pull(sql, setup, { app, chunk }, principal, {
          clientId: client,
          cursors: from,
          seq: from,
          records: [],
          after: null
        })
      const identityOf = ({ audiences, seq }: Protocol.SyncResponse) => ({
        digest: digestOf({
          table: Live.feedTable,
          columns: [client],
          userId: principal.userId,
          schemaHash: app.schemaHash,
          audiences
        }),
        since: seq
      })
      const read = (
        offset: ShapeRequest["offset"]
      ): Effect.Effect<Chunk | Refetch, Protocol.InvalidRequest | SqlError.SqlError> =>
        Effect.gen(function* () {
          const from = typeof offset === "object" ? offset.seq : afterAll
          const answer = yield* ask(from)
          const { audiences, seq } = answer
          const identity = identityOf(answer)
          if (typeof offset === "object" && (handle?.digest !== identity.digest || from > seq))
            return { _tag: "Refetch", ...identity } as const
          const messages = isEmpty(answer) ? [] : [messageOf(from, answer)]
          const next = typeof offset === "object" && messages.length === 0 ? from : seq
          return {
            _tag: "Chunk",
            ...identity,
            messages,
            next: { seq: next, place: "0" },
            upToDate: true,
            seq,
            audiences
          } as const
        }).pipe(
          Effect.catchTag("CursorTooOld", () =>
            Effect.map(ask(afterAll), (now) => ({ _tag: "Refetch", ...identityOf(now) }) as const)
          ),
          // Nothing is older than what is after all.
          Effect.catchTag("CursorTooOld", Effect.die),
          Effect.catchTag("ClientMismatch", ({ message }) => invalid(`client: ${message}`))
        )
      return { schema, read }
    })

/** Nothing comes after it. */
const afterAll = Number.MAX_SAFE_INTEGER as Seq

const isEmpty = ({ next, notices, tables }: Protocol.SyncResponse): boolean =>
  next === null && notices.length === 0 && tables.length === 0

const messageOf = (from: Seq, answer: Protocol.SyncResponse): string => {
  const seq = String(answer.seq)
  return JSON.stringify({
    key: messageKey(relation, [seq]),
    value: {
      seq,
      from: String(from),
      answer: answer.next === null ? JSON.stringify(answer) : null
    },
    headers: { operation: "insert", relation, lsn: seq }
  })
}

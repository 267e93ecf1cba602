/** Synced tables as live shapes: what to read for a request, and when it is worth reading again. */
import { SqlClient, type SqlError } from "@effect/sql"
import { Live, type Principal, type Protocol, type SyncApp } from "@synchrotron/sync-core"
import { Context, Effect, Layer, Runtime } from "effect"
import { Prepared } from "../authority/setup.ts"
import { databaseUnavailable } from "../authority/unavailable.ts"
import { Batches } from "../feed/Batches.ts"
import { makeFeed } from "../feed/feed.ts"
import { type Question, readAll } from "../feed/read.ts"
import type { EventStreamOptions } from "../live/EventStream.ts"
import { Hub, type HubService } from "../live/Hub.ts"
import { Turns } from "../live/Turns.ts"
import { invalid, type ShapeRequest } from "./protocol.ts"
import { type Chunk, type Limits, type Refetch, read } from "./read.ts"
import { type ShapeTable, shapeTables } from "./tables.ts"

export interface LiveOptions {
  /** Clients that wait at the same time, in each server process; 10,000 unless given. More get 503. */
  readonly sessionsMax?: number | undefined
  /** How long a long poll is held when nothing happens, in milliseconds; 20,000 unless given. */
  readonly holdMs?: number | undefined
  /** Silence after which a stream sends a comment, in milliseconds; 21,000 unless given. */
  readonly keepAliveMs?: number | undefined
  /** How long a stream lasts, in milliseconds; 60,000 unless given. */
  readonly streamMs?: number | undefined
  /** How long a client may leave unread what a stream has sent until it is hung up on, in milliseconds; 30,000 unless given. */
  readonly stallMsMax?: number | undefined
  /** Rows that one answer looks at; 2,000 unless given. */
  readonly chunkRows?: number | undefined
  /** Characters of rows after which an answer ends; 2 Mi unless given. */
  readonly chunkChars?: number | undefined
  /** Rows in a message to a client of this project; of more it only hears that there are some: 1,000 unless given. */
  readonly answerRows?: number | undefined
  /** The same in bytes of their values; 256 KiB unless given. */
  readonly answerBytes?: number | undefined
  /** Readings at the same time, so that a commit that wakes many leaves the database to others as well; 4 unless given. */
  readonly readsMax?: number | undefined
}

/** What a client follows. */
export interface Source {
  /** `electric-schema`: types by column, as a JSON text. */
  readonly schema: string
  readonly read: (offset: ShapeRequest["offset"]) => Effect.Effect<Chunk | Refetch, ReadError>
}

export type ReadError = Protocol.InvalidRequest | Protocol.Unavailable

const readsMaxDefault = 4
/** Clients of this project that are answered in one transaction. */
const batchMax = 100

export interface ShapesService {
  readonly find: (
    principal: Principal,
    request: ShapeRequest
  ) => Effect.Effect<Source, Protocol.InvalidRequest>
  readonly hub: HubService
  readonly holdMs: number
  readonly keepAliveMs: number
  readonly streamMs: number
  readonly stallMsMax: number
  /** Runs what goes on after a request, with nothing of it. */
  readonly runFork: EventStreamOptions["runFork"]
}

export class Shapes extends Context.Tag("@synchrotron/sync-server/Shapes")<Shapes, ShapesService>() {}

export const layer = (
  app: SyncApp.SyncApp,
  options: LiveOptions
): Layer.Layer<Shapes, SqlError.SqlError, SqlClient.SqlClient | Prepared | Hub> =>
  Layer.effect(
    Shapes,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const setup = yield* Prepared
      const hub = yield* Hub
      const tables = yield* shapeTables(sql, [...setup.tables.keys()])
      const limits: Limits = {
        chunkRows: options.chunkRows ?? 2000,
        chunkChars: options.chunkChars ?? 2 * 1024 * 1024
      }
      const turns = new Turns(options.readsMax ?? readsMaxDefault)
      const reader = { sql, setup, app, limits }
      const feedReader = {
        ...reader,
        chunk: { rowsMax: options.answerRows ?? 1000, bytesMax: options.answerBytes ?? 256 * 1024 }
      }
      const runFork = Runtime.runFork(yield* Effect.runtime<never>())
      const batches = new Batches({
        answer: (questions: ReadonlyArray<Question>) =>
          turns.take(readAll(feedReader, questions)).pipe(Effect.withSpan("Feed.read")),
        sizeMax: batchMax,
        lanes: options.readsMax ?? readsMaxDefault,
        runFork
      })
      const feed = makeFeed({ app, ask: batches.ask })
      const answered = (
        effect: Effect.Effect<Chunk | Refetch, Protocol.InvalidRequest | SqlError.SqlError>
      ): Effect.Effect<Chunk | Refetch, ReadError> =>
        effect.pipe(
          Effect.tapErrorTag("SqlError", (error) => Effect.logError("A shape could not be read", error)),
          Effect.catchTag("SqlError", databaseUnavailable)
        )
      return {
        find: (principal, request) =>
          Effect.gen(function* () {
            if (request.table === Live.feedTable) {
              const { read, schema } = yield* feed(principal, request)
              return { schema, read: (offset) => answered(read(offset)) } satisfies Source
            }
            const { columns, handle } = request
            const name = request.table.includes(".") ? request.table : `public.${request.table}`
            const table = tables.get(name)
            if (table === undefined)
              return yield* invalid(`table: ${name.slice(0, 100)} is not a synced table of this application.`)
            return {
              schema: yield* schemaOf(table, columns),
              read: (offset) =>
                answered(
                  turns
                    .take(read(reader, { principal, table, columns, handle, offset }))
                    .pipe(Effect.withSpan("Shapes.read"))
                )
            } satisfies Source
          }),
        hub,
        holdMs: options.holdMs ?? 20_000,
        keepAliveMs: options.keepAliveMs ?? 21_000,
        streamMs: options.streamMs ?? 60_000,
        stallMsMax: options.stallMsMax ?? 30_000,
        runFork
      }
    })
  )

/** `electric-schema` of these columns of the table. */
const schemaOf = (table: ShapeTable, columns: ReadonlyArray<string> | null) =>
  Effect.gen(function* () {
    const unknown = columns?.find((column) => !table.columns.has(column))
    if (unknown !== undefined)
      return yield* invalid(
        `columns: ${table.name} has no column ${unknown.slice(0, 100)} that is synced; it has ${[...table.columns.keys()].join(", ")}.`
      )
    const missing = table.keyColumns.find((column) => columns?.includes(column) === false)
    if (missing !== undefined)
      return yield* invalid(`columns: add ${missing}, which is part of the primary key of ${table.name}.`)
    const chosen = [...table.columns].filter(([column]) => columns?.includes(column) ?? true)
    return JSON.stringify(Object.fromEntries(chosen))
  })

/** The authority over any `SqlClient`: PGlite in the process, or Postgres 15 and newer. */
import { SqlClient, type SqlError } from "@effect/sql"
import {
  type DatabaseTooNew,
  Hlc,
  literal,
  type MigrationChanged,
  Protocol,
  type SyncApp,
  type TablesUnsupported
} from "@synchrotron/sync-core"
import { Effect, Layer, Random } from "effect"
import { Authority } from "../Authority.ts"
import { type CompactOptions, compact } from "./compact.ts"
import { judge } from "./judge.ts"
import { pull } from "./pull.ts"
import { retryConflicts } from "./retry.ts"
import { type AuthoritySetupError, Prepared, setup } from "./setup.ts"
import { databaseUnavailable } from "./unavailable.ts"
import { reorderWindowMsDefault, reorderWindowRecordsDefault } from "./window.ts"

export { type Compacted, type CompactOptions, compact, tombstoneMsDefault } from "./compact.ts"
export { AuthoritySetupError, Prepared } from "./setup.ts"
export { reorderWindowMsDefault, reorderWindowRecordsDefault } from "./window.ts"

export interface AuthorityOptions {
  readonly app: SyncApp.SyncApp
  /** Database role as which records are executed and rows are read; made if it is missing. */
  readonly role: string
  /** How far back in time a late arrival may be placed: milliseconds, 7 days unless given. */
  readonly reorderWindowMs?: number | undefined
  /** How many canonical records a late arrival may go before: 10,000 unless given. */
  readonly reorderWindowRecords?: number | undefined
  /** How far a record may be stamped ahead of this server's clock: milliseconds, 5 minutes unless given. */
  readonly driftMsMax?: number | undefined
  /**
   * How long clients that were away can be told which rows are gone: milliseconds, 30 days unless given. Clients that
   * were away for longer fetch all their rows again.
   */
  readonly tombstoneMs?: number | undefined
  /** How often what is before the window and older than tombstones is removed: milliseconds, hourly unless given; 0: never. */
  readonly compactEveryMs?: number | undefined
  /** Rows in one answer; more come in chunks: 10,000 unless given. */
  readonly chunkRowsMax?: number | undefined
  /** About how many bytes of rows are in one answer: 4 MiB unless given. */
  readonly chunkBytesMax?: number | undefined
}

export const compactEveryMsDefault = 60 * 60_000
export const chunkRowsMaxDefault = 10_000
export const chunkBytesMaxDefault = 4 * 1024 * 1024

/** Why a database cannot be prepared; each says what to do. */
export type SetupError =
  | TablesUnsupported
  | DatabaseTooNew
  | MigrationChanged
  | AuthoritySetupError
  | SqlError.SqlError

export const layer = (options: AuthorityOptions): Layer.Layer<Authority, SetupError, SqlClient.SqlClient> =>
  Layer.provide(layerOnPrepared(options), layerPrepared(options))

/** Prepares the database, once for all that is built on it. */
export const layerPrepared = (
  options: Pick<AuthorityOptions, "app" | "role">
): Layer.Layer<Prepared, SetupError, SqlClient.SqlClient> =>
  Layer.effect(
    Prepared,
    Effect.flatMap(SqlClient.SqlClient, (sql) => setup(sql, options.app, options.role))
  )

/** The authority over a database that is prepared. */
export const layerOnPrepared = (
  options: AuthorityOptions
): Layer.Layer<Authority, never, SqlClient.SqlClient | Prepared> =>
  Layer.scoped(
    Authority,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const { app } = options
      const prepared = yield* Prepared
      const judging = {
        app,
        driftMsMax: options.driftMsMax ?? Hlc.driftMsMaxDefault,
        reorderWindowMs: options.reorderWindowMs ?? reorderWindowMsDefault,
        reorderWindowRecords: options.reorderWindowRecords ?? reorderWindowRecordsDefault
      }
      yield* Effect.forkScoped(compactForever(sql, options))
      const pulling = {
        app,
        chunk: {
          rowsMax: options.chunkRowsMax ?? chunkRowsMaxDefault,
          bytesMax: options.chunkBytesMax ?? chunkBytesMaxDefault
        }
      }
      return {
        sync: Effect.fn("Authority.sync")(
          function* (principal, request) {
            yield* checkVersions(app, request)
            if (request.records.length > 0)
              yield* judge(sql, prepared, judging, principal, request).pipe(retryConflicts)
            const response = yield* pull(sql, prepared, pulling, principal, request)
            if (response !== "unknown client") return response
            yield* sql.unsafe(
              `INSERT INTO synchrotron.clients (client_id, user_id) VALUES ('${request.clientId}', ${literal(principal.userId)}) ON CONFLICT DO NOTHING`
            )
            const again = yield* pull(sql, prepared, pulling, principal, request)
            return again === "unknown client"
              ? yield* Effect.dieMessage("a client that was just noted is unknown")
              : again
          },
          Effect.tapErrorTag("SqlError", (error) =>
            Effect.logError("The authority's database failed", error)
          ),
          Effect.catchTag("SqlError", databaseUnavailable)
        ),
        health: sql.unsafe(`${prepared.check};SELECT seq FROM synchrotron.realm`).pipe(
          Effect.map((results) => ({
            seq: (results as unknown as ReadonlyArray<ReadonlyArray<{ seq: number }>>).at(-1)![0]!.seq
          })),
          Effect.mapError(databaseUnavailable)
        )
      }
    })
  )

/** Compacts now and then, apart from what other servers of the database do at that time. */
const compactForever = (
  sql: SqlClient.SqlClient,
  options: CompactOptions & Pick<AuthorityOptions, "compactEveryMs">
) => {
  const everyMs = options.compactEveryMs ?? compactEveryMsDefault
  if (everyMs <= 0) return Effect.void
  return Effect.gen(function* () {
    yield* Effect.sleep(everyMs * (0.5 + (yield* Random.next)))
    const { patches, records, tombstones } = yield* compact(sql, options)
    if (records + tombstones > 0)
      yield* Effect.logInfo(
        `Compacted ${records} records with ${patches} patches, and removed ${tombstones} tombstones`
      )
  }).pipe(
    Effect.catchAllCause((cause) => Effect.logError("Compaction failed; the next one goes on", cause)),
    Effect.forever
  )
}

const checkVersions = (app: SyncApp.SyncApp, request: Protocol.WireRequest) => {
  const pairs = [
    ["protocol", String(Protocol.protocolVersion), String(request.protocol)],
    ["application", app.name, request.app],
    ["schema", app.schemaHash, request.schema]
  ] as const
  const different = pairs.find(([, expected, actual]) => expected !== actual)
  return different === undefined
    ? Effect.void
    : new Protocol.SchemaMismatch({
        message: `The server has ${different[0]} ${different[1]}, the client ${different[2]}. Update the older of the two; pending records are kept until then.`,
        expected: different[1],
        actual: different[2]
      })
}

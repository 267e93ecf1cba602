/** Opens the local database, and says what is wrong when there is one that cannot be opened. */
import { Reactivity } from "@effect/experimental"
import type { SqlClient, SqlError } from "@effect/sql"
import {
  PgliteClient,
  type PgliteClientOptions,
  type PgliteLocked,
  type PgliteSqlClient,
  Store
} from "@synchrotron/sql-pglite"
import { Effect, type Scope } from "effect"
import * as DatabaseLock from "../DatabaseLock.ts"
import { type DatabaseInUse, StoreUnusable } from "../Errors.ts"
import type { StatusStore } from "../Status.ts"
import { resolve } from "./choose.ts"
import * as Room from "./room.ts"

export interface Opened {
  readonly sql: PgliteSqlClient
  readonly room: Room.Room
  /** Makes of an error of preparing this database what it means for an application. */
  readonly explain: <E extends { readonly _tag: string }>(error: E) => Effect.Effect<never, E | StoreUnusable>
}

export const open = (
  options: PgliteClientOptions & { readonly dataDir: string; readonly status: StatusStore }
): Effect.Effect<Opened, DatabaseInUse | PgliteLocked | StoreUnusable | SqlError.SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const { dataDir: given, status, ...pglite } = options
    const chosen = yield* Effect.promise(() => resolve(given))
    let room: Room.Room | undefined
    const openAt = (dataDir: string) =>
      Effect.gen(function* () {
        yield* DatabaseLock.acquire(dataDir)
        const existed = yield* Effect.promise(() => Store.exists(dataDir).catch(() => false))
        const makeRoom = async (cause: unknown) => (await room?.make(cause)) ?? false
        const sql = yield* Effect.provide(
          PgliteClient.make({ ...pglite, dataDir, makeRoom }),
          Reactivity.layer
        ).pipe(Effect.catchTag("SqlError", (cause) => (existed ? diagnose(dataDir, cause) : cause)))
        return { sql, dataDir, existed }
      })
    const { dataDir, existed, sql } = yield* openAt(chosen.dataDir).pipe(
      Effect.catchTag("SqlError", (error) =>
        chosen.fallback === undefined ? Effect.fail(error) : openAt(chosen.fallback)
      )
    )
    room = yield* Room.watch(dataDir, status)
    return {
      sql,
      room,
      explain: (error) => {
        const reason =
          error._tag === "DatabaseTooNew"
            ? "too-new"
            : error._tag === "SqlError" && existed
              ? "damaged"
              : undefined
        return reason === undefined
          ? Effect.fail(error)
          : Effect.flatMap(
              unsentIn(sql),
              (unsent) => new StoreUnusable({ reason, dataDir, unsent, cause: error })
            )
      }
    }
  })

/** Whether it is the store: a database in memory does not start either when PGlite's files could not be loaded. */
const diagnose = (
  dataDir: string,
  cause: SqlError.SqlError
): Effect.Effect<never, StoreUnusable | SqlError.SqlError> =>
  Effect.scoped(PgliteClient.make({ dataDir: "memory://" })).pipe(
    Effect.provide(Reactivity.layer),
    Effect.matchEffect({
      onFailure: () => Effect.fail(cause),
      onSuccess: () => new StoreUnusable({ reason: "damaged", dataDir, unsent: null, cause })
    })
  )

/** Read without preparing the database, whatever version it is of; null when that is not possible. */
const unsentIn = (sql: SqlClient.SqlClient): Effect.Effect<StoreUnusable["unsent"]> =>
  sql
    .unsafe<{ id: string; name: string; version: number; args: string; hlc: string }>(
      "SELECT id, name, version, args, hlc FROM synchrotron.records WHERE status = 'pending' ORDER BY hlc"
    )
    .pipe(
      Effect.map((rows) => rows.map((row) => ({ ...row, args: JSON.parse(row.args) as unknown }))),
      Effect.catchAllCause(() => Effect.succeed(null))
    )

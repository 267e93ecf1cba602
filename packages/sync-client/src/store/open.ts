/** Opens the local database, and says what is wrong when there is one that cannot be opened. */
import { Reactivity } from "@effect/experimental"
import type { SqlClient, SqlError } from "@effect/sql"
import {
  PgliteClient,
  type PgliteClientOptions,
  type PgliteLocked,
  type PgliteSqlClient,
  Store,
  sqlState
} from "@synchrotron/sql-pglite"
import { Effect, type Scope } from "effect"
import * as DatabaseLock from "../DatabaseLock.ts"
import { type DatabaseInUse, type StorageFull, StoreUnusable } from "../Errors.ts"
import type { StatusStore } from "../Status.ts"
import { canOpfs, resolve } from "./choose.ts"
import { isFull } from "./isFull.ts"
import * as Room from "./room.ts"

export interface Opened {
  readonly sql: PgliteSqlClient
  readonly room: Room.Room
  /** Makes of an error of preparing this database what it means for an application. */
  readonly explain: <E extends { readonly _tag: string }>(
    error: E
  ) => Effect.Effect<never, E | StoreUnusable | StorageFull>
}

export const open = (
  options: PgliteClientOptions & { readonly dataDir: string; readonly status: StatusStore }
): Effect.Effect<
  Opened,
  DatabaseInUse | PgliteLocked | StoreUnusable | StorageFull | SqlError.SqlError,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const { dataDir: given, status, ...pglite } = options
    const chosen = yield* Effect.promise(() => resolve(given))
    const openAt = (dataDir: string) =>
      Effect.gen(function* () {
        yield* DatabaseLock.acquire(dataDir)
        const existed = yield* Effect.promise(() => Store.exists(dataDir).catch(() => false))
        const room = Room.make(dataDir, status)
        const sql = yield* PgliteClient.make({ ...pglite, dataDir, makeRoom: room.make }).pipe(
          Effect.provide(Reactivity.layer),
          room.start,
          Effect.catchTag("SqlError", (cause) => (existed ? diagnose(dataDir, cause) : cause))
        )
        return { sql, dataDir, existed, room }
      })
    const { dataDir, existed, room, sql } = yield* openAt(chosen.dataDir).pipe(
      Effect.catchTag("SqlError", (error) =>
        chosen.fallback === undefined ? Effect.fail(error) : openAt(chosen.fallback)
      )
    )
    yield* room.watch
    return {
      sql,
      room,
      explain: (error) => {
        if (error._tag === "SqlError" && isFull(error)) return room.full
        const reason =
          error._tag === "DatabaseTooNew"
            ? "too-new"
            : error._tag === "SqlError" && existed && isOfFiles(error)
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

/** A statement that Postgres refuses, such as one of an application's migrations, says nothing about the files. */
const isOfFiles = (error: unknown): boolean => /^(?:XX|58|F0|08)/.test(sqlState(error) ?? "XX")

/**
 * Whether it is the store: where PGlite's files could not be loaded, a database in memory does not start either, and where
 * no files can be kept open, none of this kind does.
 */
const diagnose = (
  dataDir: string,
  cause: SqlError.SqlError
): Effect.Effect<never, StoreUnusable | SqlError.SqlError> =>
  Effect.scoped(PgliteClient.make({ dataDir: "memory://" })).pipe(
    Effect.provide(Reactivity.layer),
    Effect.zipRight(Effect.promise(async () => !dataDir.startsWith("opfs-ahp://") || (await canOpfs()))),
    Effect.matchEffect({
      onFailure: () => Effect.fail(cause),
      onSuccess: (canOpen): Effect.Effect<never, StoreUnusable | SqlError.SqlError> =>
        canOpen
          ? Effect.fail(new StoreUnusable({ reason: "damaged", dataDir, unsent: null, cause }))
          : Effect.fail(cause)
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

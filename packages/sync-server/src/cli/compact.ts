/** `synchrotron-server compact`: removes now what the server removes by itself now and then. */
import { existsSync } from "node:fs"
import { Command } from "@effect/cli"
import { SqlClient, type SqlError } from "@effect/sql"
import type { PgliteLocked } from "@synchrotron/sql-pglite"
import { Execution } from "@synchrotron/sync-core"
import { Clock, Console, Effect } from "effect"
import { type Compacted, compact as run } from "../authority/compact.ts"
import * as database from "../database.ts"
import { databaseOf, databaseOptions, retention, retentionOf } from "./database.ts"
import { CommandFailed, sentence } from "./failure.ts"

/** Progress is told no more often than this. */
const progressMs = 1000

export const compact = Command.make("compact", { ...databaseOptions, ...retention }, (options) =>
  Effect.gen(function* () {
    const where = databaseOf(options)
    const name = database.describe(where)
    if (where._tag === "embedded" && !where.dataDir.includes("://") && !existsSync(where.dataDir))
      return yield* new CommandFailed({ message: `There is no ${name}. Name it with --data-dir.` })
    const beganMs = yield* Clock.currentTimeMillis
    let toldMs = beganMs
    const onProgress = (soFar: Compacted) =>
      Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
        if (nowMs - toldMs < progressMs) return Effect.void
        toldMs = nowMs
        return Console.log(`${told(soFar)} …`)
      })
    const done = yield* Effect.flatMap(SqlClient.SqlClient, (sql) =>
      run(sql, { ...retentionOf(options), onProgress })
    ).pipe(
      Effect.provide(database.layer(where)),
      Effect.scoped,
      Effect.mapError((error) => new CommandFailed({ message: explain(error, name) }))
    )
    const seconds = ((yield* Clock.currentTimeMillis) - beganMs) / 1000
    yield* Console.log(
      done.yielded
        ? `${told(done)}. Another process is compacting ${name}, and does the rest.`
        : `${told(done)} in ${seconds.toFixed(1)} s. The database uses their space again${where._tag === "postgres" ? " after its next vacuum" : ""}.`
    )
  })
).pipe(
  Command.withDescription(
    "Removes what no sync needs any more: patches and long args of records before the reorder window, and old tombstones. Syncs go on meanwhile. A running server does it by itself"
  )
)

const told = ({ patches, records, tombstones }: Compacted) =>
  `Freed ${patches} patches of ${records} records, and ${tombstones} tombstones`

const explain = (error: SqlError.SqlError | PgliteLocked, where: string) =>
  // No such table or column: this is no database of the server, or of an earlier version of it.
  /^42(P01|703)$/.test(Execution.sqlState(error) ?? "")
    ? `The ${where} is not set up for this version of the server. Start the server on it once.`
    : error._tag === "SqlError"
      ? `The database cannot be used (${where}): ${sentence(error)}`
      : sentence(error)

/**
 * Prepares a database: the engine's schema, the application's migrations, capture on the synced tables. Runs at each
 * start; when nothing changed it costs one query.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import { Effect } from "effect"
import { DatabaseTooNew, MigrationChanged, type TablesUnsupported } from "./Errors.ts"
import * as Execution from "./Execution.ts"
import type { SyncApp } from "./SyncApp.ts"
import { type Side, tableSql } from "./sql/capture.ts"
import { determinismSql } from "./sql/determinism.ts"
import { engineSql } from "./sql/engine.ts"
import { inspect, type TableShape } from "./sql/inspect.ts"
import { dispatchSql } from "./sql/put.ts"
import { literal } from "./sql/text.ts"

export interface InstallOptions {
  readonly app: SyncApp
  readonly side: Side
  /** The side's own schema, idempotent. */
  readonly sideSql: string
  /** Runs before pending migrations of a database that is in use. */
  readonly beforeMigrations?: Effect.Effect<void, SqlError.SqlError>
}

export interface Installed {
  readonly migrated: boolean
  readonly changed: boolean
  readonly mode: Omit<Execution.Mode, "role">
  /** Synced tables that were not synced here before. */
  readonly added: ReadonlyArray<string>
}

/** Call it inside a transaction that no other installer can share. */
export const install = (
  sql: SqlClient.SqlClient,
  options: InstallOptions
): Effect.Effect<Installed, TablesUnsupported | DatabaseTooNew | MigrationChanged | SqlError.SqlError> =>
  Effect.gen(function* () {
    const { app, side } = options
    yield* sql.unsafe(Execution.prepare)
    const hash = hashOf([
      engineSql,
      determinismSql,
      options.sideSql,
      app.migrations,
      app.tables,
      ...examples.map((shape) => tableSql(shape, side)),
      dispatchSql
    ])
    const known = yield* sql.unsafe<{ exists: boolean }>(
      "SELECT to_regclass('synchrotron.installed') IS NOT NULL AS exists"
    )
    const installed = known[0]!.exists
      ? yield* sql.unsafe<{ hash: string }>("SELECT hash FROM synchrotron.installed")
      : []
    let migrated = false
    let shapes: ReadonlyArray<TableShape> = []
    let added: ReadonlyArray<string> = []
    const changed = installed[0]?.hash !== hash
    if (changed) {
      yield* sql.unsafe(`${determinismSql}${engineSql}${options.sideSql}`)
      const todo = yield* migrationsToDo(sql, app)
      if (todo.length > 0 && known[0]!.exists && options.beforeMigrations) yield* options.beforeMigrations
      for (const { migration, position } of todo) {
        // A migration writes as a record of its own: defaults repeat on every replica, and its patches are dropped,
        // because after a migration every client fetches its rows again.
        const record = Execution.uuidOf(`migration:${migration.id}`)
        // A line of its own, because the first part may end in a comment.
        const text = side === "server" ? `${migration.sql}\n;${migration.serverSql ?? ""}` : migration.sql
        yield* sql.unsafe(
          `SELECT set_config('synchrotron.record', '${record}', true), set_config('synchrotron.draws', '', true)`
        )
        yield* sql.unsafe(text)
        yield* sql.unsafe(
          `${Execution.prepare};SELECT set_config('synchrotron.record', '', true);DELETE FROM synchrotron.patches WHERE record_id = '${record}';INSERT INTO synchrotron.migrations (id, position, hash) VALUES (${literal(migration.id)}, ${position}, ${literal(migrationHash(migration))})`
        )
        migrated = true
      }
      const before = new Set(
        (yield* sql.unsafe<{ name: string }>("SELECT name FROM synchrotron.tables")).map((t) => t.name)
      )
      shapes = yield* inspect(sql, app.tables)
      added = shapes.map((shape) => shape.fullName).filter((name) => !before.has(name))
      yield* sql.unsafe(
        [leftoversSql, ...shapes.map((shape) => tableSql(shape, side)), dispatchSql].join("\n")
      )
      yield* sql.unsafe(
        `INSERT INTO synchrotron.installed (hash) VALUES (${literal(hash)}) ON CONFLICT (singleton) DO UPDATE SET hash = excluded.hash`
      )
    }
    const deferrable = yield* sql.unsafe<{ name: string; deferred: boolean }>(
      `SELECT format('%I.%I', n.nspname, c.conname) AS name, c.condeferred AS deferred FROM pg_constraint c
       JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.condeferrable AND n.nspname <> 'synchrotron' ORDER BY 1`
    )
    const mode = {
      deferrable: deferrable.length > 0,
      deferredConstraints: deferrable.filter((d) => d.deferred).map((d) => d.name)
    }
    return { migrated, changed, added, mode }
  })

/** What is generated for these is another text whenever anything is generated in another way. */
const examples = [false, true].map((either): TableShape => {
  const column = { type: "text", generated: false, default: null, expression: null, identity: false }
  return {
    schema: "s",
    name: "t",
    fullName: "s.t",
    columns: [
      { ...column, name: "id" },
      { ...column, name: "value" },
      { ...column, name: "twice", generated: true, expression: "value || value" }
    ],
    keyColumns: ["id"],
    audience: "value",
    interleaves: either,
    upserts: !either,
    lateConstraints: either
      ? [
          {
            name: "once",
            parts: [{ expression: "value", operator: "=" }],
            nullsDistinct: true,
            predicate: "true",
            sqlState: "23505"
          }
        ]
      : []
  }
})

/** What earlier versions needed until here. */
const leftoversSql =
  "ALTER TABLE synchrotron.tables DROP COLUMN IF EXISTS diff_sql, DROP COLUMN IF EXISTS delete_sql, DROP COLUMN IF EXISTS insert_sql;"

const migrationsToDo = (sql: SqlClient.SqlClient, app: SyncApp) =>
  Effect.gen(function* () {
    const done = yield* sql.unsafe<{ id: string; hash: string }>(
      "SELECT id, hash FROM synchrotron.migrations ORDER BY position"
    )
    const known = new Map(app.migrations.map((m) => [m.id, migrationHash(m)]))
    const unknown = done.filter((d) => !known.has(d.id))
    if (unknown.length > 0) return yield* new DatabaseTooNew({ unknownMigrations: unknown.map((d) => d.id) })
    const changed = done.find((d) => known.get(d.id) !== d.hash)
    if (changed) return yield* new MigrationChanged({ id: changed.id })
    const doneIds = new Set(done.map((d) => d.id))
    return app.migrations
      .map((migration, position) => ({ migration, position }))
      .filter(({ migration }) => !doneIds.has(migration.id))
  })

const migrationHash = (migration: SyncApp["migrations"][number]): string =>
  hashOf([migration.id, migration.sql])

const hashOf = (value: unknown): string => bytesToHex(sha256(utf8ToBytes(JSON.stringify(value)))).slice(0, 32)

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
  /** Runs before a database that is in use is migrated. */
  readonly beforeMigrations?: Effect.Effect<void, SqlError.SqlError>
}

export interface Installed {
  /** Whether the application has another schema than before: migrations, tables, or their audiences. */
  readonly migrated: boolean
  readonly changed: boolean
  readonly mode: Omit<Execution.Mode, "role">
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
    // A database of an earlier version lacks schema_hash.
    const [installed] = known[0]!.exists
      ? yield* sql.unsafe<{ hash: string; schema_hash?: string }>("SELECT * FROM synchrotron.installed")
      : []
    const changed = installed?.hash !== hash
    const migrated = installed?.schema_hash !== app.schemaHash
    if (changed) {
      yield* sql.unsafe(`${determinismSql}${engineSql}${options.sideSql}`)
      const todo = yield* migrationsToDo(sql, app)
      if (migrated && known[0]!.exists && options.beforeMigrations) yield* options.beforeMigrations
      yield* sql.unsafe(dropGeneratedSql)
      for (const { migration, position } of todo) {
        // A migration writes as a record of its own, so that defaults repeat on every replica. Nothing captures what it
        // writes: after it every client fetches its rows again.
        const record = Execution.uuidOf(`migration:${migration.id}`)
        // A line of its own, because the first part may end in a comment.
        const text = side === "server" ? `${migration.sql}\n;${migration.serverSql ?? ""}` : migration.sql
        yield* sql.unsafe(
          `SELECT set_config('synchrotron.record', '${record}', true), set_config('synchrotron.draws', '', true)`
        )
        yield* sql.unsafe(text)
        yield* sql.unsafe(
          `${Execution.prepare};SELECT set_config('synchrotron.record', '', true);INSERT INTO synchrotron.migrations (id, position, hash) VALUES (${literal(migration.id)}, ${position}, ${literal(migrationHash(migration))})`
        )
      }
      const shapes = yield* inspect(sql, app.tables)
      yield* sql.unsafe([...shapes.map((shape) => tableSql(shape, side)), dispatchSql].join("\n"))
      yield* sql.unsafe(
        `INSERT INTO synchrotron.installed (hash, schema_hash) VALUES (${literal(hash)}, ${literal(app.schemaHash)})
         ON CONFLICT (singleton) DO UPDATE SET hash = excluded.hash, schema_hash = excluded.schema_hash`
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
    return { migrated, changed, mode }
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

/**
 * Removes what was generated for tables, which are then generated anew: those that are not synced any more are left with
 * nothing, and migrations write without captures that name columns of before.
 */
const dropGeneratedSql = `
DELETE FROM synchrotron.tables;
ALTER TABLE synchrotron.tables DROP COLUMN IF EXISTS diff_sql, DROP COLUMN IF EXISTS delete_sql, DROP COLUMN IF EXISTS insert_sql;
DO $do$
DECLARE
  generated record;
BEGIN
  FOR generated IN
    SELECT 1 AS place, format('TRIGGER %I ON %s', g.tgname, g.tgrelid::regclass) AS name FROM pg_trigger AS g
    WHERE g.tgname LIKE '!synchrotron%' AND g.tgparentid = 0
    UNION ALL SELECT 2, 'FUNCTION ' || p.oid::regprocedure FROM pg_proc AS p
    WHERE p.pronamespace = 'synchrotron'::regnamespace AND p.proname ~ '^(put|capture|truncate) '
    UNION ALL SELECT 3, 'TABLE ' || c.oid::regclass FROM pg_class AS c
    WHERE c.relnamespace = 'synchrotron'::regnamespace AND c.relname ~ '^staged ' AND c.relkind = 'r'
    ORDER BY 1
  LOOP
    EXECUTE 'DROP ' || generated.name;
  END LOOP;
END $do$;`

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

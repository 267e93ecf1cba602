/** Rows and sequences of a database whose schema does not change any more: kept as SQL, and put back. */
import type { SqlClient, SqlError } from "@effect/sql"
import { identifier, literal } from "@synchrotron/sync-core"
import { Effect } from "effect"

export interface Storage {
  /** What there is now, for `load`. Two reads. */
  readonly save: Effect.Effect<string, SqlError.SqlError>
  /**
   * Makes everything be what `save` gave; or what it was when the storage was made, in files made anew, so that rows lie
   * as they lay then. That takes three times as long.
   */
  readonly load: (saved?: string) => Effect.Effect<void, SqlError.SqlError>
}

/** Tables that a run cannot change. */
const fixed = new Set(["synchrotron.tables", "synchrotron.installed", "synchrotron.migrations"])

/** The session must be a superuser's, or one that may set session_replication_role. */
export const make = (sql: SqlClient.SqlClient): Effect.Effect<Storage, SqlError.SqlError> =>
  Effect.gen(function* () {
    const found = yield* sql.unsafe<{ schema: string; name: string; columns: ReadonlyArray<string> }>(
      `SELECT n.nspname AS schema, c.relname AS name, ARRAY(
         SELECT a.attname::text FROM pg_attribute AS a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum) AS columns
       FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
       WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2`
    )
    const tables = found
      .filter(({ name, schema }) => !fixed.has(`${schema}.${name}`))
      .map(({ columns, name, schema }) => ({ name: `${identifier(schema)}.${identifier(name)}`, columns }))
    const each = (select: (name: string) => string) =>
      tables.map(({ name }, index) => `SELECT ${index} AS index, ${select(name)}`).join(" UNION ALL ")
    const rowsSql = each((name) => `(SELECT json_agg(t::text) FROM ${name} AS t) AS rows`)
    const filledSql = each((name) => `EXISTS (SELECT FROM ${name}) AS filled`)

    const save = Effect.gen(function* () {
      const fills: Array<string> = []
      for (const { index, rows } of yield* sql.unsafe<{ index: number; rows: ReadonlyArray<string> | null }>(
        rowsSql
      )) {
        if (rows === null) continue
        const { columns, name } = tables[index]!
        const names = columns.map(identifier)
        fills.push(
          `INSERT INTO ${name} (${names.join(", ")}) OVERRIDING SYSTEM VALUE SELECT ${names.map((c) => `(x.r).${c}`).join(", ")} FROM (SELECT v::${name} AS r FROM unnest(ARRAY[${rows.map(literal).join(", ")}]) AS v) AS x`
        )
      }
      const sequences = yield* sql.unsafe<{ name: string; value: string; used: boolean }>(
        `SELECT format('%I.%I', schemaname, sequencename) AS name, coalesce(last_value, start_value)::text AS value, last_value IS NOT NULL AS used
         FROM pg_sequences ORDER BY 1`
      )
      const sets = sequences.map(({ name, used, value }) => `setval(${literal(name)}, ${value}, ${used})`)
      return [...fills, ...(sets.length === 0 ? [] : [`SELECT ${sets.join(", ")}`])].join(";")
    })

    const blank = yield* save
    return {
      save,
      load: (saved) =>
        Effect.gen(function* () {
          const filled = yield* sql.unsafe<{ index: number; filled: boolean }>(filledSql)
          const names = filled.flatMap(({ filled, index }) => (filled ? tables[index]!.name : []))
          const empties =
            saved !== undefined
              ? names.map((name) => `DELETE FROM ${name}`)
              : names.length === 0
                ? []
                : [`TRUNCATE ${names.join(", ")} CASCADE`]
          yield* sql.unsafe(
            [
              "SET session_replication_role = replica",
              ...empties,
              saved ?? blank,
              "SET session_replication_role = origin"
            ].join(";")
          )
        })
    }
  })

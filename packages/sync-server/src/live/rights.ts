/**
 * Which tables decide who holds which audiences, so that only commits that touch them make the server ask again. It
 * follows names: from the audiences' query through views, functions and policies. A word that only looks like a name
 * costs a question too many. A table that is named in dynamic SQL alone is missed, and whoever waits then learns of its
 * new audiences at the latest when its wait ends.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import type { SyncApp } from "@synchrotron/sync-core"
import { Effect } from "effect"

/** Something that SQL can name, and the SQL that using it executes. */
export interface Named {
  readonly name: string
  /** Schema-qualified; null when it is no table. */
  readonly table: string | null
  readonly text: string
}

/** Names of all tables that the query reads, as far as words tell. */
export const tablesOf = (query: string, objects: ReadonlyArray<Named>): ReadonlySet<string> => {
  const reached = new Set<Named>()
  const visit = (text: string): void => {
    const words = new Set(text.toLowerCase().match(/[\p{L}\p{N}_$]+/gu))
    for (const object of objects) {
      const name = object.name.toLowerCase()
      // A name that is no single word may stand anywhere.
      if (reached.has(object) || !(words.has(name) || /[^\p{L}\p{N}_$]/u.test(name))) continue
      reached.add(object)
      visit(object.text)
    }
  }
  visit(query)
  return new Set([...reached].flatMap(({ table }) => table ?? []))
}

/** The tables on which the principals' audiences depend. One round trip. */
export const rightsTables = (
  sql: SqlClient.SqlClient,
  app: SyncApp.SyncApp
): Effect.Effect<ReadonlySet<string>, SqlError.SqlError> =>
  Effect.map(sql.unsafe<Named>(objectsSql), (objects) => tablesOf(app.audiences, objects))

const objectsSql = `
WITH own AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$|synchrotron)')
SELECT c.relname::text AS name, CASE WHEN c.relkind IN ('r', 'p') THEN own.nspname || '.' || c.relname END AS table,
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid)
    ELSE coalesce((SELECT string_agg(pg_get_expr(p.polqual, p.polrelid), ' ') FROM pg_policy AS p WHERE p.polrelid = c.oid), '')
  END AS text
FROM pg_class AS c JOIN own ON own.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT p.proname, NULL, concat_ws(' ', p.prosrc, pg_get_function_sqlbody(p.oid))
FROM pg_proc AS p JOIN own ON own.oid = p.pronamespace WHERE p.prokind = 'f'`

/** Which synced tables a query reads, so that it runs again only when one of them changed. */
import { Effect } from "effect"
import type { Query } from "./Reader.ts"

/** `"all"`: anything may change its rows, because it calls functions or reads what is not synced. */
export type QueryTables = ReadonlySet<string> | "all"

/** What the database has besides tables: whoever calls these may read anything. */
export type FunctionNames = ReadonlyArray<string>

/** Names of the application's functions in SQL and PL languages. Migrations run at opening only, so once is enough. */
export const functionNames = (
  query: Query
): Effect.Effect<FunctionNames, Effect.Effect.Error<ReturnType<Query>>> =>
  Effect.map(
    query(
      `SELECT DISTINCT p.proname::text AS name FROM pg_catalog.pg_proc p
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         JOIN pg_catalog.pg_language l ON l.oid = p.prolang
       WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'synchrotron', 'synchrotron_det')
         AND l.lanname NOT IN ('internal', 'c')`
    ),
    (rows) => rows.map(({ name }) => name as string)
  )

/**
 * The tables of a query with these parameters, from the planner: views are resolved, and a table that the
 * planner proved irrelevant is left out. Needs one EXPLAIN. When it cannot tell, it says `"all"`.
 */
export const find = (
  query: Query,
  options: {
    readonly sql: string
    readonly params: ReadonlyArray<unknown>
    /** Names of the synced tables, such as `public.todos`. */
    readonly synced: ReadonlySet<string>
    readonly functions: FunctionNames
  }
): Effect.Effect<QueryTables> =>
  query(`EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) ${options.sql}`, options.params).pipe(
    Effect.map((rows) => {
      const plan: unknown = rows[0]?.["QUERY PLAN"]
      const text = `${options.sql}\n${JSON.stringify(plan)}`
      return calls(text, options.functions) ? ("all" as const) : tablesOf(plan, options.synced)
    }),
    Effect.orElseSucceed(() => "all" as const)
  )

/** Whether a change of `changed` can change the rows of a query that reads `tables`. */
export const touches = (tables: QueryTables, changed: ReadonlySet<string>): boolean => {
  if (tables === "all") return true
  for (const table of changed) if (tables.has(table)) return true
  return false
}

/** Collects the relations of a plan, wherever they stand in it: children, sub-plans, CTEs. */
export const tablesOf = (plan: unknown, synced: ReadonlySet<string>): QueryTables => {
  const tables = new Set<string>()
  let known = true
  const walk = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return
    const { "Relation Name": relation, Schema: schema } = node as Readonly<Record<string, unknown>>
    if (typeof relation === "string") {
      const name = `${schema}.${relation}`
      if (synced.has(name)) tables.add(name)
      else if (schema !== "pg_catalog" && schema !== "information_schema") known = false
    }
    for (const child of Object.values(node)) walk(child)
  }
  walk(plan)
  return known ? tables : "all"
}

/** Whether a text, SQL or a plan, calls one of the functions. It may say yes too often, and never no wrongly. */
const calls = (text: string, functions: FunctionNames): boolean =>
  functions.some((name) => new RegExp(`${escape(name)}"?\\\\?"?\\s*\\(`, "i").test(text))

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** A database client whose statements are rewritten on their way: how planted bugs get in. */
import type { SqlClient } from "@effect/sql"
import type { PgliteSqlClient } from "@synchrotron/sql-pglite"
import { Effect } from "effect"

/** The authority's look at the records after a late arrival. */
const crossing =
  /^SELECT id, hlc, user_id, claims, name, version, args FROM synchrotron\.records WHERE hlc > \$1/

export const tamper = <Sql extends SqlClient.SqlClient>(
  sql: Sql,
  rewrite: ((text: string) => string) | undefined,
  withTransaction?: SqlClient.SqlClient["withTransaction"],
  /** Told how many canonical records a late arrival goes before. */
  onCrossed?: (records: number) => void
): Sql => {
  if (rewrite === undefined && withTransaction === undefined) return sql
  const change = rewrite ?? ((text: string) => text)
  const unsafe = ((text: string, params?: ReadonlyArray<unknown>) => {
    const statement = sql.unsafe(change(text), params as Array<unknown>)
    return onCrossed !== undefined && crossing.test(text)
      ? Effect.tap(statement, (rows) =>
          Effect.sync(() => {
            if (rows.length > 0) onCrossed(rows.length)
          })
        )
      : statement
  }) as Sql["unsafe"]
  /** PGlite's only. */
  const pipeline: PgliteSqlClient["pipeline"] = (statements) =>
    (sql as unknown as PgliteSqlClient).pipeline(
      statements.map((statement) => ({ ...statement, sql: change(statement.sql) }))
    )
  return new Proxy(sql, {
    get: (target, property, receiver) =>
      property === "unsafe"
        ? unsafe
        : property === "pipeline"
          ? pipeline
          : property === "withTransaction" && withTransaction !== undefined
            ? withTransaction
            : Reflect.get(target, property, receiver)
  })
}

/** The purity check: what an action does must follow from the state and the record alone (I8). */
import type { SqlClient } from "@effect/sql"
import { Cause, Effect, Exit, Option } from "effect"
import { Impure } from "./Errors.ts"
import * as Execution from "./Execution.ts"
import { puttingSql } from "./sql/put.ts"

/** Undoes what the record did, executes it again, and compares; the state after is that of the second run. */
export const checkPurity = (sql: SqlClient.SqlClient, name: string, record: Execution.Executable) =>
  Effect.gen(function* () {
    const read = sql.unsafe<{ tbl: string; key: string; before: unknown; after: unknown }>(
      "SELECT tbl, key, before, after FROM synchrotron.patches WHERE record_id = $1 ORDER BY tbl, key, n",
      [record.id]
    )
    const first = yield* read
    yield* sql.unsafe(
      puttingSql(
        "SELECT DISTINCT ON (tbl, key) tbl, key, before AS image FROM synchrotron.patches WHERE record_id = $1 ORDER BY tbl, key, n"
      ),
      [record.id]
    )
    yield* sql.unsafe("DELETE FROM synchrotron.patches WHERE record_id = $1", [record.id])
    yield* Execution.enter(sql, record)
    const again = yield* Effect.exit(Execution.perform(sql, record))
    if (Exit.isFailure(again)) {
      return yield* new Impure({
        action: name,
        difference: `the second execution failed: ${Option.match(Cause.failureOption(again.cause), { onNone: () => Cause.pretty(again.cause), onSome: String })}`
      })
    }
    const second = yield* read
    const length = Math.max(first.length, second.length)
    for (let i = 0; i < length; i++) {
      const [a, b] = [JSON.stringify(first[i] ?? null), JSON.stringify(second[i] ?? null)]
      if (a !== b) return yield* new Impure({ action: name, difference: `first:  ${a}\nsecond: ${b}` })
    }
  })

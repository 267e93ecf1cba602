/**
 * Executions whose caller may not hear the answer, as when it is another process that goes on without this one: what each
 * gave is kept in the transaction that executed it, and told to whoever asks again.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import { Effect } from "effect"
import { AnswerLost } from "./Errors.ts"
import type { Hlc } from "./Hlc.ts"
import type { RecordId } from "./Ids.ts"
import { findAnswerSql, forgetOldAnswersSql, keepAnswerSql } from "./sql/client.ts"

/** Says which execution it is, so that it may be asked for again. */
export interface Call {
  /** The record's id, chosen by the caller. */
  readonly id: RecordId
  /** Whether it was asked for before. Then it is executed only if it has not been. */
  readonly again: boolean
  /** Earlier calls of which the answers were heard, and need not be kept. */
  readonly heard: ReadonlyArray<RecordId>
}

interface Answer {
  readonly id: RecordId
  readonly hlc: Hlc
  readonly value: unknown
}

/** Within the transaction of the execution. */
export const keep = (
  sql: SqlClient.SqlClient,
  { heard, id }: Call,
  { hlc, value }: Pick<Answer, "hlc" | "value">
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.asVoid(
    sql.unsafe(keepAnswerSql, [
      id,
      hlc,
      value === undefined ? "[]" : isJson(value) ? JSON.stringify([value]) : null,
      heard
    ])
  )

/** What the call gave when it was asked for before; null when it has not been executed. */
export const find = (
  sql: SqlClient.SqlClient,
  id: RecordId
): Effect.Effect<Answer | null, AnswerLost | SqlError.SqlError> =>
  Effect.flatMap(sql.unsafe<{ hlc: Hlc; value: string | null }>(findAnswerSql, [id]), ([row]) =>
    row === undefined
      ? Effect.succeed(null)
      : row.value === null
        ? new AnswerLost({ id })
        : Effect.succeed({ id, hlc: row.hlc, value: (JSON.parse(row.value) as ReadonlyArray<unknown>)[0] })
  )

/** A caller asks again when another process takes over, and not the day after. */
export const forgetOld = (sql: SqlClient.SqlClient): Effect.Effect<void, SqlError.SqlError> =>
  Effect.asVoid(sql.unsafe(forgetOldAnswersSql))

/** Whether JSON holds the value as it is. */
const isJson = (value: unknown): boolean =>
  value === null || typeof value === "string" || typeof value === "boolean"
    ? true
    : typeof value === "number"
      ? Number.isFinite(value) && !Object.is(value, -0)
      : Array.isArray(value)
        ? value.every(isJson)
        : typeof value === "object" &&
          Object.getPrototypeOf(value) === Object.prototype &&
          !("__proto__" in Object.getOwnPropertyDescriptors(value)) &&
          Object.values(value).every(isJson)

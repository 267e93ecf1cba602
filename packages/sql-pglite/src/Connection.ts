/**
 * Effect's `Connection` on a `Session`: how statements wait for each other, and what a result looks like.
 * Results have the shapes that `@effect/sql-pg` gives.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isPlannable, type Session, type Statement } from "./Session.ts"
import type { Result, RowMode } from "./Wire.ts"

// biome-ignore lint/suspicious/noExplicitAny: the row type of @effect/sql's Connection
export type Row = any

export type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** Wraps each use of the session: to wait for its turn, to check that the transaction is still open. */
export type Guard = <A>(use: Effect.Effect<A, SqlError>) => Effect.Effect<A, SqlError>

/** SQL longer than this is not kept prepared: it is generated, and would only push others out. */
const cachedSqlCharsMax = 16_384

export class PgliteConnection implements Connection {
  readonly session: Session
  readonly guard: Guard

  constructor(session: Session, guard: Guard) {
    this.session = session
    this.guard = guard
  }

  execute(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows) {
    const rows = Effect.map(this.run({ sql, params }, { rowMode: "object", cache: true }), rowsOf)
    return transformRows ? Effect.map(rows, transformRows) : rows
  }

  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows) {
    const rows = Effect.map(this.run({ sql, params }, { rowMode: "object", cache: false }), rowsOf)
    return transformRows ? Effect.map(rows, transformRows) : rows
  }

  executeValues(sql: string, params: ReadonlyArray<unknown>) {
    return Effect.map(this.run({ sql, params }, { rowMode: "array", cache: true }), rowsOf)
  }

  /** `{ command, rowCount, rows, fields }` as node-pg has it; an array of them for several statements. */
  executeRaw(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<unknown, SqlError> {
    return Effect.map(this.run({ sql, params }, { rowMode: "object", cache: true }), (results) =>
      results.length === 1 ? rawOf(results[0]!) : results.map(rawOf)
    )
  }

  /**
   * Outside a transaction all rows are fetched at once: a portal would have to hold the only connection, and a
   * consumer that runs another statement would wait for ever. `Transaction` fetches them as they are consumed.
   */
  executeStream(
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: TransformRows
  ): Stream.Stream<Row, SqlError> {
    return Stream.unwrap(Effect.map(this.execute(sql, params, transformRows), Stream.fromIterable))
  }

  /** Runs the statements in one round trip. */
  pipeline(statements: ReadonlyArray<Statement>): Effect.Effect<ReadonlyArray<ReadonlyArray<Row>>, SqlError> {
    return Effect.map(
      this.guard(this.session.extended(statements, { rowMode: "object", cache: true })),
      (results) => results.map(({ rows }) => rows)
    )
  }

  private run(
    { params, sql }: { readonly sql: string; readonly params: ReadonlyArray<unknown> },
    { cache, rowMode }: { readonly rowMode: RowMode; readonly cache: boolean }
  ): Effect.Effect<ReadonlyArray<Result>, SqlError> {
    const keep = cache && sql.length <= cachedSqlCharsMax
    return this.guard(
      params.length === 0 && !(keep && isPlannable(sql))
        ? this.session.simple(sql, rowMode)
        : this.session.extended([{ sql, params }], { rowMode, cache: keep })
    )
  }
}

/** The rows of one statement; for several, one array of rows for each. */
const rowsOf = (results: ReadonlyArray<Result>): ReadonlyArray<Row> =>
  results.length === 1 ? results[0]!.rows : results.map(({ rows }) => rows)

const rawOf = ({ fields, rows, tag }: Result) => {
  const count = /\d+$/.exec(tag)
  return {
    command: /^[A-Z]*/.exec(tag)![0],
    rowCount: count === null ? null : Number(count[0]),
    rows,
    fields: fields.map(({ dataTypeID, name }) => ({ name, dataTypeID }))
  }
}

/**
 * Where a client is in the authority's changes: the commit that it has applied, its cursor in each audience, and the load
 * that is on its way, if there is one. A load is an answer in chunks: its rows are kept beside the tables, with cursors
 * of their own, and applied when all are here (see `synchrotron.put_load`), so that nobody sees a part of a commit.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import { Effect } from "effect"
import type { Audience, Seq } from "./Ids.ts"
import { countRows, type Position, type SyncRequest, type SyncResponse } from "./Protocol.ts"
import { holdSql, moveLoadSql, positionSql, putLoadSql, stageSql } from "./sql/client.ts"

/** How far a load is; `rowsTotal` is the authority's estimate when it began. */
export interface Progress {
  readonly rowsDone: number
  readonly rowsTotal: number
}

/** Where a client is. */
export interface Cursors {
  /** The commit of the last answer that was applied as a whole; 0 before the first. */
  readonly seq: Seq
  /** What the authority is to go on from: the load's cursors, and the applied ones of other audiences. */
  readonly cursors: SyncRequest["cursors"]
  /** Audiences of which rows are applied. */
  readonly held: ReadonlyArray<Audience>
  /** Audiences of which the load may have rows: those that the user held when one of its chunks was read. */
  readonly loaded: ReadonlyArray<Audience>
  /** `position`: where its last chunk ended, or null when all rows are here. */
  readonly load: (Progress & { readonly position: Position | null }) | null
}

interface Row {
  readonly applied: Seq
  readonly loading: boolean
  readonly position: Position | null
  readonly rows_done: number
  readonly rows_total: number
  readonly held: ReadonlyArray<Audience> | null
  /** With null for an audience that the load has not gone through. */
  readonly loaded: ReadonlyArray<readonly [Audience, Seq | null]> | null
}

/** One query; costs O(audiences). */
export const read = (sql: SqlClient.SqlClient): Effect.Effect<Cursors, SqlError.SqlError> =>
  Effect.map(sql.unsafe<Row>(positionSql), ([row]) => {
    const { applied, loading, position, rows_done, rows_total } = row!
    const held = row!.held ?? []
    const loaded = row!.loaded ?? []
    return {
      seq: applied,
      cursors: Object.fromEntries([
        ...held.map((audience) => [audience, applied]),
        ...loaded.filter(([, seq]) => seq !== null)
      ]) as SyncRequest["cursors"],
      held,
      loaded: loaded.map(([audience]) => audience),
      load: loading ? { position, rowsDone: rows_done, rowsTotal: rows_total } : null
    }
  })

/** Whether the request was sent from where the client is now. */
export const isCurrent = ({ cursors, load, seq }: Cursors, sent: SyncRequest): boolean =>
  seq === sent.seq && sameCursors(cursors, sent.cursors) && samePosition(load?.position, sent.position)

const sameCursors = (a: SyncRequest["cursors"], b: SyncRequest["cursors"]): boolean => {
  const keys = Object.keys(a) as Array<keyof typeof a>
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}

const samePosition = (a: Position | null | undefined, b: Position | undefined): boolean =>
  a?.audience === b?.audience && a?.seq === b?.seq && a?.table === b?.table && a?.key === b?.key

/** `cursors` of the request that follows on a chunk, as they will be when the chunk is kept (see `moveLoadSql`). */
export const following = (
  sent: SyncRequest,
  { audiences, seq }: SyncResponse,
  next: Position
): SyncRequest["cursors"] => ({
  ...sent.cursors,
  ...Object.fromEntries(
    audiences.flatMap((audience) => (isBefore(audience, next.audience) ? [[audience, seq]] : []))
  )
})

/** Compares the bytes of UTF-8, as the collation "C" does: the order of code points. */
export const isBefore = (a: string, b: string): boolean => {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  return (a.codePointAt(i) ?? -1) < (b.codePointAt(i) ?? -1)
}

/**
 * Whether the load may have rows of an audience that the user no longer holds: also of one that it has not come to, for a
 * row that changed its audience comes with the one that it left. Nobody will say that they are gone, so it has to
 * begin again.
 */
export const isSpoilt = ({ loaded }: Cursors, { audiences }: SyncResponse): boolean => {
  const still = new Set<string>(audiences)
  return loaded.some((audience) => !still.has(audience))
}

/** Drops what has come of the load; its rows are asked for again. */
export const forgetLoad = (sql: SqlClient.SqlClient): Effect.Effect<void, SqlError.SqlError> =>
  Effect.asVoid(sql.unsafe("SELECT synchrotron.forget_load()"))

/** The rows of an answer as the client's SQL takes them. */
export const rowsText = ({ tables }: Pick<SyncResponse, "tables">): string =>
  `[${tables.map(({ gone, rows, table }) => `{"tbl":${JSON.stringify(table)},"rows":${rows},"gone":${JSON.stringify(gone)}}`).join(",")}]`

const stage = (sql: SqlClient.SqlClient, response: SyncResponse): Effect.Effect<void, SqlError.SqlError> =>
  response.tables.length === 0 ? Effect.void : Effect.asVoid(sql.unsafe(stageSql, [rowsText(response)]))

/** Keeps a chunk, to be applied with the others. */
export const keepChunk = (
  sql: SqlClient.SqlClient,
  response: SyncResponse
): Effect.Effect<Progress, SqlError.SqlError> =>
  Effect.gen(function* () {
    yield* stage(sql, response)
    const [load] = yield* sql.unsafe<{ rows_done: number; rows_total: number }>(moveLoadSql, [
      response.next === null ? null : JSON.stringify(response.next),
      JSON.stringify(response.audiences),
      response.seq,
      countRows(response.tables),
      response.rowsTotal ?? null
    ])
    return { rowsDone: load!.rows_done, rowsTotal: load!.rows_total }
  })

/**
 * Applies the rows of the load, with those of the answer that ends it, and gives the tables in which rows changed.
 * `ofAll`: rows that it does not name go.
 */
export const putLoad = (sql: SqlClient.SqlClient, response: SyncResponse, ofAll: boolean) =>
  Effect.zipRight(stage(sql, response), sql.unsafe<{ tbl: string; changed: number }>(putLoadSql, [ofAll]))

/** Moves all cursors to the commit of an answer that was applied as a whole. */
export const advance = (
  sql: SqlClient.SqlClient,
  { held, load, seq }: Cursors,
  response: SyncResponse,
  clockOffsetMs: number
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.gen(function* () {
    const same = isSameSet(held, response.audiences)
    if (same && load === null && seq === response.seq) return
    if (!same) yield* sql.unsafe(holdSql, [JSON.stringify(response.audiences)])
    yield* sql.unsafe(
      "UPDATE synchrotron.replica SET seq = $1, clock_ms = $2, clock_counter = $3, clock_offset_ms = $4",
      [response.seq, response.clock.ms, response.clock.counter, clockOffsetMs]
    )
  })

/** Whether two lists without repetitions name the same. */
export const isSameSet = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean => {
  if (a.length !== b.length) return false
  const set = new Set(a)
  return b.every((name) => set.has(name))
}

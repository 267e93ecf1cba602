/**
 * Looking into a client's database: its records, what they did, and the tables as they were before some of them. Whatever
 * is read here is read in one transaction that is rolled back, so it is of one moment and nothing stays of it.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import { Effect } from "effect"
import { NotInJournal } from "./Errors.ts"
import type { Hlc } from "./Hlc.ts"
import type { RecordId } from "./Ids.ts"
import type { Patch, Rejection } from "./Protocol.ts"
import * as Journal from "./sql/journal.ts"

/** How much is read at most. */
export const limits = {
  /** Patches of one record. */
  patchesMax: 100,
  /** Rows that are listed as changed since the record that was stepped back to. */
  changesMax: 200,
  /** Rows of each table, unless the caller wants fewer. */
  rowsMax: 100,
  /** Characters of one cell; the rest is cut off. */
  cellCharsMax: 1000
} as const

/** A record that the database keeps. */
export interface Kept {
  readonly id: RecordId
  readonly hlc: Hlc
  readonly name: string
  readonly version: number
  readonly status: "pending" | "rejected" | "voided"
  readonly error: Rejection | null
  /** How many patches it has; those of a refused one were undone. A pending one without any has no effect here now. */
  readonly patches: number
}

/** A record with patches in the journal: pending, or confirmed and crossed by a pending one. */
export interface Journaled {
  readonly id: RecordId
  readonly patches: number
}

export interface Detail extends Omit<Kept, "patches"> {
  readonly args: unknown
  /** The first `limits.patchesMax` of them. */
  readonly patches: ReadonlyArray<Patch>
  readonly patchesTotal: number
}

/** A row that is another one now. */
export interface RowChange {
  readonly table: string
  readonly key: string
  readonly was: Patch["before"]
  readonly now: Patch["after"]
}

export interface TableThen {
  readonly name: string
  readonly columns: ReadonlyArray<string>
  /** In the order of the key; `key` as patches have it, `cells` in the order of the columns, as Postgres' text. */
  readonly rows: ReadonlyArray<{ readonly key: string; readonly cells: ReadonlyArray<string | null> }>
  /** Whether there were more rows than `rowsMax`. */
  readonly more: boolean
}

/** The tables as they were. */
export interface StepBack {
  /** The record that had just been executed; null: the common ancestor, before all records of the journal. */
  readonly to: RecordId | null
  /** What records after it have changed in all, the first `limits.changesMax`. */
  readonly changes: ReadonlyArray<RowChange>
  readonly changesTotal: number
  readonly tables: ReadonlyArray<TableThen>
}

/** Ends a transaction that went well. */
class Read<A> {
  readonly value: A
  constructor(value: A) {
    this.value = value
  }
}

/** Other transactions of this connection wait for it, and see nothing of it. No flush follows, as after a commit. */
const rolledBack = <A, E>(
  sql: SqlClient.SqlClient,
  body: Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError.SqlError> =>
  Effect.catchAll(
    sql.withTransaction(Effect.flatMap(body, (value) => Effect.fail(new Read(value)))),
    (end) => (end instanceof Read ? Effect.succeed(end.value as A) : Effect.fail(end))
  )

/** The records that are kept, the last `recordsMax` by HLC; and those of the journal, in the order of execution. */
export const records = (sql: SqlClient.SqlClient, recordsMax: number) =>
  rolledBack(
    sql,
    Effect.gen(function* () {
      const kept = yield* sql.unsafe<Omit<Kept, "error"> & { readonly error: string | null }>(
        Journal.recordsSql,
        [recordsMax]
      )
      const [total] = yield* sql.unsafe<{ count: number }>(Journal.recordCountSql)
      const journal = yield* sql.unsafe<Journaled>(Journal.journalSql)
      return {
        kept: kept.map((row): Kept => ({ ...row, error: readJson(row.error) })),
        keptTotal: total!.count,
        journal: journal.map(({ id, patches }): Journaled => ({ id, patches }))
      }
    })
  )

/** A record that is kept, with its args and patches; null when there is none. */
export const record = (
  sql: SqlClient.SqlClient,
  id: RecordId
): Effect.Effect<Detail | null, SqlError.SqlError> =>
  rolledBack(
    sql,
    Effect.gen(function* () {
      const [row] = yield* sql.unsafe<
        Omit<Kept, "error" | "patches"> & { args: string; error: string | null; patches: string | null }
      >(Journal.recordSql, [id])
      if (row === undefined) return null
      const kept = { ...row, args: JSON.parse(row.args) as unknown, error: readJson<Rejection>(row.error) }
      if (row.status === "pending")
        return { ...kept, ...((yield* patches(sql, [id])).get(id) ?? { patches: [], patchesTotal: 0 }) }
      const undone = readJson<ReadonlyArray<Patch>>(row.patches) ?? []
      return { ...kept, patches: undone.slice(0, limits.patchesMax), patchesTotal: undone.length }
    })
  )

/** Patches of records in the journal, the first `limits.patchesMax` of each. A record without any is not in the map. */
export const patches = (
  sql: SqlClient.SqlClient,
  ids: ReadonlyArray<RecordId>
): Effect.Effect<ReadonlyMap<RecordId, Pick<Detail, "patches" | "patchesTotal">>, SqlError.SqlError> =>
  Effect.map(
    sql.unsafe<Patch & { readonly id: RecordId; readonly total: number }>(Journal.patchesSql, [
      ids,
      limits.patchesMax
    ]),
    (rows) => {
      const byId = new Map<RecordId, { readonly patches: Array<Patch>; readonly patchesTotal: number }>()
      for (const { after, before, id, key, table, total } of rows) {
        const known = byId.get(id) ?? { patches: [], patchesTotal: total }
        known.patches.push({ table, key, before, after })
        byId.set(id, known)
      }
      return byId
    }
  )

/**
 * The synced tables as they were when a record had just been executed, or last replayed: what records after it did is undone,
 * and that is rolled back. It reaches as far as the journal does: back to the common ancestor (`to: null`), and to each
 * record that is pending, or confirmed and crossed by a pending one. When nothing is pending, there is nothing to undo.
 *
 * Costs O(rows that later records changed), and the rows that are read; actions and queries wait meanwhile. As every transaction
 * that is rolled back, it leaves dead versions of the rows that it changed in the files, until Postgres takes their room again.
 *
 * @param options.stamps HLCs of confirmed records, as far as the caller knows them: the database does not keep them, and the
 *   place of a record that did nothing is known by them only
 * @param options.rowsMax rows of each table that are read
 */
export const stepBack = (
  sql: SqlClient.SqlClient,
  options: {
    readonly to: RecordId | null
    readonly rowsMax?: number | undefined
    readonly stamps?: ReadonlyMap<RecordId, Hlc> | undefined
  }
): Effect.Effect<StepBack, NotInJournal | SqlError.SqlError> =>
  rolledBack(
    sql,
    Effect.gen(function* () {
      const { rowsMax = limits.rowsMax, stamps, to } = options
      const place = to === null ? -1 : yield* placeOf(sql, to, stamps ?? new Map())
      const changes = yield* sql.unsafe<RowChange & { readonly total: number }>(Journal.changesAfterSql, [
        place,
        limits.changesMax
      ])
      yield* sql.unsafe(Journal.undoAfterSql, [place])
      // From here on nothing can be written, whatever an application's types do to become text.
      yield* sql.unsafe("SET TRANSACTION READ ONLY")
      const tables: Array<TableThen> = []
      for (const table of yield* sql.unsafe<Journal.TableNames>(Journal.tablesSql)) {
        const rows = yield* sql.unsafe<TableThen["rows"][number]>(Journal.rowsSql(table), [
          rowsMax + 1,
          limits.cellCharsMax
        ])
        tables.push({
          name: table.name,
          columns: table.columns,
          rows: rows.slice(0, rowsMax),
          more: rows.length > rowsMax
        })
      }
      return {
        to,
        changes: changes.map(({ key, now, table, was }) => ({ table, key, was, now })),
        changesTotal: changes[0]?.total ?? 0,
        tables
      }
    })
  )

/** The place of the last patch that a record, or one before it, has in the journal; -1 when there is none. */
const placeOf = (sql: SqlClient.SqlClient, to: RecordId, stamps: ReadonlyMap<RecordId, Hlc>) =>
  Effect.gen(function* () {
    const journal = yield* sql.unsafe<{ id: RecordId; last: number; hlc: Hlc | null }>(Journal.journalSql)
    const own = journal.find(({ id }) => id === to)
    if (own !== undefined) return own.last
    const [row] = yield* sql.unsafe<{ hlc: Hlc }>(
      "SELECT hlc FROM synchrotron.records WHERE id = $1::uuid AND status = 'pending'",
      [to]
    )
    if (row === undefined) return yield* new NotInJournal({ id: to })
    return journal.reduce((last, one) => {
      const hlc = one.hlc ?? stamps.get(one.id)
      return hlc !== undefined && hlc < row.hlc ? one.last : last
    }, -1)
  })

const readJson = <A>(text: string | null): A | null => (text === null ? null : (JSON.parse(text) as A))

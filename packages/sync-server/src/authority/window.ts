/**
 * The reorder window: how far back a late arrival may be placed. What is before its floor is never taken back, so
 * nobody needs its patches.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import { type ClientId, Hlc } from "@synchrotron/sync-core"
import { Effect } from "effect"

export interface Window {
  /** In time: milliseconds before the server's clock. */
  readonly reorderWindowMs: number
  /** In canonical records that a late arrival may go before. */
  readonly reorderWindowRecords: number
}

export const reorderWindowMsDefault = 7 * 24 * 60 * 60_000
export const reorderWindowRecordsDefault = 10_000

/** What the realm's row says about the order. */
export interface RealmRow {
  /** The latest place in the canonical order. */
  readonly clock_ms: number
  readonly clock_counter: number
  /** Set by migrations and by compaction, for good. */
  readonly floor_ms: number
  readonly floor_counter: number
}

/**
 * The latest of what closes the order behind it: the window's time, its count of records, and the realm's own floor.
 * `counting`: false leaves out the count, which costs a read of so many index entries.
 */
export const windowFloor = (
  sql: SqlClient.SqlClient,
  { reorderWindowMs, reorderWindowRecords }: Window,
  realm: RealmRow,
  { counting, nowMs }: { readonly counting: boolean; readonly nowMs: number }
): Effect.Effect<Hlc.ClockState, SqlError.SqlError> =>
  Effect.map(
    counting
      ? sql.unsafe<{ hlc: Hlc.Hlc }>(
          `SELECT hlc FROM synchrotron.records ORDER BY hlc DESC OFFSET ${reorderWindowRecords} LIMIT 1`
        )
      : Effect.succeed([]),
    (rows) =>
      [{ ms: nowMs - reorderWindowMs, counter: 0 }, ...rows.map(({ hlc }) => Hlc.parts(hlc))].reduce(
        Hlc.latest,
        { ms: realm.floor_ms, counter: realm.floor_counter }
      )
  )

/** The last stamp that a floor closes: those of all nodes at its milliseconds and counter are before it. */
export const lastStampOf = (floor: Hlc.ClockState): Hlc.Hlc =>
  Hlc.make(floor, "ffffffff-ffff-ffff-ffff-ffffffffffff" as ClientId)

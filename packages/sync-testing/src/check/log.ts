/**
 * The whole canonical log, compacted or not. Compaction removes from it what no sync needs, and checkers need all of it;
 * so whoever simulates keeps a copy of what is about to go. What can be removed does not change any more: it is read when
 * the realm's floor has passed it, by the floor's own definition, and what the server then says otherwise is found.
 */
import { Effect } from "effect"
import type { Read, ServerView } from "./Checker.ts"

/** What compaction may have removed. */
export interface Removed {
  readonly records: ReadonlyArray<{ readonly id: string; readonly args: string; readonly claims: string }>
  readonly patches: ReadonlyArray<{
    readonly n: number
    readonly record_id: string
    readonly tbl: string
    readonly key: string
    readonly before: object | null
    readonly after: object | null
  }>
}

/** Whether the stamp of the record `r` is behind the floor of `realm`. */
export const closedSql = `left(r.hlc, 17) COLLATE "C" <= lpad(to_hex(realm.floor_ms), 12, '0') || '-' || lpad(to_hex(realm.floor_counter), 4, '0')`

/** `keep`: to be run before each transaction of a compaction. */
export const makeArchive = (
  read: Read
): { readonly keep: Effect.Effect<void>; readonly removed: () => Removed } => {
  const records: Array<Removed["records"][number]> = []
  const patches: Array<Removed["patches"][number]> = []
  return {
    keep: Effect.gen(function* () {
      const closed = yield* read<Removed["records"][number]>(
        `SELECT r.id, r.args, r.claims FROM synchrotron.realm, synchrotron.records AS r WHERE ${closedSql} AND r.id <> ALL ($1::uuid[]) ORDER BY r.hlc`,
        [records.map(({ id }) => id)]
      )
      if (closed.length === 0) return
      patches.push(
        ...(yield* read<Removed["patches"][number]>(
          "SELECT n, record_id, tbl, key, before, after FROM synchrotron.patches WHERE record_id = ANY ($1::uuid[]) ORDER BY n",
          [closed.map(({ id }) => id)]
        ))
      )
      records.push(...closed)
    }),
    removed: () => ({ records, patches })
  }
}

/** For {@link recordsSql} and {@link patchesSql}: `$1` and `$2` of a statement that has both. */
export const removedParams = ({ removed }: ServerView): readonly [records: string, patches: string] => {
  const { patches, records } = removed?.() ?? { patches: [], records: [] }
  return [JSON.stringify(records), JSON.stringify(patches)]
}

/** All records with their args and claims. `param`: where the removed ones are, such as `$1`. */
export const recordsSql = (param: string): string =>
  `(SELECT r.id, r.hlc, r.client_id, r.user_id, r.name, r.version, r.status, r.error, r.seq,
      CASE WHEN r.args = '' THEN gone.args ELSE r.args END AS args, CASE WHEN r.claims = '' THEN gone.claims ELSE r.claims END AS claims
    FROM synchrotron.records AS r LEFT JOIN jsonb_to_recordset(${param}::jsonb) AS gone(id uuid, args text, claims text) ON gone.id = r.id)`

/** All patches; those that are removed and there as well are the same ones. */
export const patchesSql = (param: string): string =>
  `(SELECT n, record_id, tbl, key, before, after FROM synchrotron.patches
    UNION SELECT gone.n, gone.record_id, gone.tbl, gone.key, gone.before, gone.after
    FROM jsonb_to_recordset(${param}::jsonb) AS gone(n bigint, record_id uuid, tbl text, key text, before jsonb, after jsonb))`

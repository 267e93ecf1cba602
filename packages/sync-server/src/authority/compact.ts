/**
 * Removes what no sync can need any more. Two horizons move forward under the realm's lock, in one short transaction:
 *
 *     canonical order ──────────────────────► HLC          commits ─────────────────► seq
 *       k k k k k k │ k  k k   k                             c c c c │ c  c c  c
 *                 floor                                        tombstone_seq
 *                   └ nothing before is taken back               └ tombstones up to it may be missing
 *
 * What is behind them goes in batches without that lock, each in a transaction of its own, so that syncs go on
 * meanwhile and a crash leaves the rest to the next run:
 *
 * | goes                                     | stays                                                                 |
 * |------------------------------------------|-----------------------------------------------------------------------|
 * | patches of records up to the floor       | the records: id and content for the one verdict that each gets (I4)   |
 * | their args and claims, unless small      | args of voided ones, for which clients may still ask in `notices`     |
 * | row versions that say that a row is gone | all others; a cursor before the horizon is refused (`CursorTooOld`)   |
 */
import type { SqlClient, SqlError } from "@effect/sql"
import type { Hlc } from "@synchrotron/sync-core"
import { Clock, Effect } from "effect"
import { isAfter } from "./place.ts"
import { retryConflicts } from "./retry.ts"
import { realmLock } from "./schema.ts"
import {
  lastStampOf,
  type RealmRow,
  reorderWindowMsDefault,
  reorderWindowRecordsDefault,
  windowFloor
} from "./window.ts"

export interface CompactOptions {
  /** The authority's reorder window: what is in it stays. */
  readonly reorderWindowMs?: number | undefined
  readonly reorderWindowRecords?: number | undefined
  /** How long it is known which rows are gone: milliseconds, 30 days unless given. */
  readonly tombstoneMs?: number | undefined
  /** Records, patches and tombstones that one transaction removes at most, of each: 1,000 unless given. */
  readonly batchRows?: number | undefined
  /** Args and claims of a record stay when they have no more bytes than this together: 256 unless given. */
  readonly argsBytesKept?: number | undefined
  /** Told after each batch. */
  readonly onProgress?: ((soFar: Compacted) => Effect.Effect<void>) | undefined
}

/** How much a run has removed. */
export interface Compacted {
  /** Records that are compacted now. */
  readonly records: number
  readonly patches: number
  readonly tombstones: number
  /** Another process compacts at this moment, and this one has left the rest to it. */
  readonly yielded: boolean
}

export const tombstoneMsDefault = 30 * 24 * 60 * 60_000

export const batchRowsDefault = 1000

/** Postgres writes a row anew to shorten it, with new entries in its indexes: what frees less would cost more. */
export const argsBytesKeptDefault = 256

/** The times of so many commits are remembered at most, spread over the retention of tombstones. */
const commitTimesMax = 1000

/** Key of the advisory lock of whoever compacts; held by each of its transactions. */
const compactionLock = 7_309_453_021_447_114n

const nothing: Compacted = { records: 0, patches: 0, tombstones: 0, yielded: false }

/**
 * Compacts all that can be. It may be stopped, and fail, at any moment; the next run goes on from there.
 *
 * @param sql a client of the authority's database, as a user that owns the schema `synchrotron`
 */
export const compact = (
  sql: SqlClient.SqlClient,
  options: CompactOptions = {}
): Effect.Effect<Compacted, SqlError.SqlError> =>
  Effect.gen(function* () {
    const {
      argsBytesKept = argsBytesKeptDefault,
      batchRows = batchRowsDefault,
      onProgress = () => Effect.void
    } = options
    let done = nothing
    const horizons = yield* exclusively(sql, moveHorizons(sql, options))
    if (horizons === null) return { ...nothing, yielded: true }
    for (const next of [
      recordBatch(sql, horizons.floor, { argsBytesKept, batchRows }),
      tombstoneBatch(sql, horizons.tombstoneSeq, batchRows)
    ]) {
      for (let more = true; more; ) {
        const batch = yield* exclusively(sql, next)
        if (batch === null) return { ...done, yielded: true }
        more = batch.more
        done = {
          records: done.records + batch.records,
          patches: done.patches + batch.patches,
          tombstones: done.tombstones + batch.tombstones,
          yielded: false
        }
        yield* onProgress(done)
      }
    }
    // An embedded database has no autovacuum, and only what was vacuumed is used again.
    if ("pglite" in sql && done.records + done.tombstones > 0)
      yield* sql.unsafe("VACUUM synchrotron.patches, synchrotron.records, synchrotron.row_versions")
    return done
  }).pipe(Effect.withSpan("Authority.compact"))

/** In a transaction, unless another process compacts: null then. */
const exclusively = <A>(
  sql: SqlClient.SqlClient,
  effect: Effect.Effect<A, SqlError.SqlError>
): Effect.Effect<A | null, SqlError.SqlError> =>
  retryConflicts(
    sql.withTransaction(
      Effect.gen(function* () {
        const [lock] = yield* sql.unsafe<{ free: boolean }>(
          `SELECT pg_try_advisory_xact_lock(${compactionLock}) AS free`
        )
        return lock!.free ? yield* effect : null
      })
    )
  )

interface Horizons {
  readonly floor: Hlc.ClockState
  readonly tombstoneSeq: number
}

/**
 * Moves both horizons, under the realm's lock. A commit's time is known from noting what the last one was at each run,
 * so a late arrival, which has an old stamp and a recent commit, keeps its tombstones as long as others.
 */
const moveHorizons = (
  sql: SqlClient.SqlClient,
  {
    reorderWindowMs = reorderWindowMsDefault,
    reorderWindowRecords = reorderWindowRecordsDefault,
    tombstoneMs = tombstoneMsDefault
  }: CompactOptions
): Effect.Effect<Horizons, SqlError.SqlError> =>
  Effect.gen(function* () {
    yield* sql.unsafe(`SELECT pg_advisory_xact_lock(${realmLock})`)
    const nowMs = yield* Clock.currentTimeMillis
    const [realm] = yield* sql.unsafe<RealmRow>(
      "SELECT clock_ms, clock_counter, floor_ms, floor_counter FROM synchrotron.realm"
    )
    const open = yield* windowFloor(sql, { reorderWindowMs, reorderWindowRecords }, realm!, {
      counting: true,
      nowMs
    })
    const floor = floorAfter(realm!, open)
    const results = (yield* sql.unsafe(
      // A time ahead of this clock is another clock's mistake; its commits have happened by now all the same.
      `DELETE FROM synchrotron.commit_times WHERE at_ms > ${nowMs};
       INSERT INTO synchrotron.commit_times (seq, at_ms) SELECT realm.seq, ${nowMs} FROM synchrotron.realm
       WHERE NOT EXISTS (SELECT FROM synchrotron.commit_times AS t WHERE t.seq = realm.seq OR t.at_ms > ${nowMs - Math.ceil(tombstoneMs / commitTimesMax)});
       UPDATE synchrotron.realm SET floor_ms = ${floor.ms}, floor_counter = ${floor.counter}, tombstone_seq = greatest(tombstone_seq,
         (SELECT max(t.seq) FROM synchrotron.commit_times AS t WHERE t.at_ms <= ${nowMs - tombstoneMs})) RETURNING tombstone_seq;
       DELETE FROM synchrotron.commit_times AS t USING synchrotron.realm WHERE t.seq < realm.tombstone_seq`
    )) as unknown as ReadonlyArray<ReadonlyArray<{ readonly tombstone_seq: number }>>
    return { floor, tombstoneSeq: results[2]![0]!.tombstone_seq }
  })

/**
 * The floor that compaction sets: the window's, but never after the last record, which a write from outside of the
 * engine has to come after whatever its clock says.
 */
export const floorAfter = (realm: RealmRow, open: Hlc.ClockState): Hlc.ClockState => {
  const top = { ms: realm.clock_ms, counter: realm.clock_counter }
  return isAfter(open, top) ? top : open
}

interface Batch {
  readonly records: number
  readonly patches: number
  readonly tombstones: number
  readonly more: boolean
}

/**
 * The next records up to the floor, from where the last batch ended: the order's index finds them, whatever the history.
 * Records with many patches take several batches, and count as done with the last one.
 */
const recordBatch = (
  sql: SqlClient.SqlClient,
  floor: Hlc.ClockState,
  { argsBytesKept, batchRows }: { readonly argsBytesKept: number; readonly batchRows: number }
): Effect.Effect<Batch, SqlError.SqlError> =>
  Effect.map(
    sql.unsafe<{ records: number; patches: number }>(
      // Arrays instead of joins: joined with a thousand rows, the planner would rather read a whole table.
      `WITH batch AS (
         SELECT r.ctid AS place, r.id, r.hlc, r.status FROM synchrotron.records AS r
         WHERE r.hlc > (SELECT c.hlc FROM synchrotron.compacted AS c) AND r.hlc <= $1 ORDER BY r.hlc LIMIT ${batchRows}
       ),
       doomed AS (
         SELECT p.n FROM synchrotron.patches AS p WHERE p.record_id = ANY (ARRAY(SELECT id FROM batch)) LIMIT ${batchRows + 1}
       ),
       removed AS (DELETE FROM synchrotron.patches WHERE n = ANY (ARRAY(SELECT n FROM doomed))),
       finished AS (SELECT batch.* FROM batch WHERE (SELECT count(*) FROM doomed) <= ${batchRows}),
       stripped AS (
         UPDATE synchrotron.records SET args = '', claims = ''
         WHERE ctid = ANY (ARRAY(SELECT place FROM finished WHERE status <> 'voided'))
           AND octet_length(args) + octet_length(claims) > ${argsBytesKept}
       ),
       moved AS (
         UPDATE synchrotron.compacted SET hlc = last.hlc FROM (SELECT max(hlc) AS hlc FROM finished) AS last WHERE last.hlc IS NOT NULL
       )
       SELECT (SELECT count(*) FROM finished)::integer AS records, (SELECT count(*) FROM doomed)::integer AS patches`,
      [lastStampOf(floor)]
    ),
    ([row]) => ({
      ...row!,
      tombstones: 0,
      more: row!.records === batchRows || row!.patches > batchRows
    })
  )

/** Tombstones up to the horizon. One that a commit is about to bring back is left to it. */
const tombstoneBatch = (
  sql: SqlClient.SqlClient,
  tombstoneSeq: number,
  batchRows: number
): Effect.Effect<Batch, SqlError.SqlError> =>
  Effect.map(
    sql.unsafe<{ tombstones: number }>(
      `WITH batch AS (
         SELECT v.ctid AS place FROM synchrotron.row_versions AS v
         WHERE v.gone AND v.seq <= $1 ORDER BY v.seq LIMIT ${batchRows} FOR UPDATE SKIP LOCKED
       ),
       removed AS (DELETE FROM synchrotron.row_versions WHERE ctid = ANY (ARRAY(SELECT place FROM batch)) RETURNING 1)
       SELECT count(*)::integer AS tombstones FROM removed`,
      [tombstoneSeq]
    ),
    ([row]) => ({ records: 0, patches: 0, ...row!, more: row!.tombstones === batchRows })
  )

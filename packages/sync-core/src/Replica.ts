/**
 * A client's local database: executes operations at once, keeps their records, and applies sync responses.
 * What to do with a response is decided by {@link Reconcile.plan}; this module runs the plan. Every method is one
 * transaction of the one connection, so readers and crashes see whole states only (I5).
 */
import { SqlClient, type SqlError } from "@effect/sql"
import { Clock, Effect, Either, Exit, PubSub, Schema, type Scope, Stream } from "effect"
import { type AnyAction, type AnyOperation, encode, misfit, type Operation } from "./Action.ts"
import * as Answers from "./Answers.ts"
import * as Cursors from "./Cursors.ts"
import {
  ActionCrashed,
  type AnswerLost,
  ArgsInvalid,
  DatabaseOfOther,
  type DatabaseTooNew,
  type Impure,
  type MigrationChanged,
  RecordNotFound,
  RowsInvalid,
  type TablesUnsupported
} from "./Errors.ts"
import * as Execution from "./Execution.ts"
import * as Hlc from "./Hlc.ts"
import { type ClientId, type RecordId, type Seq, Uuids } from "./Ids.ts"
import { install } from "./Install.ts"
import * as Live from "./Live.ts"
import type { Outcome } from "./Outcome.ts"
import type { Principal } from "./Principal.ts"
import {
  countRows,
  isStorable,
  jsonBytes,
  type LaterRecord,
  limits,
  type Patch,
  protocolVersion,
  type Rejection,
  type SyncRequest,
  type SyncResponse
} from "./Protocol.ts"
import { checkPurity } from "./Purity.ts"
import * as Reconcile from "./Reconcile.ts"
import type { SyncApp } from "./SyncApp.ts"
import { clientSql, keepLaterSql, purgeSql, putRowsSql, refuseSql, settleSql } from "./sql/client.ts"
import { literal } from "./sql/text.ts"

/** A record that ran locally. */
export interface Executed<Result> {
  readonly id: RecordId
  readonly hlc: Hlc.Hlc
  readonly value: Result
  /** A {@link Answers.Call} that was executed when it was asked for before. */
  readonly again?: true
}

export interface PendingSummary {
  readonly id: RecordId
  readonly name: string
  readonly version: number
  readonly args: unknown
  readonly hlc: Hlc.Hlc
}

/** A record that the authority refused or voided, kept until it is retried or dismissed. */
export interface RejectedRecord extends PendingSummary {
  readonly outcome: "rejected" | "voided"
  readonly error: Rejection
  /** The patches that were undone on this client, for showing what was lost. */
  readonly patches: ReadonlyArray<Patch>
}

/** One committed change of the local database: by an operation, or by a sync. */
export interface Change {
  /** Synced tables in which rows changed. */
  readonly tables: ReadonlySet<string>
  /** Pending or rejected records changed in number or state. */
  readonly records: boolean
  readonly outcomes: ReadonlyArray<{ readonly id: RecordId; readonly outcome: Outcome }>
}

/** What a sync did, for status, inspection and tests. */
export interface Received {
  /**
   * Which path reconcile chose; `stale` when the response answers a request from before another response, or from before
   * the wall clock went back and something was executed: ask again. `chunk` when more rows have to come before anything is
   * applied, `restarted` when they have to come all over again.
   */
  readonly path: Reconcile.Plan<never, never>["path"] | "stale" | "chunk" | "restarted"
  readonly rows: number
  readonly replayed: number
  /** The records that were replayed, in order. */
  readonly order?: ReadonlyArray<RecordId>
  /** The commit of the response; of a stale one, the commit that was applied before. */
  readonly seq: Seq
  /** How far the load is that is on its way now; null when there is none. */
  readonly load: Cursors.Progress | null
}

/** What became of a message of the live path. */
export interface Followed {
  readonly decision: Live.Decision
  /** Null unless it was applied. */
  readonly received: Received | null
}

export type ExecuteError<E> =
  | E
  | ArgsInvalid
  | ActionCrashed
  | AnswerLost
  | Impure
  | Hlc.HlcRangeError
  | SqlError.SqlError

export interface Replica {
  readonly clientId: ClientId
  /** Runs one operation in one transaction and keeps its record, durable when this succeeds (I4). */
  readonly execute: <Result, E>(
    operation: Operation<Result, E>,
    call?: Answers.Call
  ) => Effect.Effect<Executed<Result>, ExecuteError<E>>
  /** Runs operations as one record: all or nothing, here and on the authority. */
  readonly executeAll: (
    operations: ReadonlyArray<AnyOperation>,
    call?: Answers.Call
  ) => Effect.Effect<Executed<ReadonlyArray<unknown>>, ExecuteError<unknown>>
  /** What to send now: the oldest pending records, at most `limits.recordsMax`, and the cursors. */
  readonly request: Effect.Effect<SyncRequest, SqlError.SqlError>
  /**
   * What to send for the chunk after this one, before this one is received: so the server reads while the client keeps.
   * Null when this was the last one, and when there are records to be judged first.
   */
  readonly following: (
    request: SyncRequest,
    response: SyncResponse
  ) => Effect.Effect<SyncRequest | null, SqlError.SqlError>
  /** Applies the response to a request. */
  readonly receive: (
    request: SyncRequest,
    response: SyncResponse
  ) => Effect.Effect<Received, SqlError.SqlError | RowsInvalid>
  /** Applies a message of the live path, unless it is known already or leaves something open (see `Live`). */
  readonly follow: (message: Live.Message) => Effect.Effect<Followed, SqlError.SqlError | RowsInvalid>
  /** Stamps all pending records again, in order, after the server refused them for a wrong clock. */
  readonly restamp: (serverTimeMs: number) => Effect.Effect<void, SqlError.SqlError | Hlc.HlcRangeError>
  /**
   * Makes the next answer have all rows, after the server refused the cursors as too old. Until it comes the old rows
   * show; those of them that it does not have are removed then. Pending records stay.
   */
  readonly forgetCursors: Effect.Effect<void, SqlError.SqlError>
  readonly pending: Effect.Effect<ReadonlyArray<PendingSummary>, SqlError.SqlError>
  readonly pendingCount: Effect.Effect<number, SqlError.SqlError>
  readonly rejected: Effect.Effect<ReadonlyArray<RejectedRecord>, SqlError.SqlError>
  /** Executes a rejected record's action again as a new record, and forgets the old one. */
  readonly retry: (
    id: RecordId,
    call?: Answers.Call
  ) => Effect.Effect<Executed<unknown>, ExecuteError<unknown> | RecordNotFound>
  readonly dismiss: (id: RecordId) => Effect.Effect<void, RecordNotFound | SqlError.SqlError>
  /** Every committed change, after its commit. */
  readonly changes: Stream.Stream<Change>
  /** Milliseconds that the server's clock is ahead of this device's, as last estimated. */
  readonly clockOffsetMs: Effect.Effect<number>
  /** Where this database is in the authority's changes. */
  readonly cursors: Effect.Effect<Cursors.Cursors, SqlError.SqlError>
}

export interface ReplicaOptions {
  readonly app: SyncApp
  /** The user whose database this is. */
  readonly userId: string
  /** Claims that actions may read from `ctx.principal`; those of the token. */
  readonly claims?: Principal["claims"]
  /** Execute each action twice and fail with `Impure` when the patches differ; for development and tests. */
  readonly purityCheck?: boolean
  /** `false` reconciles without fast paths; for tests that compare the two. */
  readonly fastPaths?: boolean
}

interface RecordRow {
  readonly id: RecordId
  readonly hlc: Hlc.Hlc
  readonly name: string
  readonly version: number
  readonly args: string
}

/** Opens the local database: installs or migrates it, checks whose it is, and restores the clock. */
export const make = (
  options: ReplicaOptions
): Effect.Effect<
  Replica,
  TablesUnsupported | DatabaseTooNew | MigrationChanged | DatabaseOfOther | SqlError.SqlError,
  SqlClient.SqlClient | Scope.Scope
> =>
  Effect.gen(function* () {
    const { app } = options
    const sql = yield* SqlClient.SqlClient
    const uuids = yield* Uuids
    const principal: Principal = { userId: options.userId, claims: options.claims ?? {} }
    const changes = yield* Effect.acquireRelease(PubSub.unbounded<Change>(), PubSub.shutdown)

    const settle = (rows: string, later: ReadonlyArray<unknown>) =>
      sql.unsafe<Changed>(settleSql, [rows, JSON.stringify(later)])

    const forgetCursors = sql.unsafe("DELETE FROM synchrotron.cursors;SELECT synchrotron.forget_load()")

    // ---- opening ---------------------------------------------------------------------------------------------

    const opened = yield* sql.withTransaction(
      Effect.gen(function* () {
        const installed = yield* install(sql, {
          app,
          side: "client",
          sideSql: clientSql,
          // Images name the columns of their time, so the overlay is taken off before columns change.
          beforeMigrations: Effect.zipRight(settle(noRows, []), sql.unsafe(forgetOverlay))
        })
        yield* sql.unsafe(
          `INSERT INTO synchrotron.replica (client_id, app, user_id) VALUES ('${yield* uuids.next}', ${literal(app.name)}, ${literal(options.userId)}) ON CONFLICT DO NOTHING`
        )
        const [self] = yield* sql.unsafe<{
          client_id: ClientId
          app: string
          user_id: string
          clock_ms: number
          clock_counter: number
          clock_offset_ms: number
          stamped: Hlc.Hlc | null
        }>(
          `SELECT *, (SELECT max(hlc) FROM synchrotron.records WHERE status = 'pending') AS stamped FROM synchrotron.replica`
        )
        const owner = `${self!.user_id} of ${self!.app}`
        const requested = `${options.userId} of ${app.name}`
        if (owner !== requested) return yield* new DatabaseOfOther({ owner, requested })
        yield* Answers.forgetOld(sql)
        if (installed.migrated) {
          // Rows may have got columns that only the server knows how to fill, so all of them are fetched again.
          yield* forgetCursors
        } else if (installed.changed) {
          // The tables that keep a load's rows are made anew.
          yield* Cursors.forgetLoad(sql)
        }
        return { ...installed, self: self! }
      })
    )
    // Every action runs under the engine's path: the connection is this replica's alone.
    yield* sql.unsafe(Execution.prepareSession)
    const mode: Execution.Mode = { ...opened.mode, role: null }
    const clientId = opened.self.client_id
    const seen: Hlc.ClockState = { ms: opened.self.clock_ms, counter: opened.self.clock_counter }
    let clock = opened.self.stamped === null ? seen : Hlc.witness(seen, opened.self.stamped)
    let offsetMs = opened.self.clock_offset_ms
    const sentInLoad = new Set<RecordId>()
    // What pending records have used is known while this process ran all of them.
    let used: Set<string> | null = opened.self.stamped === null ? new Set() : null

    // ---- helpers ---------------------------------------------------------------------------------------------

    const wallMs = Effect.map(Clock.currentTimeMillis, (ms) => ms + offsetMs)
    const nextHlc = Effect.gen(function* () {
      clock = yield* Hlc.tick(clock, yield* wallMs)
      return Hlc.make(clock, clientId)
    })
    // No action gets an earlier stamp from now on, unless the wall clock goes back.
    const earliest = Effect.map(wallMs, (ms) =>
      Hlc.make(
        Either.getOrElse(Hlc.tick(clock, ms), () => clock),
        clientId
      )
    )
    const publish = (change: Change) => PubSub.publish(changes, change)
    const pendingRows = sql.unsafe<RecordRow>(
      "SELECT id, hlc, name, version, args FROM synchrotron.records WHERE status = 'pending' ORDER BY hlc"
    )
    const executable = (record: RecordRow): Execution.Executable | null => {
      const decoded = decodeArgs(app, record.name, record.version, JSON.parse(record.args))
      return decoded === null
        ? null
        : { id: record.id, hlc: record.hlc, principal, run: { _tag: "code", ...decoded } }
    }
    const executableLater = (record: LaterRecord): Execution.Executable => {
      const decoded =
        record.args === undefined ? null : decodeArgs(app, record.name, record.version, record.args)
      return {
        id: record.id,
        hlc: record.hlc,
        principal: {
          userId: record.userId,
          claims: record.userId === principal.userId ? principal.claims : {}
        },
        run: decoded === null ? { _tag: "patches", patches: record.patches } : { _tag: "code", ...decoded }
      }
    }
    const scans = Effect.map(
      sql.unsafe<{ name: string; scans: number }>("SELECT name, scans FROM synchrotron.scans()"),
      (rows) => new Map(rows.map((row) => [row.name, row.scans]))
    )
    // What was rolled back has left its traces in `used`.
    const forgetUsed = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.onError(effect, () =>
        Effect.sync(() => {
          used = null
        })
      )
    // A pending record that this version cannot execute, or that fails now, stays pending without effect.
    const replay = (records: ReadonlyArray<Execution.Executable | null>) =>
      Effect.gen(function* () {
        const runnable = records.filter((record) => record !== null)
        yield* sql.unsafe("DELETE FROM synchrotron.patches")
        const before = yield* scans
        const exits = yield* Execution.sequence(sql, runnable, mode)
        const written = yield* sql.unsafe<{ tbl: string }>("SELECT DISTINCT tbl FROM synchrotron.patches")
        const after = yield* scans
        // What made a record fail, such as a row that it clashed with, is in no count.
        if (exits.some(Exit.isFailure)) used = null
        else {
          used = new Set(written.map((w) => w.tbl))
          for (const [table, count] of after) if (count > (before.get(table) ?? 0)) used.add(table)
        }
        return { order: runnable.map(({ id }) => id), written: written.map((w) => w.tbl) }
      })

    if (opened.migrated && opened.self.stamped !== null) {
      yield* sql.withTransaction(Effect.flatMap(pendingRows, (rows) => replay(rows.map(executable))))
    }

    // ---- local execution -------------------------------------------------------------------------------------

    const run = (
      name: string,
      action: AnyAction,
      encoded: unknown,
      decoded: unknown,
      { call, forget = null }: { readonly call?: Answers.Call | undefined; readonly forget?: RecordId | null }
    ) =>
      Effect.gen(function* () {
        const args = JSON.stringify(encoded)
        const bytes = jsonBytes(args)
        if (bytes > limits.argsBytesMax) {
          return yield* new ArgsInvalid({
            action: name,
            message: `The arguments take ${bytes} bytes, and at most ${limits.argsBytesMax} are allowed. Split the operation.`
          })
        }
        if (!isStorable(args)) {
          return yield* new ArgsInvalid({
            action: name,
            message:
              "The arguments have a character that Postgres cannot hold: NUL (\\u0000) or a lone surrogate. Remove it from the text."
          })
        }
        const done = yield* sql.withTransaction(
          Effect.gen(function* () {
            const hlc = yield* nextHlc
            const record: Execution.Executable = {
              id: call?.id ?? ((yield* uuids.next) as RecordId),
              hlc,
              principal,
              run: { _tag: "code", action, args: decoded }
            }
            yield* Execution.enter(sql, record)
            const value = yield* Execution.perform(sql, record)
            if (options.purityCheck) yield* checkPurity(sql, name, record)
            for (const statement of Execution.check(mode)) yield* sql.unsafe(statement.sql)
            const [kept] = yield* sql.unsafe<{ written: ReadonlyArray<string>; used: ReadonlyArray<string> }>(
              "SELECT written, used FROM synchrotron.keep_record($1::uuid, $2, $3, $4::integer, $5, $6::uuid)",
              [record.id, hlc, name, action.version, args, forget]
            )
            // Before the commit, for a sync that comes next must know it.
            for (const table of [...kept!.written, ...kept!.used]) used?.add(table)
            if (call !== undefined) yield* Answers.keep(sql, call, { hlc, value })
            return { id: record.id, hlc, value, ...kept! }
          })
        )
        yield* publish({ tables: new Set(done.written), records: true, outcomes: [] })
        return { id: done.id, hlc: done.hlc, value: done.value }
      }).pipe(
        Effect.catchAllDefect(
          (defect) =>
            new ActionCrashed({
              action: name,
              message: `The action ${name} crashed: ${describe(defect)}`,
              cause: defect
            })
        ),
        // Once begun it runs to its end: an interrupted caller must not leave it open whether the record exists.
        Effect.uninterruptible
      )

    // Runs on the decoded form of the encoded args, because that is what every other replica will run on.
    const prepare = (operation: AnyOperation) =>
      Effect.flatMap(encode(operation), (encoded) =>
        Effect.mapBoth(Schema.decode(operation.action.args)(encoded), {
          onSuccess: (decoded) => ({ encoded, decoded: decoded as unknown }),
          onFailure: (error) => misfit(operation.action, error)
        })
      )

    /** What is asked for again was executed, or is now. */
    const once = <E>(call: Answers.Call | undefined, executed: Effect.Effect<Executed<unknown>, E>) =>
      call?.again === true
        ? Effect.flatMap(
            Answers.find(sql, call.id),
            (known): Effect.Effect<Executed<unknown>, E> =>
              known === null ? executed : Effect.succeed({ ...known, again: true })
          )
        : executed

    const execute = (operation: AnyOperation, call?: Answers.Call) =>
      once(
        call,
        Effect.flatMap(prepare(operation), ({ encoded, decoded }) =>
          run(operation.action.name, operation.action, encoded, decoded, { call })
        )
      )

    // ---- sync ------------------------------------------------------------------------------------------------

    const request = sql.withTransaction(
      Effect.gen(function* () {
        const records = yield* sql.unsafe<RecordRow & { digest: string | null }>(
          `WITH oldest AS (SELECT id, hlc, name, version, args FROM synchrotron.records WHERE status = 'pending' ORDER BY hlc LIMIT ${limits.recordsMax + 1})
           SELECT oldest.*, d.digest FROM oldest LEFT JOIN synchrotron.digests((SELECT array_agg(id) FROM oldest)) AS d ON d.record_id = oldest.id ORDER BY oldest.hlc`
        )
        const unsent = records[limits.recordsMax]
        const { cursors, load, seq } = yield* Cursors.read(sql)
        const position = load?.position ?? undefined
        const common = {
          protocol: protocolVersion,
          app: app.name,
          schema: app.schemaHash,
          clientId,
          clientTimeMs: yield* Clock.currentTimeMillis,
          seq,
          cursors,
          ...(position === undefined ? {} : { position })
        }
        // While more chunks are to come nobody looks at verdicts, so records are sent once to be judged.
        const oldest = records.slice(0, limits.recordsMax)
        if (position === undefined) sentInLoad.clear()
        else if (oldest.length > 0 && oldest.every(({ id }) => sentInLoad.has(id)))
          return { ...common, records: [], after: null } satisfies SyncRequest
        return {
          ...common,
          records: oldest.map((r) => ({ ...r, args: JSON.parse(r.args) as unknown })),
          after: unsent?.hlc ?? (yield* earliest)
        } satisfies SyncRequest
      })
    )
    const following = (sent: SyncRequest, response: SyncResponse) =>
      Effect.gen(function* () {
        const { next } = response
        if (next === null) return null
        const pending = yield* pendingRows
        const judged = new Set([...sentInLoad, ...sent.records.map(({ id }) => id)])
        if (pending.some(({ id }) => !judged.has(id))) return null
        return {
          ...sent,
          clientTimeMs: yield* Clock.currentTimeMillis,
          cursors: Cursors.following(sent, response, next),
          position: next,
          records: [],
          after: pending.length === 0 ? sent.after : null
        } satisfies SyncRequest
      })
    /** Within a transaction; `sent` is null for a response that nobody asked for. */
    const apply = (cursors: Cursors.Cursors, sent: SyncRequest | null, response: SyncResponse) =>
      Effect.gen(function* () {
        const nowMs = yield* Clock.currentTimeMillis
        if (Cursors.isSpoilt(cursors, response)) {
          yield* Cursors.forgetLoad(sql)
          return { ...unseen, path: "restarted", seq: response.seq, load: null } as const
        }
        const rows = countRows(response.tables)
        // Without `after` the request has kept records back, so its answer does not say what they cross.
        if (response.next !== null || (sent !== null && sent.after === null)) {
          const load = yield* Cursors.keepChunk(sql, response)
          for (const { id } of sent?.records ?? []) sentInLoad.add(id)
          return { ...unseen, path: "chunk", rows, seq: response.seq, load } as const
        }
        // What comes live comes only when nothing is pending, and then nothing is crossed.
        const pending = sent === null ? [] : yield* pendingRows
        const pendingIds = new Set(pending.map((record) => record.id))
        const verdicts = response.verdicts.filter((verdict) => pendingIds.has(verdict.id))
        // The wall clock has gone back since, and what such a record crosses is not all here.
        const sentIds = new Set(sent?.records.map(({ id }) => id))
        if (pending.some(({ hlc, id }) => hlc < sent!.after! && !sentIds.has(id)))
          return { ...unseen, path: "stale", seq: cursors.seq, load: cursors.load } as const
        const { held, load } = cursors
        const audiences = new Set<string>(response.audiences)
        const kept = held.filter((audience) => audiences.has(audience))
        const purges = kept.length < held.length
        // Without cursors all rows come again, as after a migration: what is here and does not come is gone.
        const again = held.length === 0 && cursors.seq > 0
        const loads = load !== null || rows > putRowsMax || again
        const resets = purges || loads
        const [later] =
          sent === null
            ? [{ crossing: false }]
            : yield* sql.unsafe<{ crossing: boolean }>(
                "SELECT EXISTS (SELECT FROM synchrotron.later_patches) AS crossing"
              )
        const plan = Reconcile.plan(
          { pending, crossing: later!.crossing, used },
          {
            judged: new Set(verdicts.map((verdict) => verdict.id)),
            tables: new Set(response.tables.map((t) => t.table as string)),
            resets,
            later: response.later
          },
          { fast: options.fastPaths ?? true }
        )
        const tables = new Set<string>()
        const note = (changed: ReadonlyArray<Changed>) => {
          for (const c of changed) if (c.changed > 0) tables.add(c.tbl)
        }
        const refused = [
          ...verdicts.flatMap((v) =>
            v.outcome === "rejected" || v.outcome === "voided"
              ? [{ id: v.id, status: v.outcome, error: JSON.stringify(v.error) }]
              : []
          )
        ]
        let order: ReadonlyArray<RecordId> = []
        if (refused.length > 0) yield* sql.unsafe(refuseSql, [JSON.stringify(refused)])
        if (plan.path === "disjoint" || (plan.path === "rows" && !plan.undo)) {
          note(yield* sql.unsafe<Changed>(putRowsSql, [Cursors.rowsText(response)]))
        } else if (plan.path !== "nothing") {
          const later =
            plan.path === "rows"
              ? []
              : plan.later.flatMap((record) =>
                  record.patches.map((p) => ({
                    tbl: p.table,
                    key: p.key,
                    before: p.before,
                    after: p.after
                  }))
                )
          if (resets) {
            // The rows that go are those of the confirmed state, so that state has to stand first. They go before
            // others come, which may have a value of theirs that only one row can have.
            note(yield* settle(noRows, []))
            yield* sql.unsafe(forgetOverlay)
            if (purges) note(yield* sql.unsafe<Changed>(purgeSql, [kept]))
            // Its rows are of several moments, so none may stand without the last ones.
            if (loads) note(yield* Cursors.putLoad(sql, response, again))
          }
          note(yield* settle(loads ? noRows : Cursors.rowsText(response), later))
          yield* sql.unsafe(forgetOverlay)
          if (later.length > 0) yield* sql.unsafe(keepLaterSql, [JSON.stringify(later)])
          if (plan.path === "rows") used = new Set()
          else {
            const done = yield* replay(
              plan.replay.map((record) =>
                "patches" in record ? executableLater(record) : executable(record)
              )
            )
            order = done.order
            for (const table of done.written) tables.add(table)
          }
        }
        const judged = verdicts
          .filter((v) => v.outcome === "applied" || v.outcome === "changed")
          .map((v) => v.id)
        if (judged.length > 0)
          yield* sql.unsafe("DELETE FROM synchrotron.records WHERE id = ANY ($1::uuid[])", [judged])
        // A record that was voided before its client had an answer is in the verdicts and in the notices.
        const judgedIds = new Set(verdicts.map((verdict) => verdict.id))
        const notices = response.notices.filter((notice) => !judgedIds.has(notice.id))
        yield* keepNotices(sql, notices)
        // How long a message of the live path took is not known.
        if (sent !== null)
          offsetMs = Hlc.offsetAfter(offsetMs, response.serverTimeMs, sent.clientTimeMs, nowMs)
        yield* Cursors.advance(sql, cursors, response, offsetMs)
        // Before the commit, for an action that comes next must be stamped after what this one shows.
        for (const verdict of response.verdicts) if ("hlc" in verdict) clock = Hlc.witness(clock, verdict.hlc)
        clock = Hlc.latest(clock, response.clock)
        const outcomes = [
          ...verdicts.map((v) => ({
            id: v.id,
            outcome:
              v.outcome === "rejected" || v.outcome === "voided"
                ? { _tag: v.outcome, error: v.error }
                : { _tag: v.outcome }
          })),
          ...notices.map((n) => ({
            id: n.id,
            outcome: { _tag: "voided", error: n.error } as const
          }))
        ] as Change["outcomes"]
        const count = rows + (load?.rowsDone ?? 0)
        const done = { path: plan.path, rows: count, replayed: order.length, order, seq: response.seq }
        return { ...done, load: null, tables, outcomes }
      })
    const inTransaction = <A>(
      effect: Effect.Effect<A & Pick<Change, "outcomes" | "tables">, SqlError.SqlError>
    ) =>
      Effect.gen(function* () {
        const { outcomes, tables, ...done } = yield* sql.withTransaction(effect)
        if (tables.size > 0 || outcomes.length > 0)
          yield* publish({ tables, records: outcomes.length > 0, outcomes })
        return done
      }).pipe(
        // What is kept of a load would be refused again.
        Effect.catchIf(isOfRows, (error) =>
          Effect.zipRight(Cursors.forgetLoad(sql), new RowsInvalid({ reason: describe(error.cause) }))
        ),
        forgetUsed,
        Effect.uninterruptible
      )
    const receive = (
      sent: SyncRequest,
      response: SyncResponse
    ): Effect.Effect<Received, SqlError.SqlError | RowsInvalid> =>
      inTransaction(
        Effect.gen(function* () {
          const cursors = yield* Cursors.read(sql)
          if (!Cursors.isCurrent(cursors, sent))
            return { ...unseen, path: "stale", seq: cursors.seq, load: cursors.load } as const
          return yield* apply(cursors, sent, response)
        })
      )
    const follow = (message: Live.Message): Effect.Effect<Followed, SqlError.SqlError | RowsInvalid> =>
      inTransaction(
        Effect.gen(function* () {
          const cursors = yield* Cursors.read(sql)
          const [found] = yield* sql.unsafe<{ pending: boolean }>(
            "SELECT EXISTS (SELECT FROM synchrotron.records WHERE status = 'pending') AS pending"
          )
          const decision = Live.decide({ cursors, pending: found!.pending }, message)
          if (decision !== "apply") return { ...unseen, decision, received: null }
          const { outcomes, tables, ...received } = yield* apply(cursors, null, {
            ...message.answer!,
            audiences: message.answer!.audiences ?? cursors.held
          })
          return { outcomes, tables, decision, received }
        })
      )

    const restamp = (serverTimeMs: number) =>
      Effect.gen(function* () {
        offsetMs = serverTimeMs - (yield* Clock.currentTimeMillis)
        yield* sql.withTransaction(
          Effect.gen(function* () {
            const [seen] = yield* sql.unsafe<Hlc.ClockState>(
              "SELECT clock_ms AS ms, clock_counter AS counter FROM synchrotron.replica"
            )
            clock = seen!
            const pending = yield* pendingRows
            const stamped: Array<RecordRow> = []
            for (const record of pending) stamped.push({ ...record, hlc: yield* nextHlc })
            yield* sql.unsafe(
              "UPDATE synchrotron.records AS r SET hlc = x.hlc FROM jsonb_to_recordset($1::jsonb) AS x(id uuid, hlc text) WHERE r.id = x.id",
              [JSON.stringify(stamped.map(({ id, hlc }) => ({ id, hlc })))]
            )
            yield* sql.unsafe("UPDATE synchrotron.replica SET clock_offset_ms = $1", [offsetMs])
            yield* settle(noRows, [])
            yield* sql.unsafe("DELETE FROM synchrotron.later_patches")
            yield* replay(stamped.map(executable))
          })
        )
        yield* publish({ tables: new Set(app.tables.map((t) => t.name)), records: true, outcomes: [] })
      }).pipe(forgetUsed, Effect.uninterruptible)

    // ---- the inbox -------------------------------------------------------------------------------------------

    const rejectedRow = (id: RecordId) =>
      Effect.flatMap(
        sql.unsafe<RecordRow>(
          "SELECT id, hlc, name, version, args FROM synchrotron.records WHERE id = $1 AND status <> 'pending'",
          [id]
        ),
        ([row]) => (row === undefined ? new RecordNotFound({ id }) : Effect.succeed(row))
      )

    return {
      clientId,
      execute: execute as Replica["execute"],
      executeAll: (operations, call) =>
        Effect.flatMap(
          Effect.forEach(operations, (operation) =>
            Effect.map(prepare(operation), ({ encoded }) => ({
              name: operation.action.name,
              version: operation.action.version,
              args: encoded as unknown
            }))
          ),
          (prepared) =>
            execute(Execution.batchOperation(app, prepared), call) as Effect.Effect<
              Executed<ReadonlyArray<unknown>>,
              ExecuteError<unknown>
            >
        ),
      request,
      following,
      receive,
      follow,
      restamp,
      forgetCursors: Effect.asVoid(forgetCursors),
      pending: Effect.map(pendingRows, (rows) =>
        rows.map((row) => ({ ...row, args: JSON.parse(row.args) as unknown }))
      ),
      pendingCount: Effect.map(
        sql.unsafe<{ count: number }>(
          "SELECT count(*)::integer AS count FROM synchrotron.records WHERE status = 'pending'"
        ),
        (rows) => rows[0]!.count
      ),
      rejected: Effect.map(
        sql.unsafe<RecordRow & { status: "rejected" | "voided"; error: string; patches: string | null }>(
          "SELECT * FROM synchrotron.records WHERE status <> 'pending' ORDER BY hlc"
        ),
        (rows) =>
          rows.map(({ status, error, patches, args, ...row }) => ({
            ...row,
            args: JSON.parse(args) as unknown,
            outcome: status,
            error: JSON.parse(error) as Rejection,
            patches: JSON.parse(patches ?? "[]") as ReadonlyArray<Patch>
          }))
      ),
      retry: (id, call) =>
        once(
          call,
          Effect.gen(function* () {
            const row = yield* rejectedRow(id)
            const decoded = decodeArgs(app, row.name, row.version, JSON.parse(row.args))
            if (decoded === null) {
              return yield* new ArgsInvalid({
                action: row.name,
                message: `This version of the application cannot run ${row.name} version ${row.version} with the recorded arguments. Update the application, or dismiss the record.`
              })
            }
            return yield* run(row.name, decoded.action, JSON.parse(row.args), decoded.args, {
              call,
              forget: id
            })
          })
        ),
      dismiss: (id) =>
        Effect.gen(function* () {
          yield* rejectedRow(id)
          yield* sql.unsafe("DELETE FROM synchrotron.records WHERE id = $1 AND status <> 'pending'", [id])
          yield* publish({ tables: new Set(), records: true, outcomes: [] })
        }),
      changes: Stream.fromPubSub(changes),
      clockOffsetMs: Effect.sync(() => offsetMs),
      cursors: Cursors.read(sql)
    }
  })

// The tables are the confirmed state then.
const forgetOverlay = "DELETE FROM synchrotron.patches;DELETE FROM synchrotron.later_patches"

/** For `settle` and the like: nothing came. */
const noRows = "[]"

/** More rows than this take the way of a load, which costs a third for each, and a few statements for each table. */
const putRowsMax = 1000

/** How many rows a statement has changed in a table. */
interface Changed {
  readonly tbl: string
  readonly changed: number
}

/** A transaction that nobody sees anything of. */
const unseen = { rows: 0, replayed: 0, tables: new Set<string>(), outcomes: [] } as const

/** Data exceptions, broken constraints, and a table that there is not: only the rows of an answer bring these here. */
const isOfRows = (error: SqlError.SqlError): boolean =>
  /^(?:22|23|42P01)/.test(Execution.sqlState(error) ?? "")

const describe = (defect: unknown): string => (defect instanceof Error ? defect.message : String(defect))

/** The action and decoded args of a stored or received record; null when this version of the app cannot run it. */
const decodeArgs = (
  app: SyncApp,
  name: string,
  version: number,
  encoded: unknown
): { readonly action: AnyAction; readonly args: unknown } | null => {
  const action = Execution.findAction(app, name, version)
  if (action === undefined) return null
  const args = Schema.decodeUnknownEither(action.args)(encoded)
  return Either.isRight(args) ? { action, args: args.right as unknown } : null
}

const keepNotices = (sql: SqlClient.SqlClient, notices: SyncResponse["notices"]) =>
  notices.length === 0
    ? Effect.void
    : sql.unsafe(
        `INSERT INTO synchrotron.records (id, hlc, name, version, args, status, error)
         SELECT x.id, x.hlc, x.name, x.version, x.args, 'voided', x.error
         FROM jsonb_to_recordset($1::jsonb) AS x(id uuid, hlc text, name text, version integer, args text, error text) ON CONFLICT DO NOTHING`,
        [
          JSON.stringify(
            notices.map((n) => ({
              ...n,
              args: JSON.stringify(n.args),
              error: JSON.stringify(n.error)
            }))
          )
        ]
      )

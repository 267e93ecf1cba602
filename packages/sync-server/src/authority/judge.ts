/**
 * The first half of a sync: gives every record of a request its verdict, in the transaction that gives it its effect.
 *
 *     lock ─► known? ─► place ─► take back what comes later ─► execute in HLC order ─► publish the commit
 */
import type { SqlClient, SqlError } from "@effect/sql"
import {
  type ClientId,
  Execution,
  Hlc,
  literal,
  type Principal,
  Protocol,
  puttingSql,
  type RecordId,
  type Seq,
  SyncApp
} from "@synchrotron/sync-core"
import { Cause, Clock, Effect, Either, Exit, Option, Schema } from "effect"
import { isAfter, place } from "./place.ts"
import { rejectionOf } from "./rejection.ts"
import { realmLock } from "./schema.ts"
import type { Setup } from "./setup.ts"
import { type RealmRow, type Window, windowFloor } from "./window.ts"

export interface JudgeOptions extends Window {
  readonly app: SyncApp.SyncApp
  readonly driftMsMax: number
}

type Rejection = typeof Protocol.Rejection.Type

/** A record on its way through a commit; `fresh` ones get a verdict, the others were canonical before. */
interface Candidate extends Execution.Executable {
  readonly fresh: Fresh | null
  readonly external: boolean
}

interface Fresh {
  readonly id: RecordId
  readonly name: string
  readonly version: number
  readonly args: unknown
  readonly digest: string | null
  readonly content: string
  readonly hlc: Hlc.Hlc
}

interface CanonicalRow {
  readonly id: RecordId
  readonly hlc: Hlc.Hlc
  readonly user_id: string
  readonly claims: string
  readonly name: string
  readonly version: number
  readonly args: string
}

export const externalName = "synchrotron.external"

/** Refuses, executes and commits. The verdicts themselves are read back with the changes. */
export const judge = (
  sql: SqlClient.SqlClient,
  setup: Setup,
  options: JudgeOptions,
  principal: Principal,
  request: Protocol.WireRequest
): Effect.Effect<
  void,
  Protocol.ClockDrift | Protocol.ClientMismatch | Protocol.CursorTooOld | SqlError.SqlError
> =>
  sql.withTransaction(
    Effect.gen(function* () {
      const nowMs = yield* Clock.currentTimeMillis
      const ids = `SELECT x::uuid FROM json_array_elements_text(${literal(JSON.stringify(request.records.map((r) => r.id)))}) AS x`
      const results = (yield* sql.unsafe(
        `SELECT pg_advisory_xact_lock(${realmLock});${setup.prepare}
         INSERT INTO synchrotron.clients (client_id, user_id) VALUES ('${request.clientId}', ${literal(principal.userId)}) ON CONFLICT DO NOTHING;
         SELECT seq, clock_ms, clock_counter, floor_ms, floor_counter, (SELECT user_id FROM synchrotron.clients WHERE client_id = '${request.clientId}') AS owner,
           (SELECT max(hlc) FROM synchrotron.records WHERE client_id = '${request.clientId}') AS last FROM synchrotron.realm;
         SELECT id FROM synchrotron.records WHERE id IN (${ids}) UNION ALL SELECT id FROM synchrotron.dead_letters WHERE id IN (${ids})`
      )) as unknown as ReadonlyArray<ReadonlyArray<unknown>>
      const realm = results.at(-2)![0] as RealmRow & {
        readonly seq: Seq
        readonly owner: string
        readonly last: Hlc.Hlc | null
      }
      const known = results.at(-1) as ReadonlyArray<{ readonly id: RecordId }>
      if (realm.owner !== principal.userId) return yield* clientMismatch
      // First of all, for what is judged makes commits, and the client would not be ahead any more.
      yield* checkHistory(request, realm.seq)
      const knownIds = new Set(known.map((row) => row.id))
      // Of two records with one id in a request the first one stands, as if they had come one after the other.
      const fresh = request.records
        .filter((record) => !knownIds.has(record.id) && knownIds.add(record.id))
        .sort((a, b) => Hlc.compare(a.hlc, b.hlc))
      if (fresh.length === 0) return
      for (const record of fresh) {
        if (Either.isLeft(Hlc.checkDrift(record.hlc, nowMs, options.driftMsMax))) {
          return yield* new Protocol.ClockDrift({
            message: `The record ${record.id} is stamped ${Hlc.parts(record.hlc).ms - nowMs} ms in the future. Set the device's clock; the client stamps its pending records again.`,
            serverTimeMs: nowMs
          })
        }
      }
      const top: Hlc.ClockState = { ms: realm.clock_ms, counter: realm.clock_counter }
      const placed = place(fresh, request.clientId, {
        floor: yield* windowFloor(sql, options, realm, {
          counting: !isAfter(Hlc.parts(fresh[0]!.hlc), top),
          nowMs
        }),
        last: realm.last === null ? null : Hlc.parts(realm.last)
      })
      const rejections = new Map<RecordId, Rejection>()
      const candidates = placed.flatMap((record) =>
        candidateOf(options.app, principal, record, request.clientId, rejections)
      )
      const crossed = yield* crossedBy(sql, options.app, placed[0]!.hlc, top)
      const { voided } = yield* execute(sql, setup, crossed, candidates, rejections)
      yield* conclude(
        sql,
        principal,
        request.clientId,
        placed.map((r) => freshOf(r, request.clientId)),
        rejections,
        voided,
        crossed.length > 0
      )
    })
  )

/** A client that has applied commits after the last one has them from another history, of before a backup was restored. */
export const checkHistory = (
  { cursors, seq }: Pick<Protocol.WireRequest, "cursors" | "seq">,
  last: Seq
): Effect.Effect<void, Protocol.CursorTooOld> =>
  (cursors === null ? [seq ?? 0] : Object.values(cursors)).some((cursor) => cursor > last)
    ? new Protocol.CursorTooOld({
        message: `The client has applied commits after ${last}, the server's last one: the server was restored from a backup. The client fetches all rows again and keeps its pending records.`
      })
    : Effect.void

export const clientMismatch = new Protocol.ClientMismatch({
  message:
    "This client id belongs to another user. Open a local database of this user's own; the other one is untouched."
})

/** What two uses of one id must share to be the same record. */
export const contentOf = (
  clientId: ClientId,
  record: Pick<Protocol.PendingRecord, "name" | "version" | "args">
): string => JSON.stringify([clientId, record.name, record.version, record.args])

const freshOf = (record: Protocol.PendingRecord, clientId: ClientId): Fresh => ({
  ...record,
  content: contentOf(clientId, record)
})

/** A record that can be executed, or a rejection at once. */
const candidateOf = (
  app: SyncApp.SyncApp,
  principal: Principal,
  record: Protocol.PendingRecord,
  clientId: ClientId,
  rejections: Map<RecordId, Rejection>
): ReadonlyArray<Candidate> => {
  const action = Execution.findAction(app, record.name, record.version)
  if (action === undefined) {
    rejections.set(record.id, {
      class: "unknown_action",
      message: `The server does not know the action ${SyncApp.actionKey(record.name, record.version)}.`
    })
    return []
  }
  const json = JSON.stringify(record.args ?? null)
  if (Protocol.jsonBytes(json) > Protocol.limits.argsBytesMax) {
    rejections.set(record.id, {
      class: "invalid",
      message: `The arguments are larger than ${Protocol.limits.argsBytesMax} bytes.`
    })
    return []
  }
  if (!Protocol.isStorable(json)) {
    rejections.set(record.id, {
      class: "invalid",
      message: "The arguments have a character that Postgres cannot hold: NUL (\\u0000) or a lone surrogate."
    })
    return []
  }
  const args = Schema.decodeUnknownEither(action.args)(record.args)
  if (Either.isLeft(args)) {
    rejections.set(record.id, { class: "invalid", message: args.left.message })
    return []
  }
  return [
    {
      id: record.id,
      hlc: record.hlc,
      principal,
      run: { _tag: "code", action, args: args.right as unknown },
      fresh: freshOf(record, clientId),
      external: false
    }
  ]
}

/** Takes canonical records after `hlc` back, set-based, and returns them as candidates in their order. */
const crossedBy = (sql: SqlClient.SqlClient, app: SyncApp.SyncApp, hlc: Hlc.Hlc, top: Hlc.ClockState) =>
  Effect.gen(function* () {
    if (isAfter(Hlc.parts(hlc), top)) return []
    const rows = yield* sql.unsafe<CanonicalRow>(
      "SELECT id, hlc, user_id, claims, name, version, args FROM synchrotron.records WHERE hlc > $1 AND status <> 'voided' ORDER BY hlc",
      [hlc]
    )
    if (rows.length === 0) return []
    yield* sql.unsafe(
      `WITH taken AS (DELETE FROM synchrotron.patches AS p USING synchrotron.records AS r WHERE r.id = p.record_id AND r.hlc > $1 RETURNING p.*)
       INSERT INTO synchrotron.undone SELECT n, record_id, tbl, key, before, after FROM taken`,
      [hlc]
    )
    yield* sql.unsafe(
      puttingSql(
        "SELECT DISTINCT ON (tbl, key) tbl, key, before AS image FROM synchrotron.undone ORDER BY tbl, key, n"
      )
    )
    const code = rows.map((row) => (row.name === externalName ? null : codeOf(app, row)))
    // What this version of the application cannot run does again what it did.
    const unknown = rows.filter((row, i) => row.name !== externalName && code[i] === null)
    const patchesById =
      unknown.length === 0
        ? new Map()
        : yield* undonePatches(
            sql,
            unknown.map((row) => row.id)
          )
    return rows.map((row, i): Candidate => {
      const principal: Principal = {
        userId: row.user_id,
        claims: JSON.parse(row.claims) as Principal["claims"]
      }
      const external = row.name === externalName
      const run: Execution.Run = code[i] ?? {
        _tag: "patches",
        patches: external ? (JSON.parse(row.args) as Array<Protocol.Patch>) : (patchesById.get(row.id) ?? [])
      }
      return { id: row.id, hlc: row.hlc, principal, run, fresh: null, external }
    })
  })

/** The action and the decoded args of a canonical record; null when this version of the application has not both. */
const codeOf = (app: SyncApp.SyncApp, row: CanonicalRow): Execution.Run | null => {
  const action = Execution.findAction(app, row.name, row.version)
  if (action === undefined) return null
  const args = Schema.decodeUnknownEither(action.args)(JSON.parse(row.args))
  return Either.isLeft(args) ? null : { _tag: "code", action, args: args.right as unknown }
}

const undonePatches = (sql: SqlClient.SqlClient, ids: ReadonlyArray<RecordId>) =>
  Effect.map(
    sql.unsafe<{ record_id: RecordId; patches: ReadonlyArray<Protocol.Patch> }>(
      `SELECT record_id, json_agg(json_build_object('table', tbl, 'key', key, 'before', before, 'after', after) ORDER BY n) AS patches
       FROM synchrotron.undone WHERE record_id = ANY ($1::uuid[]) GROUP BY record_id`,
      [ids]
    ),
    (rows) => new Map(rows.map((row) => [row.record_id, row.patches]))
  )

/**
 * Patches fail by what rows hold. When a statement of the engine itself does not work (class 42), or finds nothing where
 * it must (P0002), no record is to blame: the whole request fails, and loses nothing.
 */
const expectSound = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  if (Exit.isSuccess(exit)) return Effect.void
  const state = Execution.sqlState(Option.getOrUndefined(Cause.failureOption(exit.cause)))
  return /^(42|P0002)/.test(state ?? "") ? Effect.die(Cause.squash(exit.cause)) : Effect.void
}

/** How many records of one commit are each found guilty of a conflict before all suspects are refused at once. */
const conflictsMax = 16

/**
 * Executes everything from the late arrival on. A write that was made directly on the server has happened and cannot
 * be refused any more, so when it no longer fits, the new record that rules it out is searched, refused, and the rest
 * is tried again. Each search takes as many executions as the number of new records has binary digits.
 */
const execute = (
  sql: SqlClient.SqlClient,
  setup: Setup,
  crossed: ReadonlyArray<Candidate>,
  fresh: ReadonlyArray<Candidate>,
  rejections: Map<RecordId, Rejection>
): Effect.Effect<{ readonly voided: ReadonlyMap<RecordId, Rejection> }, SqlError.SqlError> =>
  Effect.gen(function* () {
    const guarded = crossed.some((record) => record.external)
    const attempt = (admitted: ReadonlyArray<Candidate>) =>
      Effect.gen(function* () {
        const order = [...crossed, ...admitted].sort((a, b) => Hlc.compare(a.hlc, b.hlc))
        if (guarded) yield* sql.unsafe("SAVEPOINT synchrotron_attempt")
        const exits = yield* Execution.sequence(sql, order, setup.mode)
        for (const [i, record] of order.entries())
          if (record.run._tag === "patches") yield* expectSound(exits[i]!)
        const broken = order.find((record, i) => record.external && Exit.isFailure(exits[i]!))
        const suspects = broken === undefined ? [] : admitted.filter((record) => record.hlc < broken.hlc)
        return { order, exits, suspects }
      })
    const takeBack = sql.unsafe(
      "ROLLBACK TO SAVEPOINT synchrotron_attempt;RELEASE SAVEPOINT synchrotron_attempt"
    )
    /** The first suspect that cannot be executed together with those before it. */
    const guiltyOf = (suspects: ReadonlyArray<Candidate>) =>
      Effect.gen(function* () {
        let [fit, unfit] = [0, suspects.length]
        while (unfit - fit > 1) {
          const middle = (fit + unfit) >> 1
          const { suspects: still } = yield* attempt(suspects.slice(0, middle))
          yield* takeBack
          if (still.length > 0) unfit = middle
          else fit = middle
        }
        return suspects[unfit - 1]!
      })
    let admitted = fresh
    for (let conflicts = 0; ; conflicts++) {
      const { order, exits, suspects } = yield* attempt(admitted)
      if (suspects.length === 0) {
        const voided = new Map<RecordId, Rejection>()
        for (const [i, record] of order.entries()) {
          const exit = exits[i]!
          if (Exit.isSuccess(exit)) continue
          if (record.fresh === null) voided.set(record.id, rejectionOf(exit.cause))
          else rejections.set(record.id, rejectionOf(exit.cause))
        }
        return { voided }
      }
      yield* takeBack
      const guilty = new Set(conflicts < conflictsMax ? [yield* guiltyOf(suspects)] : suspects)
      for (const record of guilty) {
        rejections.set(record.id, {
          class: "conflict",
          message: "A write made directly on the server came later and cannot be done after this action."
        })
      }
      admitted = admitted.filter((record) => !guilty.has(record))
    }
  })

/** Writes the verdicts and ends the commit. At most four round trips, whatever the number of records. */
const conclude = (
  sql: SqlClient.SqlClient,
  principal: Principal,
  clientId: ClientId,
  placed: ReadonlyArray<Fresh>,
  rejections: ReadonlyMap<RecordId, Rejection>,
  voided: ReadonlyMap<RecordId, Rejection>,
  replayed: boolean
) =>
  Effect.gen(function* () {
    const accepted = placed.filter((record) => !rejections.has(record.id))
    const common = {
      client_id: clientId,
      user_id: principal.userId,
      claims: JSON.stringify(principal.claims)
    }
    const row = (record: Fresh) => ({
      ...common,
      id: record.id,
      hlc: record.hlc,
      name: record.name,
      version: record.version,
      args: JSON.stringify(record.args ?? null),
      content: record.content,
      digest: record.digest
    })
    const dead = placed.flatMap((record) => {
      const error = rejections.get(record.id)
      return error === undefined ? [] : [{ ...row(record), error: JSON.stringify(error) }]
    })
    if (dead.length > 0) {
      yield* sql.unsafe(
        `INSERT INTO synchrotron.dead_letters (id, hlc, client_id, user_id, claims, name, version, args, content, error)
         SELECT id, hlc, client_id, user_id, claims, name, version, args, md5(content), error FROM jsonb_to_recordset($1::jsonb)
         AS x(id uuid, hlc text, client_id uuid, user_id text, claims text, name text, version integer, args text, content text, error text)`,
        [JSON.stringify(dead)]
      )
    }
    if (accepted.length === 0 && !replayed) return
    const top = Hlc.parts(accepted.at(-1)?.hlc ?? placed[0]!.hlc)
    const [published] = yield* sql.unsafe<{ seq: number }>(
      "SELECT synchrotron.publish($1::bigint, $2::integer) AS seq",
      [accepted.length === 0 ? 0 : top.ms, top.counter]
    )
    if (voided.size > 0) {
      yield* sql.unsafe(
        `UPDATE synchrotron.records AS r SET status = 'voided', error = v.error, seq = $2::bigint
         FROM jsonb_to_recordset($1::jsonb) AS v(id uuid, error text) WHERE r.id = v.id`,
        [
          JSON.stringify([...voided].map(([id, error]) => ({ id, error: JSON.stringify(error) }))),
          published!.seq
        ]
      )
    }
    yield* sql.unsafe(
      `INSERT INTO synchrotron.records (id, hlc, client_id, user_id, claims, name, version, args, content, status, seq)
       SELECT x.id, x.hlc, x.client_id, x.user_id, x.claims, x.name, x.version, x.args, md5(x.content),
         CASE WHEN x.digest IS NOT DISTINCT FROM d.digest THEN 'applied' ELSE 'changed' END, $2::bigint
       FROM jsonb_to_recordset($1::jsonb)
         AS x(id uuid, hlc text, client_id uuid, user_id text, claims text, name text, version integer, args text, content text, digest text)
       LEFT JOIN synchrotron.digests((SELECT array_agg((r ->> 'id')::uuid) FROM jsonb_array_elements($1::jsonb) AS r)) AS d ON d.record_id = x.id`,
      [JSON.stringify(accepted.map(row)), published!.seq]
    )
  })

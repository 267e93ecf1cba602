/**
 * Executes the canonical log alone, once for all checkers that ask: on an empty database, in its order, each record in a
 * transaction of its own, so that nothing of chunks, batches, rollbacks and replays is left. External records have no
 * code and do again what they did. What comes out is compared with what the server keeps.
 */
import { SyncApp as App, Execution, identifier, type Principal, type Protocol } from "@synchrotron/sync-core"
import { Cause, Effect, Either, Exit, Option, Schema } from "effect"
import type { Reference, Reporter, World } from "./Checker.ts"
import { patchesSql, recordsSql, removedParams } from "./log.ts"
import { readOf } from "./views.ts"

export interface CanonicalRecord extends Pick<Execution.Executable, "id" | "hlc"> {
  readonly client_id: string | null
  readonly user_id: string
  readonly claims: string
  readonly name: string
  readonly version: number
  readonly args: string
  /** Digest of the net patches that the server has of it; null when it changed nothing. */
  readonly net: string | null
}

/** Why a canonical record cannot be executed alone. */
export interface Failure {
  /** Row-level security or a missing grant refused it. */
  readonly denied: boolean
  readonly message: string
}

/** One row's net change by one record, images in their text form. */
export interface NetPatch {
  readonly tbl: string
  readonly key: string
  readonly before: string | null
  readonly after: string | null
}

export interface Replay {
  readonly reference: Reference
  /** In canonical order, without those that were voided. */
  readonly records: ReadonlyArray<CanonicalRecord>
  /** Those with code here: external records, and those of an action that the application no longer has, have none. */
  readonly coded: ReadonlySet<string>
  readonly failures: ReadonlyMap<string, Failure>
  /**
   * The first record in canonical order whose net patches differ. All before it are equal, so it began on the same
   * state as on the server, if that one was serial. What is different after it may be its consequence.
   */
  readonly first: {
    readonly record: CanonicalRecord
    readonly server: ReadonlyArray<NetPatch>
    readonly alone: ReadonlyArray<NetPatch>
    /** How many differ, this one included. */
    readonly count: number
  } | null
  /** Patches on the server of what is no canonical record, by record id. */
  readonly strays: ReadonlyArray<{
    readonly id: string
    readonly status: "voided" | "refused" | "unknown"
    readonly patches: number
  }>
}

/** Judges the replay of this world; one that breaks off is reported, since nothing was verified then. */
export const whenReplayed = (
  world: World,
  reporter: Reporter,
  judge: (replay: Replay) => Effect.Effect<void>
) =>
  Effect.flatMap(replayOf(world), judge).pipe(
    Effect.catchAllDefect((defect) =>
      Effect.sync(() => reporter.violated(`The canonical log could not be executed alone: ${String(defect)}`))
    )
  )

const replays = new WeakMap<World, Effect.Effect<Replay>>()

const replayOf = (world: World): Effect.Effect<Replay> =>
  Effect.suspend(() => {
    const known = replays.get(world) ?? Effect.runSync(Effect.cached(replay(world)))
    replays.set(world, known)
    return known
  })

const kept = "synchrotron.patches"

// An update that left the row as it was is no change.
const netSql = (patches: string) => `SELECT record_id, tbl, key, before, after FROM (
  SELECT p.record_id, p.tbl, p.key, (array_agg(p.before ORDER BY p.n))[1] AS before, (array_agg(p.after ORDER BY p.n DESC))[1] AS after
  FROM ${patches} AS p GROUP BY p.record_id, p.tbl, p.key
) AS x WHERE before IS DISTINCT FROM after`

const netDigestsSql = (patches: string) => `SELECT record_id, md5(string_agg(
    tbl || ' ' || key || ' ' || coalesce(before::text, '-') || ' ' || coalesce(after::text, '-'), E'\\n' ORDER BY tbl, key)) AS net
  FROM (${netSql(patches)}) AS changes GROUP BY record_id`

/** The net patches of the record $1. */
export const netOfSql = (
  patches: string = kept
) => `SELECT tbl, key, before::text AS before, after::text AS after
  FROM (${netSql(patches)}) AS changes WHERE record_id = $1 ORDER BY tbl, key`

/** $1 and $2: what compaction has removed. */
const logSql = `SELECT r.id, r.hlc, r.client_id, r.user_id, r.claims, r.name, r.version, r.args, d.net
  FROM ${recordsSql("$1")} AS r LEFT JOIN (${netDigestsSql(patchesSql("$2"))}) AS d ON d.record_id = r.id
  WHERE r.status <> 'voided' ORDER BY r.hlc`

const straysSql = `SELECT p.record_id AS id, count(*)::integer AS patches,
    CASE WHEN EXISTS (SELECT FROM synchrotron.records AS r WHERE r.id = p.record_id) THEN 'voided'
      WHEN EXISTS (SELECT FROM synchrotron.dead_letters AS d WHERE d.id = p.record_id) THEN 'refused' ELSE 'unknown' END AS status
  FROM synchrotron.patches AS p
  WHERE NOT EXISTS (SELECT FROM synchrotron.records AS r WHERE r.id = p.record_id AND r.status <> 'voided')
  GROUP BY p.record_id ORDER BY p.record_id`

/**
 * External records $1 that insert a row where another one is: the first of their patches of a key inserts, and what the
 * reference noted first about it is a row, and another one. Whoever executes patches may not let one write replace
 * another, and the reference executes them by the engine's own means, so its word is not enough.
 */
const replacedSql = `SELECT told.id, told.tbl || ' ' || told.key AS row
  FROM (
    SELECT DISTINCT ON (x.id, p.tbl, p.key) x.id, p.tbl, p.key, p.before, p.after
    FROM jsonb_to_recordset($1::jsonb) AS x(id uuid, patches jsonb), ROWS FROM (
      jsonb_to_recordset(x.patches) AS ("table" text, key text, before jsonb, after jsonb)
    ) WITH ORDINALITY AS p(tbl, key, before, after, position)
    ORDER BY x.id, p.tbl, p.key, p.position
  ) AS told
  JOIN (
    SELECT DISTINCT ON (record_id, tbl, key) record_id AS id, tbl, key, before
    FROM synchrotron.patches ORDER BY record_id, tbl, key, n
  ) AS done USING (id, tbl, key)
  WHERE told.before IS NULL AND done.before <> told.after`

const replay = (world: World): Effect.Effect<Replay> =>
  Effect.gen(function* () {
    const { read } = world.server
    const removed = removedParams(world.server)
    const records = yield* read<CanonicalRecord>(logSql, removed)
    const strays = yield* read<Replay["strays"][number]>(straysSql)
    const reference = yield* world.reference
    const readAlone = readOf(reference.sql)
    const mode = yield* modeOf(reference)
    const coded = new Set<string>()
    const failures = new Map<string, Failure>()
    for (const record of records) {
      const action = Execution.findAction(world.app, record.name, record.version)
      if (action === undefined) {
        // What it did is in its args when it came from outside of the engine, else only in its patches.
        const patches = record.client_id === null ? record.args : yield* patchesOf(world, record.id)
        yield* note(failures, record, executeAlone(reference, mode, record, patchesRun(patches)))
        continue
      }
      coded.add(record.id)
      const args = Schema.decodeUnknownEither(action.args)(JSON.parse(record.args))
      if (Either.isLeft(args)) {
        const message = `its arguments do not fit the action ${App.actionKey(record.name, record.version)}: ${args.left.message}`
        failures.set(record.id, { denied: false, message })
      } else {
        const run = { _tag: "code", action, args: args.right as unknown } as const
        yield* note(failures, record, executeAlone(reference, mode, record, run))
      }
    }
    const outside = records.filter((record) => record.client_id === null && !failures.has(record.id))
    const replaced = yield* readAlone<{ id: string; row: string }>(replacedSql, [
      JSON.stringify(outside.map(({ id, args }) => ({ id, patches: JSON.parse(args) as unknown })))
    ])
    for (const { id, row } of replaced)
      failures.set(id, { denied: false, message: `it inserts ${row}, and another row is there` })
    const alone = new Map(
      (yield* readAlone<{ record_id: string; net: string }>(netDigestsSql(kept))).map((row) => [
        row.record_id,
        row.net
      ])
    )
    const different = records.filter((record) => record.net !== (alone.get(record.id) ?? null))
    const record = different[0]
    const first =
      record === undefined
        ? null
        : {
            record,
            server: yield* read<NetPatch>(netOfSql(patchesSql("$2")), [record.id, removed[1]]),
            alone: yield* readAlone<NetPatch>(netOfSql(), [record.id]),
            count: different.length
          }
    return { reference, records, coded, failures, first, strays }
  })

const patchesRun = (json: string): Execution.Run => ({
  _tag: "patches",
  patches: JSON.parse(json) as ReadonlyArray<Protocol.Patch>
})

const patchesOf = (world: World, id: string) =>
  Effect.map(
    world.server.read<{ patches: string | null }>(
      `SELECT json_agg(json_build_object('table', tbl, 'key', key, 'before', before, 'after', after) ORDER BY n)::text AS patches FROM ${patchesSql("$2")} AS p WHERE record_id = $1`,
      [id, removedParams(world.server)[1]]
    ),
    ([row]) => row!.patches ?? "[]"
  )

/** Gives the record's own exit; a failure of the transaction's end, where deferred constraints are checked, is its own too. */
const executeAlone = (
  { sql }: Reference,
  mode: Execution.Mode,
  record: CanonicalRecord,
  run: Execution.Run
): Effect.Effect<Exit.Exit<unknown, unknown>> => {
  const principal: Principal = {
    userId: record.user_id,
    claims: JSON.parse(record.claims) as Principal["claims"]
  }
  return sql
    .withTransaction(
      Effect.gen(function* () {
        if (!("pglite" in sql)) yield* sql.unsafe(Execution.prepare)
        const exits = yield* Execution.sequence(
          sql,
          [{ id: record.id, hlc: record.hlc, principal, run }],
          mode
        )
        return yield* exits[0]!
      })
    )
    .pipe(Effect.withTracerEnabled(false), Effect.exit)
}

const note = (
  failures: Map<string, Failure>,
  record: CanonicalRecord,
  executed: Effect.Effect<Exit.Exit<unknown, unknown>>
) =>
  Effect.map(executed, (exit) => {
    if (Exit.isSuccess(exit)) return
    const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
    const denied = ["42501", "44000"].includes(Execution.sqlState(failure) ?? "")
    failures.set(record.id, { denied, message: messageOf(failure ?? Cause.squash(exit.cause)) })
  })

/** The database's own words, where it has some. */
export const messageOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error && cause.message !== "" ? cause.message : String(cause)
}

/** How records are executed there, from its catalog. A role that row-level security does not bind would verify nothing. */
export const modeOf = ({ role, sql }: Reference): Effect.Effect<Execution.Mode> =>
  Effect.gen(function* () {
    const [found] = yield* readOf(sql)<{
      free: boolean | null
      constraints: ReadonlyArray<{ readonly name: string; readonly deferred: boolean }> | null
    }>(
      `SELECT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = $1) AS free,
         (SELECT json_agg(json_build_object('name', format('%I.%I', n.nspname, c.conname), 'deferred', c.condeferred) ORDER BY n.nspname, c.conname)
          FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = c.connamespace
          WHERE c.condeferrable AND n.nspname <> 'synchrotron') AS constraints`,
      [role]
    )
    if (found!.free !== false)
      return yield* Effect.dieMessage(
        `the role ${identifier(role)} of the reference database ${found!.free === null ? "does not exist" : "is not bound by row-level security"}`
      )
    const constraints = found!.constraints ?? []
    return {
      role,
      deferrable: constraints.length > 0,
      deferredConstraints: constraints.filter((c) => c.deferred).map((c) => c.name)
    }
  })

/** Who executed what, for a message. */
export const described = (world: World, record: CanonicalRecord): string =>
  `${world.label(record.id)} (${record.client_id === null ? "external" : record.name} at ${record.hlc}${record.client_id === null ? "" : ` of user ${record.user_id}`})`

/** What a record did to rows, for a message. */
export const changes = (patches: ReadonlyArray<NetPatch>): string =>
  patches.length === 0
    ? "nothing"
    : `${patches
        .slice(0, 3)
        .map((p) => `${p.tbl} ${p.key}: ${clip(p.before)} -> ${clip(p.after)}`)
        .join("; ")}${patches.length > 3 ? `; and ${patches.length - 3} more` : ""}`

const clip = (image: string | null): string =>
  image === null ? "absent" : image.length > 200 ? `${image.slice(0, 200)}…` : image

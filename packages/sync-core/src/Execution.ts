/**
 * Executes records on a database, one after the other in one transaction. The same code runs on clients, which
 * execute as the database's owner, and on the authority, which executes as the principal.
 *
 * One round trip leads from a record into the next: it tells Postgres whose record runs and what time it is there.
 */
import { SqlClient, type SqlError } from "@effect/sql"
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import { Cause, Effect, Exit, Fiber, Option, Runtime, Schema } from "effect"
import type { ActionContext, AnyAction, AnyOperation } from "./Action.ts"
import { make as makeAction } from "./Action.ts"
import * as Hlc from "./Hlc.ts"
import type { RecordId } from "./Ids.ts"
import type { Principal } from "./Principal.ts"
import type { Patch } from "./Protocol.ts"
import { actionKey, type SyncApp } from "./SyncApp.ts"
import { sessionSettings } from "./sql/capture.ts"
import { searchPath } from "./sql/determinism.ts"
import { identifier, literal } from "./sql/text.ts"

/** A record as the executor needs it. */
export interface Executable {
  readonly id: RecordId
  readonly hlc: Hlc.Hlc
  readonly principal: Principal
  readonly run: Run
}

/** How a record gets its effect: by its code with decoded args, or by the patches that it left elsewhere. */
export type Run =
  | { readonly _tag: "code"; readonly action: AnyAction; readonly args: unknown }
  | { readonly _tag: "patches"; readonly patches: ReadonlyArray<Patch> }

/** What the executor sets around a record. A client has no role; the authority's is the principals' role. */
export interface Mode {
  readonly role: string | null
  /** Whether constraints can be deferred at all; they are checked at the end of each record. */
  readonly deferrable: boolean
  /** Constraints that are INITIALLY DEFERRED. */
  readonly deferredConstraints: ReadonlyArray<string>
}

const savepoint = "synchrotron_record"

const now = (record: Executable) => new Date(Hlc.parts(record.hlc).ms).toISOString()

/** One statement of several that are sent together. */
interface Statement {
  readonly sql: string
  readonly params?: ReadonlyArray<string>
}

const entering = (record: Executable): Statement => ({
  sql: "SELECT set_config('synchrotron.record', $1, true), set_config('synchrotron.now', $2, true), set_config('synchrotron.draws', '', true), set_config('synchrotron.user_id', $3, true), set_config('request.jwt.claims', $4, true)",
  params: [record.id, now(record), record.principal.userId, JSON.stringify(record.principal.claims)]
})

// Patches are put back by the engine; only code runs as the principal.
const becoming = (record: Executable, mode: Mode): ReadonlyArray<Statement> =>
  mode.role === null
    ? []
    : [{ sql: `SET LOCAL ROLE ${record.run._tag === "code" ? identifier(mode.role) : "NONE"}` }]

// Postgres counts scans of earlier transactions for up to a second more, so the counts at the beginning are kept.
const notingScans =
  "set_config('synchrotron.scans', (SELECT json_object_agg(s.name, s.scans)::text FROM synchrotron.scans() AS s), true)"

/** Makes what follows in this transaction part of `record`; for a client's record that has the transaction to itself. */
export const enter = (
  sql: SqlClient.SqlClient,
  record: Executable
): Effect.Effect<unknown, SqlError.SqlError> => {
  const statement = entering(record)
  return sql.unsafe(`${statement.sql}, ${notingScans}`, statement.params)
}

/**
 * Sends statements in one round trip: pipelined and prepared where the driver can, as PGlite's does, else as one text
 * with the parameters written into it. The first that fails ends the rest.
 */
const together = (
  sql: SqlClient.SqlClient,
  statements: ReadonlyArray<Statement>
): Effect.Effect<unknown, SqlError.SqlError> =>
  "pipeline" in sql
    ? (sql.pipeline as (statements: ReadonlyArray<Statement>) => Effect.Effect<unknown, SqlError.SqlError>)(
        statements
      )
    : sql.unsafe(
        statements
          .map(({ sql, params = [] }) =>
            sql.replace(/\$(\d)/g, (_, n: string) => literal(params[Number(n) - 1]!))
          )
          .join(";")
      )

/** Statements that end a record: what was deferred is checked now, so that a failure is this record's. */
export const check = (mode: Mode): ReadonlyArray<Statement> => [
  ...(mode.deferrable ? [{ sql: "SET CONSTRAINTS ALL IMMEDIATE" }] : []),
  ...(mode.deferredConstraints.length > 0
    ? [{ sql: `SET CONSTRAINTS ${mode.deferredConstraints.join(", ")} DEFERRED` }]
    : [])
]

const leaving = (mode: Mode): ReadonlyArray<Statement> => [
  ...(mode.role === null ? [] : [{ sql: "SET LOCAL ROLE NONE" }]),
  { sql: "SELECT set_config('synchrotron.record', '', true), set_config('synchrotron.now', '', true)" }
]

/** Fixes what SQL and text forms depend on for this transaction, so that it is the same on every replica. */
export const prepare = `SET LOCAL search_path = ${searchPath};${Object.entries(sessionSettings)
  .map(([name, value]) => `SET LOCAL ${name} = ${literal(value)}`)
  .join(";")}`

/** The same for a session that belongs to one replica, once: nothing needs to be set in each of its transactions. */
export const prepareSession = prepare.replaceAll("SET LOCAL ", "SET ")

/** Runs the business logic or applies the patches of one record that was entered. */
export const perform = (sql: SqlClient.SqlClient, record: Executable): Effect.Effect<unknown, unknown> =>
  record.run._tag === "patches"
    ? sql.unsafe("SELECT synchrotron.apply_patches($1::uuid, $2::jsonb)", [
        record.id,
        JSON.stringify(record.run.patches)
      ])
    : Effect.suspend(() =>
        (record.run as Extract<Run, { _tag: "code" }>).action.run({
          args: (record.run as Extract<Run, { _tag: "code" }>).args,
          sql,
          ctx: makeContext(record)
        })
      ).pipe(Effect.provideService(SqlClient.SqlClient, sql))

/** Records that share a savepoint until one of them fails. */
const chunkRecords = 64

/**
 * Executes records in the order given, each all-or-nothing, inside the transaction that the caller holds. Gives one exit
 * per record; a failed record leaves nothing behind. Fails itself only when the database does (`isInfrastructure`): then
 * the whole transaction must be given up.
 *
 * Records fail rarely and savepoints cost as much as statements, so a chunk of records shares one. When one of them
 * fails, the chunk is undone and its halves are tried, down to the record itself. So n records of which f fail cost n
 * executions and at most f * 2 * `chunkRecords` more.
 */
export const sequence = (
  sql: SqlClient.SqlClient,
  records: ReadonlyArray<Executable>,
  mode: Mode
): Effect.Effect<ReadonlyArray<Exit.Exit<unknown, unknown>>, SqlError.SqlError> =>
  Effect.gen(function* () {
    const exits: Array<Exit.Exit<unknown, unknown>> = []
    for (let i = 0; i < records.length; i += chunkRecords) {
      exits.push(...(yield* attempt(sql, records.slice(i, i + chunkRecords), mode)))
    }
    if (records.length > 0) yield* together(sql, leaving(mode))
    return exits
    // A span per statement of thousands of records would cost more than the statements.
  }).pipe(Effect.withTracerEnabled(false))

const attempt = (
  sql: SqlClient.SqlClient,
  records: ReadonlyArray<Executable>,
  mode: Mode
): Effect.Effect<ReadonlyArray<Exit.Exit<unknown, unknown>>, SqlError.SqlError> =>
  Effect.gen(function* () {
    const exits: Array<Exit.Exit<unknown, unknown>> = []
    yield* together(sql, [{ sql: `SAVEPOINT ${savepoint}` }, ...becoming(records[0]!, mode)])
    for (const [i, record] of records.entries()) {
      const entered = together(sql, [
        ...(i > 0 && record.run._tag !== records[i - 1]!.run._tag ? becoming(record, mode) : []),
        entering(record)
      ])
      // A record that swallowed an SQL error leaves a transaction in which the next statement fails, whosever it is.
      const opening = yield* started(sql, entered)
      const exit = yield* Effect.exit(
        Effect.zipLeft(
          Effect.zipLeft(perform(sql, record), finish(sql, mode, i === records.length - 1)),
          opening
        )
      )
      if (Exit.isSuccess(exit)) {
        exits.push(exit)
        continue
      }
      if (Cause.isInterrupted(exit.cause)) return yield* Effect.interrupt
      const failure = Option.getOrNull(Cause.failureOption(exit.cause))
      if (isSqlError(failure) && isInfrastructure(failure)) return yield* Effect.fail(failure)
      yield* together(sql, [
        { sql: `ROLLBACK TO SAVEPOINT ${savepoint}` },
        { sql: `RELEASE SAVEPOINT ${savepoint}` }
      ])
      if (records.length === 1) return [exit]
      const half = Math.ceil(records.length / 2)
      return [
        ...(yield* attempt(sql, records.slice(0, half), mode)),
        ...(yield* attempt(sql, records.slice(half), mode))
      ]
    }
    return exits
  })

/**
 * Sends a statement now, and gives what waits for its answer. A connection executes in the order of sending, so what is
 * sent next need not wait for it: over a network that saves the wait for one answer per record.
 */
const started = <A, E>(
  sql: SqlClient.SqlClient,
  statement: Effect.Effect<A, E>
): Effect.Effect<Effect.Effect<A, E>, E> =>
  "pipeline" in sql
    ? Effect.map(statement, Effect.succeed)
    : Effect.map(Effect.runtime<never>(), (runtime) => Fiber.join(Runtime.runFork(runtime)(statement)))

/** What must hold after each record, so that it does not depend on who shares its chunk. */
const finish = (
  sql: SqlClient.SqlClient,
  mode: Mode,
  last: boolean
): Effect.Effect<unknown, SqlError.SqlError> => {
  const statements = [...check(mode), ...(last ? [{ sql: `RELEASE SAVEPOINT ${savepoint}` }] : [])]
  return statements.length === 0 ? Effect.void : together(sql, statements)
}

const isSqlError = (error: unknown): error is SqlError.SqlError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError"

/** The SQLSTATE of an SqlError of either driver, if it came from Postgres. */
export const sqlState = (error: unknown): string | undefined => {
  const cause = isSqlError(error) ? error.cause : error
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  return typeof code === "string" ? code : undefined
}

/**
 * Whether an SQL error says nothing about the statement: lost connection (08), rollback for concurrency (40),
 * resources (53), intervention (57), system (58), internal error (XX), or no answer from Postgres at all. A statement that
 * ran into its timeout (57014) is the record's own failure: it would fail again, and hold up all records behind it.
 */
export const isInfrastructure = (error: SqlError.SqlError): boolean => {
  const state = sqlState(error)
  return state === undefined || !/^[0-9A-Z]{5}$/.test(state) || /^(08|40|53|57(?!014)|58|XX)/.test(state)
}

/** The context of a record: everything in it follows from the record alone. */
export const makeContext = (record: Pick<Executable, "id" | "hlc" | "principal">): ActionContext => {
  let draws = 0
  return {
    id: record.id,
    now: new Date(Hlc.parts(record.hlc).ms),
    uuid: (key) => uuidOf(`${record.id}:uuid:${key}`),
    random: () => Number.parseInt(digestOf(`${record.id}:random:${draws++}`).slice(0, 13), 16) / 2 ** 52,
    principal: record.principal
  }
}

const digestOf = (text: string): string => bytesToHex(sha256(utf8ToBytes(text)))

/** RFC 9562 version 8: a UUID from the application's own bits, here a SHA-256 digest. */
export const uuidOf = (text: string): string => {
  const d = digestOf(text)
  return `${d.slice(0, 8)}-${d.slice(8, 12)}-8${d.slice(13, 16)}-8${d.slice(17, 20)}-${d.slice(20, 32)}`
}

const BatchArgs = Schema.Array(
  Schema.Struct({ name: Schema.String, version: Schema.Int, args: Schema.Unknown })
)

/** Name of the built-in action that runs several operations as one record. */
export const batchName = "synchrotron.batch"

/** The batch as an operation: its args hold each operation's name, version and encoded args. */
export const batchOperation = (
  app: SyncApp,
  operations: ReadonlyArray<{ name: string; version: number; args: unknown }>
): AnyOperation => batchAction(app)(operations)

const batchAction = (app: SyncApp) =>
  makeAction(batchName, {
    args: BatchArgs,
    run: ({ args, sql, ctx }) =>
      Effect.forEach(args, (operation, i) => {
        const action = app.actions.get(actionKey(operation.name, operation.version))
        if (action === undefined)
          return Effect.fail(new UnknownAction({ name: operation.name, version: operation.version }))
        return Effect.flatMap(Schema.decodeUnknown(action.args)(operation.args), (decoded) =>
          action.run({ args: decoded, sql, ctx: { ...ctx, uuid: (key) => ctx.uuid(`${i}:${key}`) } })
        )
      })
  })

/** No action of this name and version is defined here. Update the application, or keep the old version defined. */
export class UnknownAction extends Schema.TaggedError<UnknownAction>()("UnknownAction", {
  name: Schema.String,
  version: Schema.Number
}) {
  override get message() {
    return `The action ${actionKey(this.name, this.version)} is not defined in this version of the application.`
  }
}

/** Finds the action of a record, the built-in batch included. */
export const findAction = (app: SyncApp, name: string, version: number): AnyAction | undefined =>
  name === batchName && version === 1
    ? batchAction(app).definition
    : app.actions.get(actionKey(name, version))

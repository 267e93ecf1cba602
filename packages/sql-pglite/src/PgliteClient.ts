/**
 * An `@effect/sql` client on PGlite, for browsers and Node.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`SELECT 1 + 1 AS two`
 * })
 * program.pipe(Effect.provide(PgliteClient.layer({ dataDir: "./data" })))
 * ```
 *
 * There is one connection, and callers take turns: a transaction holds it to its end, and statements outside
 * of it wait. Statements take parameters and give values as `@effect/sql-pg` does (see `Types.ts`).
 */

import * as Reactivity from "@effect/experimental/Reactivity"
import * as Client from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as SqlStatement from "@effect/sql/Statement"
import type { PGlite, PGliteInterface } from "@electric-sql/pglite"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { PgliteConnection, type Row } from "./Connection.ts"
import { clientError, type PgliteDead, type PgliteLocked, sqlError } from "./Errors.ts"
import { prepareImage } from "./Image.ts"
import { makeNotifications } from "./Notifications.ts"
import { needsFlush, type OpenOptions, open } from "./Open.ts"
import { Session, type Statement } from "./Session.ts"
import { makeWithTransaction, rollback, type Transaction } from "./Transaction.ts"
import { sessionSettings, settingsSql } from "./Types.ts"
import type { TransactionStatus } from "./Wire.ts"

export interface PgliteClientOptions extends OpenOptions {
  /** Settings of the session, added to `sessionSettings`. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** How many prepared statements are kept, 256 by default. */
  readonly preparedMax?: number | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
}

/** What `PgliteClient` adds to a `SqlClient`. */
export interface PgliteSqlClient extends Client.SqlClient {
  /** A parameter that is the JSON text of the value, for json and jsonb (also for arrays and scalars). */
  readonly json: (value: unknown) => SqlStatement.Fragment
  /** The payloads notified on a channel, from the moment the stream runs. */
  readonly listen: (channel: string) => Stream.Stream<string, SqlError>
  /** Calls the function with each payload while the scope is open, from when the effect succeeds. */
  readonly subscribe: (
    channel: string,
    listener: (payload: string) => void
  ) => Effect.Effect<void, SqlError, Scope.Scope>
  readonly notify: (channel: string, payload: string) => Effect.Effect<void, SqlError>
  /**
   * Runs statements in one round trip and gives the rows of each. They are part of the transaction if there is one;
   * else they are one transaction of their own: when one fails, none took effect.
   */
  readonly pipeline: (
    statements: ReadonlyArray<Statement>
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<Row>>, SqlError>
  /** `I` idle, `T` in a transaction, `E` in a failed transaction. */
  readonly transactionStatus: Effect.Effect<TransactionStatus>
  /** Waits until the instance is dead: from then on every statement fails with it. */
  readonly died: Effect.Effect<PgliteDead>
  /** The data directory as a tarball, for `image`. Waits for the running transaction to end. */
  readonly dumpDataDir: (compression?: "none" | "gzip" | "auto") => Effect.Effect<File | Blob, SqlError>
  /**
   * Runs a function on the raw instance while no other fiber uses it (`COPY ... FROM '/dev/blob'`). Inside a
   * transaction it takes part in it.
   */
  readonly use: <A>(f: (pglite: PGliteInterface) => Promise<A>) => Effect.Effect<A, SqlError>
  /** The raw instance. What is run on it directly does not wait for transactions: prefer `use`. */
  readonly pglite: PGliteInterface
}

/**
 * Makes a client for the life of the scope.
 *
 * Fails with `PgliteLocked` when another opener has the directory, with `SqlError` when PGlite cannot start.
 */
export const make = (
  options: PgliteClientOptions = {}
): Effect.Effect<PgliteSqlClient, SqlError | PgliteLocked, Scope.Scope | Reactivity.Reactivity> =>
  Effect.gen(function* () {
    const db = yield* open(options)
    const session = new Session(db, { preparedMax: options.preparedMax ?? 256 })
    // PGlite does not flush on close, and a relaxed idb store would lose everything since its last one.
    const flushLast = Effect.promise(async () => {
      if (session.dead === undefined && options.pglite === undefined)
        await (db as unknown as PGlite).fs?.syncToFs(false).catch(() => {})
    })
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        flushLast,
        Effect.sync(() => session.kill("the client was closed"))
      )
    )
    yield* session.simple(settingsSql({ ...sessionSettings, ...options.settings }), "object")

    const tag = Context.GenericTag<Transaction>(`@synchrotron/sql-pglite/Transaction/${++clients}`)
    const permit = yield* Effect.makeSemaphore(1)
    const flush = needsFlush(options) ? makeFlush(session, options) : Effect.void
    const autocommit = new PgliteConnection(session, (use) =>
      permit.withPermits(1)(
        use.pipe(
          // A string of statements may have failed inside its own BEGIN, or after its own COMMIT.
          Effect.tapError(() => Effect.zipRight(rollback(session), Effect.ignore(flush))),
          Effect.zipLeft(endStrayTransaction(session)),
          Effect.zipLeft(flush)
        )
      )
    )
    const spanAttributes: ReadonlyArray<readonly [string, unknown]> = [
      ...Object.entries(options.spanAttributes ?? {}),
      ["db.system.name", "postgresql"],
      ["db.namespace", options.database ?? "postgres"]
    ]

    const currentTransaction = Effect.map(Effect.context<never>(), Context.getOption(tag))
    const connection = Effect.map(
      currentTransaction,
      Option.getOrElse((): PgliteConnection => autocommit)
    )
    const reserve = Effect.flatMap(
      currentTransaction,
      Option.match({
        onSome: (transaction): Effect.Effect<Connection, SqlError, Scope.Scope> =>
          Effect.succeed(transaction),
        onNone: () =>
          Effect.uninterruptibleMask((restore) =>
            restore(permit.take(1)).pipe(
              Effect.zipRight(
                Effect.addFinalizer(() => Effect.zipRight(rollback(session), permit.release(1)))
              ),
              Effect.as(new PgliteConnection(session, (use) => Effect.zipLeft(use, flush)))
            )
          )
      })
    )
    const withTransaction = makeWithTransaction({ session, permit, flush, spanAttributes }, tag)
    const reactive = yield* Reactivity.Reactivity
    const statement = SqlStatement.make(connection, compiler, spanAttributes, undefined)
    const onConnection = <A>(f: (connection: PgliteConnection) => Effect.Effect<A, SqlError>) =>
      Effect.flatMap(connection, f)
    const use: PgliteSqlClient["use"] = (f) =>
      onConnection(({ guard }) =>
        guard(
          Effect.uninterruptible(
            Effect.tryPromise({
              try: () => f(db),
              catch: (cause) => sqlError(clientError("XX000", String(cause), cause))
            })
          ).pipe(
            Effect.ensuring(Effect.sync(() => session.forget())),
            // Brings the transaction status up to date.
            Effect.ensuring(Effect.ignore(session.simple("", "object")))
          )
        )
      )
    const notifications = makeNotifications(session, onConnection)

    const client: PgliteSqlClient = Object.assign(statement, {
      [Client.TypeId]: Client.TypeId,
      // biome-ignore lint/suspicious/noExplicitAny: set below, it is the client itself
      safe: undefined as any,
      withTransaction,
      reserve,
      // biome-ignore lint/suspicious/noExplicitAny: as above; there are no transforms to leave out
      withoutTransforms: (): any => client,
      reactive: reactive.stream,
      reactiveMailbox: reactive.query,
      json: (value: unknown) => jsonParam(statement, value),
      subscribe: notifications.subscribe,
      listen: notifications.listen,
      notify: notifications.notify,
      pipeline: (statements: ReadonlyArray<Statement>) => onConnection((_) => _.pipeline(statements)),
      transactionStatus: Effect.sync(() => session.status),
      died: Deferred.await(session.death),
      dumpDataDir: (compression?: "none" | "gzip" | "auto") =>
        permit.withPermits(1)(
          Effect.tryPromise({
            try: () => db.dumpDataDir(compression),
            catch: (cause) =>
              sqlError(clientError("58030", `The store cannot be dumped: ${String(cause)}`, cause))
          })
        ),
      use,
      pglite: db
    }) as PgliteSqlClient
    return Object.assign(client, { safe: client })
  })

/**
 * A parameter that is the JSON text of the value, on any Postgres driver. (`PgClient.json` of `@effect/sql-pg` would
 * send an array as an array literal and a string without quotes.)
 */
export const jsonParam = (sql: SqlStatement.Constructor, value: unknown): SqlStatement.Fragment =>
  sql`${JSON.stringify(value) ?? null}`

/** Provides `PgliteClient` and `SqlClient` from one instance. */
export const layer = (
  options: PgliteClientOptions = {}
): Layer.Layer<PgliteClient | Client.SqlClient, SqlError | PgliteLocked> =>
  Layer.scopedContext(
    Effect.map(make(options), (client) =>
      Context.make(PgliteClient, client).pipe(Context.add(Client.SqlClient, client))
    )
  ).pipe(Layer.provide(Reactivity.layer))

/** The tag of the client, with its constructors. */
export class PgliteClient extends Context.Tag("@synchrotron/sql-pglite/PgliteClient")<
  PgliteClient,
  PgliteSqlClient
>() {
  static readonly make = make
  static readonly layer = layer
  static readonly prepareImage = prepareImage
}

let clients = 0

const escapeIdentifier = SqlStatement.defaultEscape('"')

const compiler = SqlStatement.makeCompiler({
  dialect: "pg",
  placeholder: (index) => `$${index}`,
  onIdentifier: escapeIdentifier,
  onRecordUpdate: (placeholders, alias, columns, values, returning) => [
    `(values ${placeholders}) AS ${alias}${columns}${returning ? ` RETURNING ${returning[0]}` : ""}`,
    returning ? values.flat().concat(returning[1]) : values.flat()
  ],
  onCustom: () => ["", []]
})

/** A BEGIN outside `withTransaction` would draw other fibers' statements into its transaction. */
const endStrayTransaction = (session: Session): Effect.Effect<void, SqlError> =>
  Effect.suspend(() =>
    session.status === "I"
      ? Effect.void
      : Effect.zipRight(
          rollback(session),
          Effect.fail(
            sqlError(
              clientError(
                "25001",
                "A statement left a transaction open; it was rolled back. Use withTransaction."
              )
            )
          )
        )
  )

/**
 * Writes what was committed to the browser's store. Nothing to do when the write-ahead log has not moved: a
 * look at it costs far less than the file comparison that a sync begins with.
 */
const makeFlush = (
  session: Session,
  { makeRoom, relaxedDurability = false }: OpenOptions
): Effect.Effect<void, SqlError> => {
  let flushedLsn: string | undefined
  const readLsn = session.simple("SELECT pg_current_wal_insert_lsn() AS lsn", "object")
  const db = session.db as unknown as PGlite
  const write = async () => {
    // PGlite's own does not wait when it is relaxed, and nobody would hear that it failed.
    const sync = () => (relaxedDurability ? db.fs!.syncToFs(true) : db.syncToFs())
    await sync().catch(async (cause: unknown) => {
      if (!(await makeRoom?.(cause))) throw cause
      await sync()
    })
  }
  // The instance now shows what the store does not have. Only a reopened one tells the truth.
  const died = (cause: unknown) => session.kill(`the store could not be written: ${String(cause)}`)
  let writing: Promise<void> = Promise.resolve()
  let waits = false
  const writeLater = () => {
    if (waits) return
    waits = true
    writing = writing
      .then(() => {
        waits = false
        return write()
      })
      .catch((cause: unknown) => void died(cause))
  }
  const flush = Effect.flatMap(readLsn, ([result]) => {
    const lsn: string = result!.rows[0].lsn
    if (lsn === flushedLsn) return Effect.void
    return Effect.uninterruptible(
      Effect.tryPromise({
        try: async () => {
          if (relaxedDurability) writeLater()
          else await write()
          flushedLsn = lsn
        },
        catch: (cause) => sqlError(died(cause))
      })
    )
  })
  return Effect.suspend(() => (session.status === "I" ? flush : Effect.void))
}

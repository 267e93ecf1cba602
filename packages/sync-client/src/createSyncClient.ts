/**
 * The client as promises, for applications that do not use Effect. Errors are the tagged errors themselves: what
 * `execute` rejects with is the very instance that the action failed with.
 */
import type { Action, Outcome, RecordId, Replica } from "@synchrotron/sync-core"
import { Cause, Effect, Either, Exit, Scope } from "effect"
import { ClientClosed, DatabaseNotOpen } from "./Errors.ts"
import type { BatchResults, Results } from "./Execute.ts"
import type { Answer, Question } from "./inspector/Snapshot.ts"
import type { LiveQueryState } from "./LiveQuery.ts"
import type { Observable } from "./Observable.ts"
import type { Status } from "./Status.ts"
import * as SyncClient from "./SyncClient.ts"
import { decoder, type RowSchema } from "./typedRows.ts"

/** The result of an operation that is running: await it for the value, ask it for the authority's verdict. */
export interface ExecutionPromise<Result> extends Promise<Result> {
  /** Resolves when the authority has judged the record: at the earliest after the next sync. */
  readonly outcome: () => Promise<Outcome>
  /** The record's id, for `client.outcome(id)` after a restart. */
  readonly recordId: () => Promise<RecordId>
}

export interface LiveQueryHandle<Row> extends Observable<LiveQueryState<Row>> {
  /** Runs the query again; resolves when `get()` is up to date. */
  readonly refresh: () => Promise<void>
  /** Ends it. */
  readonly close: () => void
}

export interface QueryOptions<Row> {
  /** Decodes each row; a row that does not fit is an error of the query. */
  readonly schema?: RowSchema<Row> | undefined
}

export interface LiveQueryOptions<Row> extends QueryOptions<Row> {
  /** Run only while somebody subscribes, instead of from now on until `close()`. */
  readonly lazy?: boolean | undefined
}

/** All methods wait until the database is open, and reject with why it could not be opened. */
export interface PromiseClient {
  /** Resolves when the local database is open. */
  readonly ready: Promise<void>
  /** Runs one operation at once, offline or not; rejects with the action's own error. */
  execute<Result, E>(operation: Action.Operation<Result, E>): ExecutionPromise<Result>
  /** Runs operations as one record: all or nothing. */
  execute<const Ops extends ReadonlyArray<Action.AnyOperation>>(
    operations: Ops,
    options?: { readonly transaction?: true }
  ): ExecutionPromise<Results<Ops>>
  /** Runs operations one after the other, each a record of its own: a result for each, by index. */
  execute<const Ops extends ReadonlyArray<Action.AnyOperation>>(
    operations: Ops,
    options: { readonly transaction: false }
  ): Promise<BatchResults<Ops>>
  /** `execute(action(args))`. */
  executeAction<Args, Encoded, Result, E>(
    action: Action.Action<Args, Encoded, Result, E>,
    args: Args
  ): ExecutionPromise<Result>
  /** Reads the local database; `$1` … for parameters. Rejects with `ReadOnlyQuery` when the statement writes. */
  query<Row = Record<string, unknown>>(
    sql: string,
    params?: ReadonlyArray<unknown>,
    options?: QueryOptions<Row>
  ): Promise<ReadonlyArray<Row>>
  /** A query whose rows follow the database. */
  liveQuery<Row = Record<string, unknown>>(
    sql: string,
    params?: ReadonlyArray<unknown>,
    options?: LiveQueryOptions<Row>
  ): LiveQueryHandle<Row>
  /** What the session is doing. */
  readonly status: Observable<Status>
  /** One full round now; rejects with what stopped it (the session goes on trying). */
  sync(): Promise<void>
  /** Resolves when nothing is pending, however long that takes; rejects when only you can help. */
  settled(): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
  /** Records that the authority has not judged yet, oldest first. */
  pending(): Promise<ReadonlyArray<Replica.PendingSummary>>
  /** The authority's verdict on a record. */
  outcome(id: RecordId): Promise<Outcome>
  /** The inbox of refused records; observable. */
  readonly rejected: Observable<ReadonlyArray<Replica.RejectedRecord>> & {
    readonly list: () => Promise<ReadonlyArray<Replica.RejectedRecord>>
    /** Executes the action again as a new record. */
    readonly retry: (id: RecordId) => ExecutionPromise<unknown>
    readonly dismiss: (id: RecordId) => Promise<void>
  }
  /** Answers an inspector: use `inspector(client)` of `@synchrotron/sync-client/inspector`. */
  inspect<Q extends Question>(question: Q): Promise<Answer<Q>>
  /** Closes the database. What was not sent is kept in it. */
  close(): Promise<void>
}

/** A client that can be used at once; await it to be sure that the database is open. */
export type OpeningClient = PromiseClient & PromiseLike<PromiseClient>

/**
 * Opens the local database and connects it to the server.
 *
 * ```ts
 * const client = createSyncClient({ app, dataDir: "idb://todo", server: { url: "/", token } })
 * await client.execute(addTodo({ listId, title: "Milk" }))
 * ```
 *
 * The client works at once: what is asked of it waits for the database. `await createSyncClient(...)` waits for
 * it here, and rejects with the reason when it cannot be opened (see `SyncClient.OpenError`).
 */
export const createSyncClient = (options: SyncClient.Options): OpeningClient => {
  const views = SyncClient.makeViews()
  const scope = Effect.runSync(Scope.make())
  let closing: Promise<void> | undefined
  const opened = run(Scope.extend(SyncClient.open({ ...options, views }), scope))
  // Whoever uses the client hears of it; nobody is to be told by an unhandled rejection besides.
  opened.catch((cause: Error) => {
    views.live.close(
      new DatabaseNotOpen({ message: `The local database could not be opened. ${cause.message}`, cause })
    )
  })

  const running = new Set<Promise<unknown>>()
  const use = async <A, E>(f: (client: SyncClient.SyncClient) => Effect.Effect<A, E>): Promise<A> => {
    if (closing !== undefined) throw new ClientClosed()
    const client = await opened
    return run(f(client))
  }
  /** What the database does; closing waits for it. */
  const local = <A, E>(f: (client: SyncClient.SyncClient) => Effect.Effect<A, E>): Promise<A> => {
    const promise = use(f)
    running.add(promise)
    const done = () => void running.delete(promise)
    promise.then(done, done)
    return promise
  }
  /** What comes after the operations that were begun before it, though nobody awaited them. */
  const afterLocal: typeof use = (f) => Promise.allSettled(running).then(() => use(f))
  const executing = <Result>(
    submit: (client: SyncClient.SyncClient) => Effect.Effect<Replica.Executed<Result>, unknown>
  ): ExecutionPromise<Result> => {
    const executed = local(submit)
    return Object.assign(
      executed.then(({ value }) => value),
      {
        outcome: () => executed.then(({ id }) => use((client) => client.outcome(id))),
        recordId: () => executed.then(({ id }) => id)
      }
    )
  }
  // biome-ignore lint/suspicious/noExplicitAny: the overloads of PromiseClient.execute say what goes in and out
  const execute: any = (
    operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>,
    { transaction = true }: { readonly transaction?: boolean } = {}
  ) =>
    isList(operations) && !transaction
      ? local((client) => client.execute(operations, { transaction: false }))
      : executing<unknown>((client) =>
          isList(operations) ? client.submit(operations) : client.submit(operations)
        )

  const client: PromiseClient = {
    ready: opened.then(() => {}),
    execute,
    executeAction: (action, args) => execute(action(args)),
    query: (sql, params, options) =>
      local((client) => Effect.flatMap(client.query(sql, params), decoder(options?.schema))),
    liveQuery: (sql, params, { lazy = false, schema } = {}) =>
      liveHandle(views, { sql, params, schema, lazy }),
    status: views.status,
    sync: () => afterLocal((client) => client.sync),
    settled: () => afterLocal((client) => client.settled),
    pause: () => use((client) => client.pause),
    resume: () => use((client) => client.resume),
    pending: () => afterLocal((client) => client.pending),
    outcome: (id) => use((client) => client.outcome(id)),
    rejected: {
      get: views.rejected.get,
      subscribe: views.rejected.subscribe,
      list: () => use((client) => client.rejected.list),
      retry: (id) => executing((client) => client.rejected.retry(id)),
      dismiss: (id) => use((client) => client.rejected.dismiss(id))
    },
    inspect: (question) => use((client) => client.inspect(question)),
    close: () => {
      closing ??= Promise.allSettled([opened, ...running]).then(() => run(Scope.close(scope, Exit.void)))
      return closing
    }
  }
  client.ready.catch(() => {})
  return {
    ...client,
    // biome-ignore lint/suspicious/noThenProperty: awaiting the client waits for the database; it gives the client without `then`
    then: (onOpen, onError) => opened.then(() => client).then(onOpen, onError)
  }
}

/** @internal */
export const liveHandle = <Row>(
  { live }: Pick<SyncClient.Views, "live">,
  query: { readonly sql: string; readonly params: ReadonlyArray<unknown> | undefined } & LiveQueryOptions<Row>
): LiveQueryHandle<Row> => {
  const inner = live.open(query.sql, query.params)
  const unwatch = query.lazy ? () => {} : inner.watch()
  const decode = decoder(query.schema)
  let seen: LiveQueryState<unknown> | undefined
  let shown: LiveQueryState<Row>
  const show = (state: LiveQueryState<unknown>): LiveQueryState<Row> => {
    if (state !== seen) {
      seen = state
      const rows = decode(state.rows)
      shown = Either.isRight(rows)
        ? ({ ...state, rows: rows.right } as LiveQueryState<Row>)
        : { state: "error", rows: [], error: rows.left }
    }
    return shown
  }
  return {
    get: () => show(inner.get()),
    subscribe: (listener) => inner.subscribe((state) => listener(show(state))),
    refresh: inner.refresh,
    close: unwatch
  }
}

const isList = (
  operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>
): operations is ReadonlyArray<Action.AnyOperation> => Array.isArray(operations)

const run = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  // Effect hands errors on behind a proxy that knows where they came from; callers get the error itself.
  throw Cause.isInterruptedOnly(exit.cause)
    ? new ClientClosed()
    : Cause.originalError(Cause.squash(exit.cause))
}

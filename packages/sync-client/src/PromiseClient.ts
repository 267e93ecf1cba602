/**
 * The client as promises, for applications that do not use Effect. Errors are the tagged errors themselves: what
 * `execute` rejects with is the very instance that the action failed with.
 */
import type { Action, Outcome, RecordId, Replica } from "@synchrotron/sync-core"
import type { ClientClosed, DatabaseCrashed, TabsDiffer, WorkerFailed } from "./Errors.ts"
import type { BatchResult, BatchResults, ErrorOf, ExecuteError, Results } from "./Execute.ts"
import type { Answer as InspectorAnswer, Question as InspectorQuestion } from "./inspector/Snapshot.ts"
import type { LiveQueryState } from "./LiveQuery.ts"
import type { Observable } from "./Observable.ts"
import type { Status } from "./Status.ts"
import type { OpenError } from "./SyncClient.ts"
import type { RowSchema } from "./typedRows.ts"

/** Why an operation was not executed: what the action fails with, what the engine does, or why there is no database. */
export type ExecutionError<E> =
  | ExecuteError<E>
  | OpenError
  | ClientClosed
  | DatabaseCrashed
  | TabsDiffer
  | WorkerFailed

/** The result of an operation that is running: await it for the value, ask it for the authority's verdict. */
export interface ExecutionPromise<Result, E = unknown> extends Promise<Result> {
  /** The same as a value that tells success from failure, with the type of the error: it never rejects. */
  readonly result: () => Promise<BatchResult<Result, ExecutionError<E>>>
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
  execute<Result, E>(operation: Action.Operation<Result, E>): ExecutionPromise<Result, E>
  /** Runs operations as one record: all or nothing. */
  execute<const Ops extends ReadonlyArray<Action.AnyOperation>>(
    operations: Ops,
    options?: { readonly transaction?: true }
  ): ExecutionPromise<Results<Ops>, ErrorOf<Ops[number]>>
  /** Runs operations one after the other, each a record of its own: a result for each, by index. */
  execute<const Ops extends ReadonlyArray<Action.AnyOperation>>(
    operations: Ops,
    options: { readonly transaction: false }
  ): Promise<BatchResults<Ops>>
  /** `execute(action(args))`. */
  executeAction<Args, Encoded, Result, E>(
    action: Action.Action<Args, Encoded, Result, E>,
    args: Args
  ): ExecutionPromise<Result, E>
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
  inspect<Q extends InspectorQuestion>(question: Q): Promise<InspectorAnswer<Q>>
  /** Closes the database. What was not sent is kept in it. */
  close(): Promise<void>
}

/** A client that can be used at once; await it to be sure that the database is open. */
export type OpeningClient = PromiseClient & PromiseLike<PromiseClient>

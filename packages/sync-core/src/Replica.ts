/**
 * A client's local database: executes operations at once, keeps their records, and applies sync responses.
 * Design and invariants are in DESIGN.md; the decision what to do with a response is {@link Reconcile}.
 */
import type { SqlError } from "@effect/sql"
import type { Effect, Stream } from "effect"
import type { AnyOperation } from "./Action.ts"
import type { ActionCrashed, ArgsInvalid, RecordNotFound } from "./Errors.ts"
import type { Hlc, HlcRangeError } from "./Hlc.ts"
import type { ClientId, RecordId, Seq } from "./Ids.ts"
import type { Outcome } from "./Outcome.ts"
import type { Rejection, SyncRequest, SyncResponse } from "./Protocol.ts"

/** A record that ran locally. */
export interface Executed<Result> {
  readonly id: RecordId
  readonly hlc: Hlc
  readonly value: Result
}

export interface PendingSummary {
  readonly id: RecordId
  readonly name: string
  readonly version: number
  readonly args: unknown
  readonly hlc: Hlc
}

/** A record that the authority refused or voided, kept until it is retried or dismissed. */
export interface RejectedRecord extends PendingSummary {
  readonly outcome: "rejected" | "voided"
  readonly error: Rejection
  /** The patches that were undone on this client, for showing what was lost. */
  readonly patches: ReadonlyArray<{
    readonly table: string
    readonly key: string
    readonly before: unknown
    readonly after: unknown
  }>
}

/** One committed change of the local database: by an operation, or by a sync. */
export interface Change {
  /** Synced tables with rows that really changed. */
  readonly tables: ReadonlySet<string>
  /** Pending or rejected records changed in number or state. */
  readonly records: boolean
  readonly outcomes: ReadonlyArray<{ readonly id: RecordId; readonly outcome: Outcome }>
}

/** What a sync did, for status, inspection and tests. */
export interface Received {
  /** Which path reconcile chose. */
  readonly path: "nothing" | "rows" | "disjoint" | "pending" | "merge"
  readonly rows: number
  readonly replayed: number
  readonly remaining: number
  readonly seq: Seq
}

export interface Replica {
  readonly clientId: ClientId
  /** Runs one operation in one transaction and keeps its record, durable when this succeeds. */
  readonly execute: <Result, E>(
    operation: AnyOperation & { readonly _result?: () => Result; readonly _error?: () => E }
  ) => Effect.Effect<Executed<Result>, E | ArgsInvalid | ActionCrashed | HlcRangeError | SqlError.SqlError>
  /** Runs operations as one record: all or nothing, here and on the authority. */
  readonly executeAll: (
    operations: ReadonlyArray<AnyOperation>
  ) => Effect.Effect<Executed<ReadonlyArray<unknown>>, unknown>
  /** What to send now: at most `recordsMax` pending records and the cursors. */
  readonly request: Effect.Effect<SyncRequest, SqlError.SqlError>
  /** Applies a response in one transaction (I5). */
  readonly receive: (
    request: SyncRequest,
    response: SyncResponse
  ) => Effect.Effect<Received, SqlError.SqlError>
  /** Stamps all pending records again, in order, after the server refused them for a wrong clock. */
  readonly restamp: (serverTimeMs: number) => Effect.Effect<void, SqlError.SqlError | HlcRangeError>
  readonly pending: Effect.Effect<ReadonlyArray<PendingSummary>, SqlError.SqlError>
  readonly pendingCount: Effect.Effect<number, SqlError.SqlError>
  readonly rejected: Effect.Effect<ReadonlyArray<RejectedRecord>, SqlError.SqlError>
  /** Executes a rejected record's action again as a new record, and forgets the old one. */
  readonly retry: (id: RecordId) => Effect.Effect<Executed<unknown>, unknown>
  readonly dismiss: (id: RecordId) => Effect.Effect<void, RecordNotFound | SqlError.SqlError>
  /** Every committed change, after its commit. */
  readonly changes: Stream.Stream<Change>
  /** Milliseconds that the server's clock is ahead of this device's, as last estimated. */
  readonly clockOffsetMs: Effect.Effect<number>
  /** The cursor of the client: the `seq` of the last response applied; 0 before the first. */
  readonly cursor: Effect.Effect<Seq, SqlError.SqlError>
}

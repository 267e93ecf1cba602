/** The types of executing operations: results by index, errors as declared by the actions. */
import type { Action, Answers, Outcome, RecordId, Replica } from "@synchrotron/sync-core"
import type { Effect } from "effect"
import type { ClientClosed, OutcomeForgotten, StorageFull } from "./Errors.ts"

/** What executing fails with: the action's own errors, and those of the engine. */
export type ExecuteError<E> = Replica.ExecuteError<E> | StorageFull

export type ResultOf<Op> = Op extends Action.Operation<infer Result, infer _E> ? Result : never
export type ErrorOf<Op> = Op extends Action.Operation<infer _Result, infer E> ? E : never

/** The results of operations, 1:1 by index. */
export type Results<Ops extends ReadonlyArray<Action.AnyOperation>> = {
  readonly [I in keyof Ops]: ResultOf<Ops[I]>
}

/** What became of one operation of a batch without a transaction. */
export type BatchResult<Result, E> =
  | { readonly _tag: "Success"; readonly value: Result; readonly id: RecordId }
  | { readonly _tag: "Failure"; readonly error: E }

export type BatchResults<Ops extends ReadonlyArray<Action.AnyOperation>> = {
  readonly [I in keyof Ops]: BatchResult<ResultOf<Ops[I]>, ExecuteError<ErrorOf<Ops[I]>>>
}

/** A record that ran locally: its value now, and the authority's verdict when it comes. */
export interface Execution<Result> extends Replica.Executed<Result> {
  readonly outcome: Effect.Effect<Outcome, ClientClosed | OutcomeForgotten>
}

/** Runs operations. */
export interface Execute {
  /** Runs one operation; gives what the action gave. Durable when it succeeds, and sent soon. */
  <Result, E>(operation: Action.Operation<Result, E>): Effect.Effect<Result, ExecuteError<E>>
  /** Runs operations as one record: all or nothing, here and on the authority. */
  <const Ops extends ReadonlyArray<Action.AnyOperation>>(
    operations: Ops,
    options?: { readonly transaction?: true }
  ): Effect.Effect<Results<Ops>, ExecuteError<ErrorOf<Ops[number]>>>
  /** Runs operations one after the other, each a record of its own; one that fails does not stop the rest. */
  <const Ops extends ReadonlyArray<Action.AnyOperation>>(
    operations: Ops,
    options: { readonly transaction: false }
  ): Effect.Effect<BatchResults<Ops>>
}

/** As {@link Execute}, with the record's id and its outcome. A call may be asked for again, and is executed once. */
export interface Submit {
  <Result, E>(
    operation: Action.Operation<Result, E>,
    call?: Answers.Call
  ): Effect.Effect<Execution<Result>, ExecuteError<E>>
  <const Ops extends ReadonlyArray<Action.AnyOperation>>(
    operations: Ops,
    call?: Answers.Call
  ): Effect.Effect<Execution<Results<Ops>>, ExecuteError<ErrorOf<Ops[number]>>>
}

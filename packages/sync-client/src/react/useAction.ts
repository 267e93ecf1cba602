import type { Action, Outcome } from "@synchrotron/sync-core"
import { useCallback, useState } from "react"
import type { ErrorOf, ResultOf, Results } from "../Execute.ts"
import type { ExecutionError, ExecutionPromise } from "../PromiseClient.ts"
import { useSyncClient } from "./SyncProvider.ts"

/**
 * - `idle`: not run yet
 * - `pending`: it runs, or it ran here and the authority has not judged it (then `value` is there)
 * - `confirmed`: the authority has judged it; `outcome` says how, a refusal included. `forgotten`: it was judged while nobody
 *   could say how, for the tab that led was gone
 * - `error`: it failed here and left no trace
 */
export type ActionState<Result, E = unknown> =
  | { readonly state: "idle" }
  | { readonly state: "pending"; readonly value?: Result }
  | {
      readonly state: "confirmed"
      readonly value: Result
      readonly outcome: Outcome | { readonly _tag: "forgotten" }
    }
  | { readonly state: "error"; readonly error: ExecutionError<E> }

/** One run, with the arguments that it was given. */
export interface ActionRun<Args, Result, E> {
  readonly args: Args
  readonly state: ActionState<Result, E>
}

export interface UseAction<Args extends ReadonlyArray<unknown>, Result, E> {
  /** Runs it. The promise may be left alone: its failure is in `state` too. Stays the same function. */
  readonly run: (...args: Args) => ExecutionPromise<Result, E>
  /** What became of the last run. */
  readonly state: ActionState<Result, E>
  /** The runs that are under way, oldest first, and those that came to their end since the last one began. */
  readonly runs: ReadonlyArray<ActionRun<Args, Result, E>>
  /** Back to `idle`. Runs that are under way go on unseen. */
  readonly reset: () => void
}

/** What can be run: one operation, or several as one record. */
type Built = Action.AnyOperation | ReadonlyArray<Action.AnyOperation> | readonly []

type BuiltResult<B> = B extends ReadonlyArray<Action.AnyOperation> ? Results<B> : ResultOf<B>
type BuiltError<B> = ErrorOf<B extends ReadonlyArray<infer Operation> ? Operation : B>

/**
 * Runs an action and follows what becomes of it, several runs at a time.
 *
 * ```tsx
 * const { run, state } = useAction(addTodo)
 * const both = useAction(moveBoth)   // (from: string, to: string) => [close({ id: from }), open({ id: to })]
 * ```
 *
 * @param build an action, or a function that gives one operation, or several that are one record: all or nothing. Define it
 *   outside of the component, so that `run` stays the same
 */
export const useAction = <Args extends ReadonlyArray<unknown>, const B extends Built>(
  build: (...args: Args) => B
): UseAction<Args, BuiltResult<B>, BuiltError<B>> => {
  type Result = BuiltResult<B>
  type State = ActionState<Result, BuiltError<B>>
  const client = useSyncClient()
  const [shown, setShown] = useState<ReadonlyArray<{ args: Args; state: State }>>([])
  const run = useCallback(
    (...args: Args) => {
      const execution = client.execute(build(...args) as Action.AnyOperation) as ExecutionPromise<
        Result,
        BuiltError<B>
      >
      let current: { args: Args; state: State } = { args, state: { state: "pending" } }
      setShown((runs) => [...runs.filter(({ state }) => state.state === "pending"), current])
      const show = (state: State) => {
        const before = current
        const next = { args, state }
        current = next
        setShown((runs) => (runs.includes(before) ? runs.map((run) => (run === before ? next : run)) : runs))
      }
      void execution.result().then((result) => {
        if (result._tag === "Failure") return show({ state: "error", error: result.error })
        const { value } = result
        show({ state: "pending", value })
        return execution.outcome().then(
          (outcome) => show({ state: "confirmed", value, outcome }),
          (error: { readonly _tag?: unknown }) => {
            // Any other failure, such as a client that was closed, leaves it pending, which is what it is.
            if (error._tag === "OutcomeForgotten")
              show({ state: "confirmed", value, outcome: { _tag: "forgotten" } })
          }
        )
      })
      return execution
    },
    [client, build]
  )
  const reset = useCallback(() => setShown([]), [])
  return { run, state: shown.at(-1)?.state ?? idle, runs: shown, reset }
}

const idle = { state: "idle" } as const

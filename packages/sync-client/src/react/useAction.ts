import type { Action, Outcome } from "@synchrotron/sync-core"
import { useCallback, useEffect, useRef, useState } from "react"
import type { ExecutionPromise } from "../PromiseClient.ts"
import { useSyncClient } from "./SyncProvider.ts"

/**
 * - `idle`: not run yet
 * - `pending`: it runs, or it ran here and the authority has not judged it (then `value` is there)
 * - `confirmed`: the authority has judged it; `outcome` says how, a refusal included
 * - `error`: it failed here and left no trace
 */
export type ActionState<Result> =
  | { readonly state: "idle" }
  | { readonly state: "pending"; readonly value?: Result }
  | { readonly state: "confirmed"; readonly value: Result; readonly outcome: Outcome }
  | { readonly state: "error"; readonly error: unknown }

export interface UseAction<Args, Result> {
  /** Runs the action. The promise may be left alone: its failure is in `state` too. */
  readonly run: (args: Args) => ExecutionPromise<Result>
  /** What became of the last run. */
  readonly state: ActionState<Result>
  /** Back to `idle`. */
  readonly reset: () => void
}

/** Runs an action and follows what becomes of it. */
export const useAction = <Args, Encoded, Result, E>(
  action: Action.Action<Args, Encoded, Result, E>
): UseAction<Args, Result> => {
  const client = useSyncClient()
  const [state, setState] = useState<ActionState<Result>>({ state: "idle" })
  // Only the last run of a mounted component shows; 0 when unmounted.
  const shown = useRef(0)
  const runs = useRef(0)
  useEffect(() => {
    shown.current = runs.current
    return () => {
      shown.current = -1
    }
  }, [])

  const run = useCallback(
    (args: Args) => {
      const number = ++runs.current
      shown.current = number
      const show = (next: ActionState<Result>) => {
        if (shown.current === number) setState(next)
      }
      const execution = client.executeAction(action, args)
      show({ state: "pending" })
      execution.then(
        (value) => {
          show({ state: "pending", value })
          const confirm = (outcome: Outcome) => show({ state: "confirmed", value, outcome })
          // Without a verdict (the client was closed) it stays pending, which is what it is.
          execution.outcome().then(confirm, () => {})
        },
        (error: unknown) => show({ state: "error", error })
      )
      return execution
    },
    [client, action]
  )
  const reset = useCallback(() => {
    shown.current = ++runs.current
    setState({ state: "idle" })
  }, [])
  return { run, state, reset }
}

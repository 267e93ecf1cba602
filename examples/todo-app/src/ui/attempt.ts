/** Doing things: operations run here, with what refused them, what became of them later, and the way back. */
import { useSyncClient } from "@synchrotron/sync-client/react"
import type { Action } from "@synchrotron/sync-core"
import { useCallback, useEffect, useMemo, useRef, useState } from "react"
import { explainChanged } from "../domain/explain.ts"
import { planUndoAll } from "../domain/undo.ts"

/**
 * Runs an operation, or several as one.
 *
 * @param said what was done, for the toast that offers to take it back; none is shown without it
 * @returns what the operation gave, or of several the list of it, as `value`; undefined when this device refused
 */
export type Attempt = (
  operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>,
  said?: string
) => Promise<{ readonly value: unknown } | undefined>

export interface Toast {
  readonly text: string
  /** A refusal is said at once; what was done can be taken back. */
  readonly kind: "refused" | "done"
}

const toastMs = 8_000
const undoMax = 50

/** @param announce tells those who do not see the toast */
export const useAttempt = (viewer: string, announce: (text: string) => void) => {
  const client = useSyncClient()
  const [toast, setToast] = useState<Toast>()
  const [notes, setNotes] = useState<ReadonlyArray<string>>([])
  const undos = useRef<Array<ReadonlyArray<Action.AnyOperation>>>([])

  const run = useCallback(
    async (operations: ReadonlyArray<Action.AnyOperation>) => {
      const [single] = operations
      const execution =
        operations.length === 1 && single !== undefined ? client.execute(single) : client.execute(operations)
      const result = await execution
      execution.outcome().then(
        (outcome) => {
          const note =
            outcome._tag === "changed" && operations.map((one) => explainChanged(one.action.name))[0]
          if (note) setNotes((all) => (all.includes(note) ? all : [...all, note]))
        },
        // Closed before it was judged.
        () => undefined
      )
      return result
    },
    [client]
  )
  const refuse = useCallback((error: unknown) => {
    setToast({ kind: "refused", text: error instanceof Error ? error.message : String(error) })
  }, [])

  const attempt: Attempt = useCallback(
    async (given, said) => {
      const operations = isList(given) ? given : [given]
      try {
        const undo = await planUndoAll(client.query, operations, viewer)
        const result = await run(operations)
        // What was done before something that cannot be taken back is not the last thing any more.
        if (undo === undefined) undos.current.length = 0
        else {
          undos.current.push(undo(operations.length === 1 ? [result] : (result as ReadonlyArray<unknown>)))
          if (undos.current.length > undoMax) undos.current.shift()
        }
        setToast(said === undefined || undo === undefined ? undefined : { kind: "done", text: said })
        if (said !== undefined) announce(said)
        return { value: result }
      } catch (error) {
        refuse(error)
        return undefined
      }
    },
    [client, viewer, run, refuse, announce]
  )
  /** Takes back the last thing that was done here and not taken back. */
  const undo = useCallback(async () => {
    const operations = undos.current.pop()
    setToast(undefined)
    if (operations === undefined || operations.length === 0) return
    try {
      await run(operations)
      announce("Taken back")
    } catch (error) {
      refuse(error)
    }
  }, [run, refuse, announce])

  const dismiss = useCallback(() => setToast(undefined), [])
  useEffect(() => {
    if (toast === undefined) return undefined
    const timer = setTimeout(dismiss, toastMs)
    return () => clearTimeout(timer)
  }, [toast, dismiss])
  return useMemo(
    () => ({ attempt, undo, toast, dismiss, notes, clearNotes: () => setNotes([]) }),
    [attempt, undo, toast, dismiss, notes]
  )
}

const isList = (
  given: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>
): given is ReadonlyArray<Action.AnyOperation> => Array.isArray(given)

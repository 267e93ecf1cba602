import { useMemo, useSyncExternalStore } from "react"
import { initial, type Status } from "../Status.ts"
import { same } from "../share.ts"
import { useSyncClient } from "./SyncProvider.ts"

/**
 * What the session is doing, or what `select` takes of it: then the component is drawn again only when that has changed.
 *
 * ```tsx
 * const { pending, phase } = useSyncStatus()
 * const online = useSyncStatus((status) => status.online)
 * ```
 */
export const useSyncStatus = <A = Status>(select: (status: Status) => A = whole): A => {
  const { status } = useSyncClient()
  const [get, onServer] = useMemo(
    () => [selection(status.get, select), selection(() => initial, select)] as const,
    [status, select]
  )
  return useSyncExternalStore(status.subscribe, get, onServer)
}

const whole = (status: Status) => status as never

/** A selection that is equal to the one before is the one before. */
const selection = <A>(get: () => Status, select: (status: Status) => A): (() => A) => {
  let seen = get()
  let value = select(seen)
  return () => {
    const status = get()
    if (status === seen) return value
    seen = status
    const next = select(status)
    if (!same(value, next)) value = next
    return value
  }
}

import { useSyncExternalStore } from "react"
import * as Limits from "../Limits.ts"
import type { LiveQueryError } from "../LiveQuery.ts"
import type { LiveQueryHandle } from "../PromiseClient.ts"
import { preloadQuery } from "./preloadQuery.ts"
import { useSyncClient } from "./SyncProvider.ts"
import { type UseLiveQueryOptions, useHandle } from "./useLiveQuery.ts"

/**
 * As `useLiveQuery`, for a component below a `<Suspense>` and an error boundary: it gives the rows, the component waits
 * while they are loading, and an error goes to the boundary. When the boundary is reset the query runs again.
 *
 * ```tsx
 * const todos = useSuspenseQuery<Todo>("SELECT * FROM todos WHERE list_id = $1 ORDER BY created_at", [listId])
 * ```
 *
 * A change of `params` inside of `startTransition` leaves the old rows on the page until the new ones are there. On a
 * server the `<Suspense>` shows its fallback.
 *
 * @throws LiveQueryError to the nearest error boundary
 */
export const useSuspenseQuery = <Row = Record<string, unknown>>(
  sql: string,
  params: ReadonlyArray<unknown> = [],
  options: UseLiveQueryOptions<Row> = {}
): ReadonlyArray<Row> => {
  const client = useSyncClient()
  const live = useHandle(sql, params, options)
  const { error, rows, state } = useSyncExternalStore(live.subscribe, live.get, inTheBrowser)
  if (state === "loading") throw preloadQuery(client, sql, params)
  if (error !== null) throw retried(live, error)
  return rows
}

/** React takes it from here when the page is in the browser. */
const inTheBrowser = (): never => {
  throw new Error("A query has its rows in the browser, so this component is drawn there.")
}

interface Failure {
  readonly atMs: number
  again?: Promise<void>
}

const failures = new WeakMap<LiveQueryError, Failure>()

/**
 * What a component throws whose query has failed. React may draw it several times until the boundary shows the error. Who
 * draws it later than that was told to try again, and waits for another run.
 */
const retried = (live: LiveQueryHandle<unknown>, error: LiveQueryError): LiveQueryError | Promise<void> => {
  const failure: Failure = failures.get(error) ?? { atMs: Date.now() }
  failures.set(error, failure)
  if (failure.again === undefined && Date.now() - failure.atMs < Limits.failureMs) return error
  // The same error may be the answer again.
  failure.again ??= live.refresh().then(() => void failures.delete(error))
  return failure.again
}

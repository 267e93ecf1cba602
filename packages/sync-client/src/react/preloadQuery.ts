import * as Limits from "../Limits.ts"
import type { LiveQueryHandle, PromiseClient } from "../PromiseClient.ts"
import { textOf } from "../share.ts"
import { noClient } from "./noClient.ts"

interface Preloaded {
  readonly live: LiveQueryHandle<unknown>
  readonly loaded: Promise<void>
}

/** React forgets a component that suspends before it was mounted, so what it waits for is kept here. */
const preloadedByClient = new WeakMap<PromiseClient, Map<string, Preloaded>>()

/**
 * Runs a query before the component that shows it is there: in the loader of a route, when a pointer enters a link, or so
 * that two queries of one component that suspends do not wait for each other.
 *
 * ```ts
 * preloadQuery(client, "SELECT * FROM todos WHERE list_id = $1", [listId])
 * ```
 *
 * Whoever asks for the same query finds its rows. When nobody has for `Limits.preloadMs`, it ends.
 *
 * @returns resolves when the query has run, also when it failed: who shows it says so
 */
export const preloadQuery = (
  client: PromiseClient,
  sql: string,
  params: ReadonlyArray<unknown> = []
): Promise<void> => {
  const queries = preloadedByClient.get(client) ?? new Map<string, Preloaded>()
  preloadedByClient.set(client, queries)
  const key = textOf([sql, params])
  const known = queries.get(key)
  if (known !== undefined) return known.loaded
  const live = client.liveQuery(sql, params)
  const end = () => {
    // A component may wait for several queries, and has to find the first ones when the last one is there.
    if ([...queries.values()].some(isLoading)) return expire()
    queries.delete(key)
    live.close()
  }
  const expire = () => {
    const timer: unknown = setTimeout(end, Limits.preloadMs)
    // In Node a timer keeps the process alive; this one need not.
    if (typeof timer === "object") (timer as { unref?: () => void }).unref?.()
  }
  const loaded = whenLoaded(live)
  if (client !== noClient) queries.set(key, { live, loaded })
  void loaded.then(expire)
  return loaded
}

const isLoading = ({ live }: Pick<Preloaded, "live">): boolean => live.get().state === "loading"

const whenLoaded = (live: LiveQueryHandle<unknown>): Promise<void> =>
  new Promise((resolve) => {
    const unsubscribe = live.subscribe(() => {
      if (isLoading({ live })) return
      unsubscribe()
      resolve()
    })
    if (isLoading({ live })) return
    unsubscribe()
    resolve()
  })

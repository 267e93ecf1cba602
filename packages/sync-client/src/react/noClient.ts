import { loadingState } from "../LiveQuery.ts"
import type { Observable } from "../Observable.ts"
import type { PromiseClient } from "../PromiseClient.ts"
import { initial } from "../Status.ts"

const never = new Promise<never>(() => {})
const wait = () => never
const execution = Object.assign(new Promise<never>(() => {}), { outcome: wait, recordId: wait, result: wait })
const constant = <A>(value: A): Observable<A> => ({ get: () => value, subscribe: () => () => {} })

/**
 * A client without a database, for drawing components where there is none, as on a server: queries are loading for ever,
 * and nothing that is asked of it comes to an end.
 *
 * ```tsx
 * const client = typeof window === "undefined" ? noClient : createSharedClient({ ... })
 * ```
 */
export const noClient: PromiseClient = {
  ready: never,
  execute: () => execution,
  executeAction: () => execution,
  query: wait,
  liveQuery: () => ({ ...constant(loadingState), refresh: wait, close: () => {} }),
  status: constant(initial),
  sync: wait,
  settled: wait,
  pause: wait,
  resume: wait,
  pending: wait,
  outcome: wait,
  rejected: {
    ...constant([]),
    list: wait,
    retry: () => execution,
    dismiss: wait
  },
  inspect: wait,
  close: async () => {}
}

/** A live query as a client gives it: its rows decoded. */
import { Either } from "effect"
import type { LiveQueryState } from "./LiveQuery.ts"
import type { LiveQueryHandle, LiveQueryOptions } from "./PromiseClient.ts"
import { decoder } from "./typedRows.ts"
import type { Views } from "./Views.ts"

export const liveHandle = <Row>(
  { live }: Pick<Views, "live">,
  query: { readonly sql: string; readonly params: ReadonlyArray<unknown> | undefined } & LiveQueryOptions<Row>
): LiveQueryHandle<Row> => {
  const inner = live.open(query.sql, query.params)
  const unwatch = query.lazy ? () => {} : inner.watch()
  const decode = decoder(query.schema)
  let seen: LiveQueryState<unknown> | undefined
  let shown: LiveQueryState<Row> = { state: "loading", rows: [], error: null }
  const show = (state: LiveQueryState<unknown>): LiveQueryState<Row> => {
    if (state !== seen) {
      seen = state
      const rows = decode(state.rows)
      shown = Either.isRight(rows)
        ? ({ ...state, rows: rows.right } as LiveQueryState<Row>)
        : { state: "error", rows: shown.rows, error: rows.left }
    }
    return shown
  }
  return {
    get: () => show(inner.get()),
    subscribe: (listener) => inner.subscribe((state) => listener(show(state))),
    refresh: inner.refresh,
    close: unwatch
  }
}

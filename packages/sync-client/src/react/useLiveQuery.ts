import { useMemo } from "react"
import { type LiveQueryState, loadingState } from "../LiveQuery.ts"
import type { LiveQueryHandle } from "../PromiseClient.ts"
import { textOf } from "../share.ts"
import type { RowSchema } from "../typedRows.ts"
import { useSyncClient } from "./SyncProvider.ts"
import { useObservable } from "./useObservable.ts"

export interface UseLiveQueryOptions<Row> {
  /** Decodes each row, and says what it is. Define it outside of the component. */
  readonly schema?: RowSchema<Row> | undefined
}

/**
 * The rows of a query, as they change. Rows that did not change are the same objects as before, so memoized
 * children stay as they are.
 *
 * ```tsx
 * const { rows } = useLiveQuery<Todo>("SELECT * FROM todos WHERE list_id = $1 ORDER BY created_at", [listId])
 * ```
 *
 * @param params compared by value, so an array literal will do
 */
export const useLiveQuery = <Row = Record<string, unknown>>(
  sql: string,
  params: ReadonlyArray<unknown> = [],
  options: UseLiveQueryOptions<Row> = {}
): LiveQueryState<Row> => useObservable(useHandle(sql, params, options), loadingState)

/** The query, which runs only while the component is mounted. */
export const useHandle = <Row>(
  sql: string,
  params: ReadonlyArray<unknown>,
  { schema }: UseLiveQueryOptions<Row>
): LiveQueryHandle<Row> => {
  const client = useSyncClient()
  const key = textOf(params)
  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` stands for the values of `params`
  return useMemo(() => client.liveQuery<Row>(sql, params, { lazy: true, schema }), [client, sql, key, schema])
}

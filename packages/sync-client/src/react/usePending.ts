import { useMemo } from "react"
import { useLiveQuery } from "./useLiveQuery.ts"

/**
 * The ids of the records that the authority has not judged yet; the same set until they change. It changes together with
 * the rows of live queries: a row that keeps the id of its record (`ctx.id`) can show whether it waits.
 */
export const usePending = (): ReadonlySet<string> => {
  const { rows } = useLiveQuery<{ readonly id: string }>(
    "SELECT id FROM synchrotron.records WHERE status = 'pending' ORDER BY hlc"
  )
  return useMemo(() => new Set(rows.map(({ id }) => id)), [rows])
}

/** What the panel reads and does: live queries over the local database, and operations with their refusals. */

import { useLiveQuery, useSyncClient, useSyncStatus } from "@synchrotron/sync-client/react"
import type { Action } from "@synchrotron/sync-core"
import { useCallback, useEffect, useState } from "react"

export interface ListRow {
  readonly id: string
  readonly title: string
  readonly owner_id: string
  readonly open_max: number
  readonly open: number
  readonly members: ReadonlyArray<string>
}

export interface TodoRow {
  readonly id: string
  readonly title: string
  readonly done: boolean
  readonly assignee: string | null
  readonly created_by: string
  readonly last_record: string | null
}

export const useLists = () =>
  useLiveQuery<ListRow>(`
    SELECT l.id, l.title, l.owner_id, l.open_max,
      (SELECT count(*)::int FROM todos t WHERE t.list_id = l.id AND NOT t.done) AS open,
      ARRAY(SELECT m.user_id FROM members m WHERE m.list_id = l.id ORDER BY m.role = 'member', m.user_id) AS members
    FROM lists l ORDER BY l.created_at, l.id`)

export const useTodos = (listId: string) =>
  useLiveQuery<TodoRow>(
    `SELECT id, title, done, assignee, created_by, last_record
    FROM todos WHERE list_id = $1 ORDER BY position, id`,
    [listId]
  )

const none: ReadonlySet<string> = new Set()

/** The ids of the records that the server has not judged yet. */
export const usePendingRecords = (): ReadonlySet<string> => {
  const client = useSyncClient()
  const status = useSyncStatus()
  const [ids, setIds] = useState(none)
  // Every change of the count, and every sync, may change which records wait.
  useEffect(() => {
    let current = true
    if (status.pending === 0) setIds(none)
    else {
      client.pending().then(
        (records) => current && setIds(new Set(records.map((record) => record.id))),
        // Closing: nothing is shown any more.
        () => undefined
      )
    }
    return () => {
      current = false
    }
  }, [client, status.pending, status.seq])
  return ids
}

/** Runs an operation; what refuses it on this device becomes the panel's notice. */
export type Attempt = (operation: Action.AnyOperation) => Promise<unknown>

const noticeMs = 7000

export const useAttempt = () => {
  const client = useSyncClient()
  const [notice, setNotice] = useState<string>()
  const attempt: Attempt = useCallback(
    async (operation) => {
      setNotice(undefined)
      try {
        return await client.execute(operation)
      } catch (error) {
        setNotice(error instanceof Error ? error.message : String(error))
        return undefined
      }
    },
    [client]
  )
  const dismiss = useCallback(() => setNotice(undefined), [])
  useEffect(() => {
    if (notice === undefined) return undefined
    const timer = setTimeout(dismiss, noticeMs)
    return () => clearTimeout(timer)
  }, [notice, dismiss])
  return { attempt, notice, dismiss }
}

/** What a workspace reads: live queries over the local database. */
import { useLiveQuery, useSyncClient, useSyncStatus } from "@synchrotron/sync-client/react"
import { useEffect, useState } from "react"
import type { GivenRole, Role } from "../domain/access.ts"

export interface ListRow {
  readonly id: string
  readonly title: string
  readonly owner_id: string
  readonly open_max: number
  readonly role: Role
  readonly open: number
  readonly members: ReadonlyArray<string>
}

/** A list that was joined on this device and has not come yet. */
export interface JoiningRow {
  readonly id: string
  readonly title: null
}

export interface TodoRow {
  readonly id: string
  readonly title: string
  readonly done: boolean
  /** As `2026-11-22`. */
  readonly due: string | null
  readonly assignee: string | null
  readonly created_by: string
  readonly last_record: string | null
}

export interface InvitationRow {
  readonly list_id: string
  readonly list_title: string
  readonly invited_by: string
  readonly role: GivenRole
}

export interface MemberRow {
  readonly user_id: string
  readonly role: Role
  readonly joined: boolean
}

export interface FoundRow {
  readonly id: string
  readonly title: string
  readonly done: boolean
  readonly due: string | null
  readonly list_id: string
  readonly list_title: string
}

/** A query that fails is a mistake in this program: it is shown as such, and not as an empty list. */
const useRows = <Row>(sql: string, params: ReadonlyArray<unknown>) => {
  const live = useLiveQuery<Row>(sql, params)
  if (live.state === "error") throw live.error
  return live
}

/** The lists of which the viewer is a member, oldest first. */
export const useLists = (viewer: string) =>
  useRows<ListRow | JoiningRow>(
    `SELECT m.list_id AS id, l.title, l.owner_id, l.open_max, m.role,
      (SELECT count(*)::int FROM todos t WHERE t.list_id = l.id AND NOT t.done) AS open,
      ARRAY(SELECT o.user_id FROM members o WHERE o.list_id = l.id ORDER BY o.role <> 'owner', o.user_id) AS members
    FROM members m LEFT JOIN lists l ON l.id = m.list_id WHERE m.user_id = $1 ORDER BY l.created_at, m.list_id`,
    [viewer]
  )

export const useTodos = (listId: string) =>
  useRows<TodoRow>(
    `SELECT id, title, done, due::text AS due, assignee, created_by, last_record
    FROM todos WHERE list_id = $1 ORDER BY position, id`,
    [listId]
  )

export const useInvitations = (viewer: string) =>
  useRows<InvitationRow>(
    "SELECT list_id, list_title, invited_by, role FROM invitations WHERE user_id = $1 ORDER BY created_at, list_id",
    [viewer]
  )

/** Members, then whoever is invited. */
export const useMembers = (listId: string) =>
  useRows<MemberRow>(
    `SELECT * FROM (
      SELECT user_id, role, true AS joined FROM members WHERE list_id = $1
      UNION ALL SELECT user_id, role, false FROM invitations WHERE list_id = $1
    ) people ORDER BY joined DESC, role <> 'owner', user_id`,
    [listId]
  )

const foundMax = 50

/** Items of all lists of the viewer whose title contains the text; open ones first. */
export const useFound = (viewer: string, text: string) =>
  useRows<FoundRow>(
    `SELECT t.id, t.title, t.done, t.due::text AS due, l.id AS list_id, l.title AS list_title
    FROM todos t JOIN lists l ON l.id = t.list_id JOIN members m ON m.list_id = l.id AND m.user_id = $1
    WHERE strpos(lower(t.title), lower($2)) > 0 ORDER BY t.done, l.created_at, l.id, t.position LIMIT ${foundMax}`,
    [viewer, text]
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

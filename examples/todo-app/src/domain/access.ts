/**
 * Who may do what with a list, asked at the start of each action. The answer reads the list as the author sees it: under
 * row-level security, "not shared with me" and "not there" look the same.
 */
import type { Action } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { ListGone, NotOwner, ViewOnly } from "./errors.ts"

/** The database, as an action gets it. */
export type Sql = Action.ActionInput<unknown>["sql"]

/** What an owner makes of somebody; the owner's own role is `owner`. */
export const GivenRole = Schema.Literal("editor", "viewer")
export type GivenRole = typeof GivenRole.Type
export type Role = "owner" | GivenRole

export interface List {
  readonly title: string
  readonly owner_id: string
  readonly open_max: number
  readonly role: Role
}

/** The list, when the author is a member of it. */
export const requireMember = (sql: Sql, listId: string, me: string) =>
  Effect.gen(function* () {
    const [list] = yield* sql<List>`SELECT l.title, l.owner_id, l.open_max, m.role
      FROM lists l JOIN members m ON m.list_id = l.id AND m.user_id = ${me} WHERE l.id = ${listId}`
    return list ?? (yield* new ListGone({ listId }))
  })

/** The list, when the author may change what is in it. */
export const requireEditor = (sql: Sql, listId: string, me: string) =>
  Effect.gen(function* () {
    const list = yield* requireMember(sql, listId, me)
    if (list.role !== "viewer") return list
    return yield* new ViewOnly({ listTitle: list.title, owner: list.owner_id })
  })

/** The list, when it is the author's own. */
export const requireOwner = (sql: Sql, listId: string, me: string) =>
  Effect.gen(function* () {
    const list = yield* requireMember(sql, listId, me)
    if (list.role === "owner") return list
    return yield* new NotOwner({ listTitle: list.title, owner: list.owner_id })
  })

/** A refused record in plain words: what its author wanted, and why it could not be. */
import type { Replica } from "@synchrotron/sync-core"
import { Option, Schema } from "effect"
import { Refusal } from "./errors.ts"
import { nameFor, nameOf } from "./people.ts"

export interface Explanation {
  readonly wish: string
  readonly reason: string
}

/** What {@link explain} needs of a record. */
export type Refused = Pick<Replica.RejectedRecord, "name" | "args" | "error" | "outcome" | "patches">

/** @param viewer the record's author, who reads the explanation */
export const explain = (record: Refused, viewer: string): Explanation => ({
  wish: wish(record.name, record.args, (todoId) => titleOf(record, todoId)),
  reason: reason(record, viewer)
})

/**
 * What to say of a record that the authority accepted with another result than its author saw; undefined where the
 * difference is none to a person, as when two people tick off the same item.
 */
export const explainChanged = (name: string): string | undefined => {
  switch (name) {
    case "todo.move":
      return "Others changed this list before you moved an item, so its order came out differently."
    case "todo.transfer":
      return "Others changed these lists before you moved an item between them, so it may stand elsewhere."
    case "list.role":
    case "list.unshare":
      return "Others changed the members of a list before you did."
    default:
      return undefined
  }
}

type Args = Record<string, unknown>

/** The action's name in plain words, with what it is about. */
const wish = (name: string, given: unknown, titleOf: (todoId: unknown) => string): string => {
  if (name === "synchrotron.batch") return wishes(given, titleOf)
  const args = given as Args
  const item = titleOf(args.todoId)
  const person = typeof args.userId === "string" ? nameOf(args.userId) : "somebody"
  switch (name) {
    case "todo.add":
      return `Add “${args.title}”`
    case "todo.toggle":
      return args.done === true ? `Tick off ${item}` : `Reopen ${item}`
    case "todo.edit":
      return `Rename an item to “${args.title}”`
    case "todo.due":
      return args.due === null ? `Take the due date from ${item}` : `Make ${item} due on ${args.due}`
    case "todo.move":
      return `Move ${item}`
    case "todo.transfer":
      return `Move ${item} to another list`
    case "todo.remove":
      return `Remove ${item}`
    case "todo.restore":
      return `Put “${args.title}” back`
    case "todo.claim":
      return `Claim ${item}`
    case "todo.release":
      return `Give ${item} back`
    case "list.create":
      return `Create the list “${args.title}”`
    case "list.rename":
      return `Rename the list to “${args.title}”`
    case "list.delete":
      return "Delete a list"
    case "list.invite":
      return `Invite ${person} to a list`
    case "list.accept":
      return "Join a list"
    case "list.decline":
      return "Decline an invitation"
    case "list.role":
      return `Make ${person} ${args.role === "viewer" ? "a viewer" : "an editor"} of a list`
    case "list.unshare":
      return `Stop sharing a list with ${person}`
    case "list.leave":
      return "Leave a list"
    default:
      return name
  }
}

const namedMax = 3

/** Operations that were to happen together or not at all. */
const wishes = (given: unknown, titleOf: (todoId: unknown) => string): string => {
  const operations = given as ReadonlyArray<{ readonly name: string; readonly args: unknown }>
  const named = operations
    .slice(0, namedMax)
    .map((operation) => wish(operation.name, operation.args, titleOf))
    .join(", ")
  const more = operations.length - namedMax
  return `${operations.length} changes together: ${named}${more > 0 ? ` and ${more} more` : ""}`
}

const reason = (record: Refused, viewer: string): string => {
  const refusal = Schema.decodeUnknownOption(Refusal)(record.error.detail)
  if (Option.isSome(refusal)) return refusalReason(refusal.value, viewer)
  switch (record.error.class) {
    case "denied":
      return "You have no access to this list any more."
    case "unknown_action":
      return "The server does not know this kind of change yet. Try again after its update."
    case "conflict":
      return "Somebody changed the same data directly in the database. Try again."
    default:
      return record.error.message
  }
}

const refusalReason = (refusal: Refusal, viewer: string): string => {
  switch (refusal._tag) {
    case "ListFull": {
      const { newest } = refusal
      const first = newest === null ? "" : ` ${nameFor(newest.by, viewer)} added “${newest.title}” first.`
      return `“${refusal.listTitle}” was full: it takes ${refusal.openMax} open items.${first}`
    }
    case "AlreadyClaimed":
      return `${nameFor(refusal.by, viewer)} claimed “${refusal.title}” first.`
    case "ViewOnly":
      return `${nameOf(refusal.owner)} had made you a viewer of “${refusal.listTitle}” before, so you could not change it.`
    default:
      return refusal.message
  }
}

/** The item's title, which the arguments lack and the undone patches may have. */
const titleOf = (record: Refused, todoId: unknown): string => {
  const rows = record.patches
    .filter(({ table }) => table === "public.todos")
    .map(({ before, after }) => after ?? before)
  // The images of a record that was about one item need no id to be known by.
  const row = rows.find((one) => one?.id === todoId) ?? (rows.length === 1 ? rows[0] : undefined)
  if (typeof row?.title === "string") return `“${row.title}”`
  const detail = record.error.detail as { readonly title?: unknown } | undefined
  return typeof detail?.title === "string" && record.name !== "synchrotron.batch"
    ? `“${detail.title}”`
    : "an item"
}

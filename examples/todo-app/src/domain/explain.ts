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
  wish: wish(record),
  reason: reason(record, viewer)
})

const wish = (record: Refused): string => {
  const args = record.args as Record<string, unknown>
  const title = typeof args.title === "string" ? args.title : undefined
  const item = titleOf(record)
  const person = typeof args.userId === "string" ? nameOf(args.userId) : "somebody"
  switch (record.name) {
    case "todo.add":
      return `Add “${title}”`
    case "todo.toggle":
      return args.done === true ? `Tick off ${item}` : `Reopen ${item}`
    case "todo.edit":
      return `Rename an item to “${title}”`
    case "todo.move":
      return `Move ${item}`
    case "todo.remove":
      return `Remove ${item}`
    case "todo.claim":
      return `Claim ${item}`
    case "todo.release":
      return `Give ${item} back`
    case "list.create":
      return `Create the list “${title}”`
    case "list.rename":
      return `Rename the list to “${title}”`
    case "list.share":
      return `Share a list with ${person}`
    case "list.unshare":
      return `Stop sharing a list with ${person}`
    default:
      return record.name
  }
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
    default:
      return refusal.message
  }
}

/** The item's title, which the arguments lack and the undone patches may have. */
const titleOf = (record: Refused): string => {
  for (const { table, before, after } of record.patches) {
    const title = (after ?? before)?.title
    if (table === "public.todos" && typeof title === "string") return `“${title}”`
  }
  const detail = record.error.detail as { readonly title?: unknown } | undefined
  return typeof detail?.title === "string" ? `“${detail.title}”` : "an item"
}

/**
 * Why an action refuses. Each error carries what a person needs to understand it, because the refusal may reach
 * its author hours later: the action is judged again on the server, after everything that others did earlier.
 */
import { Schema } from "effect"
import { nameOf } from "./people.ts"

/** The list has as many open items as it accepts. */
export class ListFull extends Schema.TaggedError<ListFull>()("ListFull", {
  listTitle: Schema.String,
  openMax: Schema.Number,
  /** The newest open item, by somebody else if there is one. */
  newest: Schema.NullOr(Schema.Struct({ title: Schema.String, by: Schema.String }))
}) {
  override get message() {
    return `“${this.listTitle}” is full: it takes ${this.openMax} open items. Finish one first.`
  }
}

/** Somebody else claimed the item earlier. */
export class AlreadyClaimed extends Schema.TaggedError<AlreadyClaimed>()("AlreadyClaimed", {
  title: Schema.String,
  by: Schema.String
}) {
  override get message() {
    return `${nameOf(this.by)} claimed “${this.title}” first.`
  }
}

/** The item is not there any more, or the author may not see it any more. */
export class ItemGone extends Schema.TaggedError<ItemGone>()("ItemGone", { todoId: Schema.String }) {
  override get message() {
    return "The item was removed before this change."
  }
}

/** The list is not there any more, or is not shared with the author any more. */
export class ListGone extends Schema.TaggedError<ListGone>()("ListGone", { listId: Schema.String }) {
  override get message() {
    return "The list was removed, or is no longer shared with you."
  }
}

/** The author is a viewer of the list. */
export class ViewOnly extends Schema.TaggedError<ViewOnly>()("ViewOnly", {
  listTitle: Schema.String,
  owner: Schema.String
}) {
  override get message() {
    return `You can view “${this.listTitle}”, not change it. Ask ${nameOf(this.owner)} to make you an editor.`
  }
}

/** Only the list's owner decides who sees it. */
export class NotOwner extends Schema.TaggedError<NotOwner>()("NotOwner", {
  listTitle: Schema.String,
  owner: Schema.String
}) {
  override get message() {
    return `Only ${nameOf(this.owner)} decides who sees “${this.listTitle}”.`
  }
}

/** A list always has its owner: they can delete it, and not leave it. */
export class OwnerStays extends Schema.TaggedError<OwnerStays>()("OwnerStays", { listTitle: Schema.String }) {
  override get message() {
    return `“${this.listTitle}” cannot be without its owner. Delete the list instead.`
  }
}

/** Whoever is invited is a member already. */
export class AlreadyMember extends Schema.TaggedError<AlreadyMember>()("AlreadyMember", {
  listTitle: Schema.String,
  userId: Schema.String
}) {
  override get message() {
    return `${nameOf(this.userId)} is a member of “${this.listTitle}” already.`
  }
}

/** The person is no member of the list, or not any more. */
export class NotMember extends Schema.TaggedError<NotMember>()("NotMember", {
  listTitle: Schema.String,
  userId: Schema.String
}) {
  override get message() {
    return `${nameOf(this.userId)} is no member of “${this.listTitle}” any more.`
  }
}

/** The invitation was taken back, or declined on another device. */
export class InvitationGone extends Schema.TaggedError<InvitationGone>()("InvitationGone", {
  listId: Schema.String
}) {
  override get message() {
    return "The invitation was taken back or declined before it was accepted."
  }
}

export const refusals = [
  ListFull,
  AlreadyClaimed,
  ItemGone,
  ListGone,
  ViewOnly,
  NotOwner,
  OwnerStays,
  AlreadyMember,
  NotMember,
  InvitationGone
] as const

export const Refusal = Schema.Union(...refusals)
export type Refusal = typeof Refusal.Type

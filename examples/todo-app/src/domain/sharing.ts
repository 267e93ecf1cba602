/**
 * Who sees a list: an owner invites, the invited person accepts or declines, roles change, access ends.
 *
 * An invitation is a row that its owner and the invited person see. It has the list's title as it was, because the list
 * itself is not to be seen before the invitation is accepted.
 */
import { Action } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { GivenRole, requireMember, requireOwner, type Sql } from "./access.ts"
import { AlreadyMember, InvitationGone, NotMember, OwnerStays } from "./errors.ts"

const UserId = Schema.NonEmptyTrimmedString.pipe(Schema.maxLength(60))
const OfList = Schema.Struct({ listId: Schema.UUID })
const OfMember = Schema.Struct({ listId: Schema.UUID, userId: UserId })
const Given = Schema.Struct({ listId: Schema.UUID, userId: UserId, role: GivenRole })

/** Invites a person; inviting them again changes the role that is offered. */
export const inviteToList = Action.make("list.invite", {
  args: Given,
  run: ({ args: { listId, userId, role }, sql, ctx }) =>
    Effect.gen(function* () {
      const me = ctx.principal.userId
      const list = yield* requireOwner(sql, listId, me)
      if ((yield* roleOf(sql, listId, userId)) !== undefined)
        return yield* new AlreadyMember({ listTitle: list.title, userId })
      yield* sql`INSERT INTO invitations (list_id, user_id, role, list_title, invited_by)
        VALUES (${listId}, ${userId}, ${role}, ${list.title}, ${me})
        ON CONFLICT (list_id, user_id) DO UPDATE SET role = ${role}, list_title = ${list.title}`
    })
})

/** Makes the author a member. On this device the list itself comes with the next sync. */
export const acceptInvitation = Action.make("list.accept", {
  args: OfList,
  run: ({ args: { listId }, sql, ctx }) =>
    Effect.gen(function* () {
      const me = ctx.principal.userId
      const [invitation] = yield* sql<{ readonly role: GivenRole }>`
        SELECT role FROM invitations WHERE list_id = ${listId} AND user_id = ${me}`
      if (invitation === undefined) {
        // Accepted on another device already: it is what the author wanted.
        if ((yield* roleOf(sql, listId, me)) !== undefined) return
        return yield* new InvitationGone({ listId })
      }
      yield* sql`INSERT INTO members (list_id, user_id, role) VALUES (${listId}, ${me}, ${invitation.role})
        ON CONFLICT DO NOTHING`
      yield* sql`DELETE FROM invitations WHERE list_id = ${listId} AND user_id = ${me}`
    })
})

/** That the invitation is gone already is no failure: it is what the author wanted. */
export const declineInvitation = Action.make("list.decline", {
  args: OfList,
  run: ({ args, sql, ctx }) =>
    Effect.asVoid(
      sql`DELETE FROM invitations WHERE list_id = ${args.listId} AND user_id = ${ctx.principal.userId}`
    )
})

/** Makes a member an editor or a viewer. Whoever becomes a viewer gives back what they had claimed. */
export const changeRole = Action.make("list.role", {
  args: Given,
  run: ({ args: { listId, userId, role }, sql, ctx }) =>
    Effect.gen(function* () {
      const list = yield* requireOwner(sql, listId, ctx.principal.userId)
      const before = yield* roleOf(sql, listId, userId)
      if (before === undefined) return yield* new NotMember({ listTitle: list.title, userId })
      if (before === "owner") return yield* new OwnerStays({ listTitle: list.title })
      if (role === "viewer") yield* releaseClaims(sql, listId, userId)
      yield* sql`UPDATE members SET role = ${role} WHERE list_id = ${listId} AND user_id = ${userId}`
    })
})

/** Takes a member's access or an invitation away, with the claims that nobody else could release. */
export const unshareList = Action.make("list.unshare", {
  args: OfMember,
  run: ({ args: { listId, userId }, sql, ctx }) =>
    Effect.gen(function* () {
      const list = yield* requireOwner(sql, listId, ctx.principal.userId)
      if (userId === list.owner_id) return yield* new OwnerStays({ listTitle: list.title })
      yield* releaseClaims(sql, listId, userId)
      yield* sql`DELETE FROM invitations WHERE list_id = ${listId} AND user_id = ${userId}`
      yield* sql`DELETE FROM members WHERE list_id = ${listId} AND user_id = ${userId}`
    })
})

/** Ends the author's own membership. */
export const leaveList = Action.make("list.leave", {
  args: OfList,
  run: ({ args: { listId }, sql, ctx }) =>
    Effect.gen(function* () {
      const me = ctx.principal.userId
      const list = yield* requireMember(sql, listId, me)
      if (list.role === "owner") return yield* new OwnerStays({ listTitle: list.title })
      yield* releaseClaims(sql, listId, me)
      yield* sql`DELETE FROM members WHERE list_id = ${listId} AND user_id = ${me}`
    })
})

const roleOf = (sql: Sql, listId: string, userId: string) =>
  Effect.map(
    sql<{ readonly role: string }>`
      SELECT role FROM members WHERE list_id = ${listId} AND user_id = ${userId}`,
    ([member]) => member?.role
  )

const releaseClaims = (sql: Sql, listId: string, userId: string) =>
  sql`UPDATE todos SET assignee = NULL WHERE list_id = ${listId} AND assignee = ${userId} AND NOT done`

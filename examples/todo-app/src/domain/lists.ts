/** What people do with lists. */
import { Action } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { requireEditor, requireOwner } from "./access.ts"

export const Title = Schema.NonEmptyTrimmedString.pipe(Schema.maxLength(120))
const OpenMax = Schema.Int.pipe(Schema.between(1, 100))

/** Creates a list of the author's own. Nobody else sees it before they accept an invitation. */
export const createList = Action.make("list.create", {
  args: Schema.Struct({ title: Title, openMax: OpenMax }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const id = ctx.uuid("list")
      const me = ctx.principal.userId
      yield* sql`INSERT INTO lists (id, title, owner_id, open_max, last_record)
        VALUES (${id}, ${args.title}, ${me}, ${args.openMax}, ${ctx.id})`
      yield* sql`INSERT INTO members (list_id, user_id, role) VALUES (${id}, ${me}, 'owner')`
      return id
    })
})

export const renameList = Action.make("list.rename", {
  args: Schema.Struct({ listId: Schema.UUID, title: Title }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      yield* requireEditor(sql, args.listId, ctx.principal.userId)
      yield* sql`UPDATE lists SET title = ${args.title}, last_record = ${ctx.id} WHERE id = ${args.listId}`
    })
})

/** Deletes a list with all that is in it, for everybody. */
export const deleteList = Action.make("list.delete", {
  args: Schema.Struct({ listId: Schema.UUID }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      yield* requireOwner(sql, args.listId, ctx.principal.userId)
      yield* sql`DELETE FROM invitations WHERE list_id = ${args.listId}`
      yield* sql`DELETE FROM todos WHERE list_id = ${args.listId}`
      // The owner's own membership is what lets them see the rest, so it goes last but one.
      yield* sql`DELETE FROM members WHERE list_id = ${args.listId}`
      yield* sql`DELETE FROM lists WHERE id = ${args.listId}`
    })
})

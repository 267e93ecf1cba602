/** What people do with lists. */
import { Action } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { ListGone, NotOwner } from "./errors.ts"

export const Title = Schema.NonEmptyTrimmedString.pipe(Schema.maxLength(120))
const UserId = Schema.NonEmptyTrimmedString.pipe(Schema.maxLength(120))
const OpenMax = Schema.Int.pipe(Schema.between(1, 100))

/** Creates a list of the author's own. Nobody else sees it before {@link shareList}. */
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
      yield* findList(sql, args.listId)
      yield* sql`UPDATE lists SET title = ${args.title}, last_record = ${ctx.id} WHERE id = ${args.listId}`
    })
})

/** Lets another person see and edit the list; sharing it twice changes nothing. */
export const shareList = Action.make("list.share", {
  args: Schema.Struct({ listId: Schema.UUID, userId: UserId }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      yield* requireOwner(sql, args.listId, ctx.principal.userId)
      yield* sql`INSERT INTO members (list_id, user_id) VALUES (${args.listId}, ${args.userId})
        ON CONFLICT DO NOTHING`
    })
})

/** Takes a member's access away, with the claims that nobody else could release. */
export const unshareList = Action.make("list.unshare", {
  args: Schema.Struct({ listId: Schema.UUID, userId: UserId }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      yield* requireOwner(sql, args.listId, ctx.principal.userId)
      yield* sql`UPDATE todos SET assignee = NULL
        WHERE list_id = ${args.listId} AND assignee = ${args.userId} AND NOT done`
      yield* sql`DELETE FROM members
        WHERE list_id = ${args.listId} AND user_id = ${args.userId} AND role <> 'owner'`
    })
})

/** The database, as an action gets it. */
export type Sql = Action.ActionInput<unknown>["sql"]

interface List {
  readonly title: string
  readonly owner_id: string
  readonly open_max: number
}

/** The list, or {@link ListGone}: under row-level security, "not shared with me" looks the same. */
export const findList = (sql: Sql, listId: string) =>
  Effect.gen(function* () {
    const [list] = yield* sql<List>`SELECT title, owner_id, open_max FROM lists WHERE id = ${listId}`
    return list ?? (yield* new ListGone({ listId }))
  })

const requireOwner = (sql: Sql, listId: string, userId: string) =>
  Effect.gen(function* () {
    const list = yield* findList(sql, listId)
    if (list.owner_id === userId) return
    return yield* new NotOwner({ listTitle: list.title, owner: list.owner_id })
  })

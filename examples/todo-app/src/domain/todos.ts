/**
 * What people do with the items of a list.
 *
 * Two rules make crossing edits interesting: a list accepts only so many open items ({@link requireRoom}), and an
 * item has at most one assignee ({@link claimTodo}). Both are ordinary queries. They hold across offline edits
 * because the server runs these same functions in the order in which people acted.
 */
import { Action } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { type List, requireEditor, type Sql } from "./access.ts"
import { AlreadyClaimed, ItemGone, ListFull } from "./errors.ts"
import { Title } from "./lists.ts"

const Id = Schema.UUID

/** A day of the calendar, `2026-11-22`: the same day in all time zones. */
const Day = Schema.String.pipe(Schema.filter((text) => isDay(text) || "must be a day, such as 2026-11-22"))

const isDay = (text: string): boolean => {
  const date = /^[1-9]\d{3}-\d\d-\d\d$/.test(text) ? new Date(`${text}T00:00:00Z`) : new Date(Number.NaN)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}

/** Adds an item at the end; fails with {@link ListFull} when the list accepts no more. */
export const addTodo = Action.make("todo.add", {
  args: Schema.Struct({ listId: Id, title: Title }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const me = ctx.principal.userId
      yield* requireRoom(sql, args.listId, me)
      const id = ctx.uuid("todo")
      yield* sql`INSERT INTO todos (id, list_id, title, position, created_by, last_record)
        SELECT ${id}, ${args.listId}, ${args.title}, coalesce(max(position), 0) + 1, ${me}, ${ctx.id}
        FROM todos WHERE list_id = ${args.listId}`
      return id
    })
})

/**
 * Marks an item as done, or opens it again. The arguments say which of the two, so that two people who both
 * tick off the same item while offline agree instead of undoing each other. Whoever had claimed the item keeps it when they
 * may still change the list.
 */
export const toggleTodo = Action.make("todo.toggle", {
  args: Schema.Struct({ todoId: Id, done: Schema.Boolean }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const todo = yield* requireTodo(sql, args.todoId, ctx.principal.userId)
      if (todo.done === args.done) return
      if (!args.done) yield* requireRoom(sql, todo.list_id, ctx.principal.userId)
      yield* sql`UPDATE todos SET done = ${args.done}, last_record = ${ctx.id},
          assignee = CASE WHEN ${args.done} THEN assignee ELSE ${claimant(sql, todo.list_id)} END
        WHERE id = ${args.todoId}`
    })
})

export const editTodo = Action.make("todo.edit", {
  args: Schema.Struct({ todoId: Id, title: Title }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      yield* requireTodo(sql, args.todoId, ctx.principal.userId)
      yield* sql`UPDATE todos SET title = ${args.title}, last_record = ${ctx.id} WHERE id = ${args.todoId}`
    })
})

/** Says by which day an item is to be done; null for none. */
export const setDue = Action.make("todo.due", {
  args: Schema.Struct({ todoId: Id, due: Schema.NullOr(Day) }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      yield* requireTodo(sql, args.todoId, ctx.principal.userId)
      yield* sql`UPDATE todos SET due = ${args.due}::date, last_record = ${ctx.id} WHERE id = ${args.todoId}`
    })
})

/**
 * Moves an item in front of another, or to the end when `before` is null. The arguments name the neighbour and
 * not a position, so the wish keeps its meaning among items that others added in between. When the neighbour is
 * gone there is no place to go, and the item stays.
 */
export const moveTodo = Action.make("todo.move", {
  args: Schema.Struct({ todoId: Id, before: Schema.NullOr(Id) }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const todo = yield* requireTodo(sql, args.todoId, ctx.principal.userId)
      const placed = yield* place(sql, { ...args, listId: todo.list_id })
      if (placed) yield* sql`UPDATE todos SET last_record = ${ctx.id} WHERE id = ${args.todoId}`
    })
})

/**
 * Moves an item to another list that the author may change: in front of `before`, or to the end. Whoever had claimed it
 * keeps it when they may change that list, too.
 */
export const transferTodo = Action.make("todo.transfer", {
  args: Schema.Struct({ todoId: Id, listId: Id, before: Schema.NullOr(Id) }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const me = ctx.principal.userId
      const todo = yield* requireTodo(sql, args.todoId, me)
      if (todo.list_id === args.listId) return
      if (todo.done) yield* requireEditor(sql, args.listId, me)
      else yield* requireRoom(sql, args.listId, me)
      yield* sql`UPDATE todos SET list_id = ${args.listId}, last_record = ${ctx.id},
          position = (SELECT coalesce(max(position), 0) + 1 FROM todos WHERE list_id = ${args.listId}),
          assignee = ${claimant(sql, args.listId)}
        WHERE id = ${args.todoId}`
      if (args.before !== null) yield* place(sql, args)
    })
})

/** Removes an item. That somebody else removed it already is no failure: it is what the author wanted. */
export const removeTodo = Action.make("todo.remove", {
  args: Schema.Struct({ todoId: Id }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const todo = yield* findTodo(sql, args.todoId)
      if (todo === undefined) return
      yield* requireEditor(sql, todo.list_id, ctx.principal.userId)
      yield* sql`DELETE FROM todos WHERE id = ${args.todoId}`
    })
})

/** Puts a removed item back, as its new author's; `mine` when they had claimed it. */
export const restoreTodo = Action.make("todo.restore", {
  args: Schema.Struct({
    todoId: Id,
    listId: Id,
    title: Title,
    done: Schema.Boolean,
    due: Schema.NullOr(Day),
    mine: Schema.Boolean,
    before: Schema.NullOr(Id)
  }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const me = ctx.principal.userId
      if (args.done) yield* requireEditor(sql, args.listId, me)
      else yield* requireRoom(sql, args.listId, me)
      yield* sql`INSERT INTO todos (id, list_id, title, done, due, position, assignee, created_by, last_record)
        SELECT ${args.todoId}, ${args.listId}, ${args.title}, ${args.done}, ${args.due}::date,
          coalesce(max(position), 0) + 1, ${args.mine ? me : null}, ${me}, ${ctx.id}
        FROM todos WHERE list_id = ${args.listId} ON CONFLICT DO NOTHING`
      if (args.before !== null) yield* place(sql, args)
    })
})

/** "I take care of this." First in time wins; the later one fails with {@link AlreadyClaimed}. */
export const claimTodo = Action.make("todo.claim", {
  args: Schema.Struct({ todoId: Id }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const me = ctx.principal.userId
      const todo = yield* requireTodo(sql, args.todoId, me)
      if (todo.assignee === me) return
      if (todo.assignee !== null) {
        return yield* new AlreadyClaimed({ title: todo.title, by: todo.assignee })
      }
      yield* sql`UPDATE todos SET assignee = ${me}, last_record = ${ctx.id} WHERE id = ${args.todoId}`
    })
})

/** Gives a claimed item back; only its assignee can. */
export const releaseTodo = Action.make("todo.release", {
  args: Schema.Struct({ todoId: Id }),
  run: ({ args, sql, ctx }) =>
    Effect.asVoid(sql`UPDATE todos SET assignee = NULL, last_record = ${ctx.id}
      WHERE id = ${args.todoId} AND assignee = ${ctx.principal.userId}`)
})

interface Todo {
  readonly list_id: string
  readonly title: string
  readonly done: boolean
  readonly assignee: string | null
}

const findTodo = (sql: Sql, todoId: string) =>
  Effect.map(
    sql<Todo>`SELECT list_id, title, done, assignee FROM todos WHERE id = ${todoId}`,
    ([todo]) => todo
  )

/** The item, when it is there and the author may change it. */
const requireTodo = (sql: Sql, todoId: string, me: string) =>
  Effect.gen(function* () {
    const todo = yield* findTodo(sql, todoId)
    if (todo === undefined) return yield* new ItemGone({ todoId })
    yield* requireEditor(sql, todo.list_id, me)
    return todo
  })

/** Who has claimed the item that is being updated; nobody when they may not change the list, and so could not release it. */
const claimant = (sql: Sql, listId: string) =>
  sql`(SELECT user_id FROM members WHERE list_id = ${listId} AND user_id = todos.assignee AND role <> 'viewer')`

/** Puts an item of the list in front of another of it, or at its end; false when that other is not there. */
const place = (
  sql: Sql,
  {
    listId,
    todoId,
    before
  }: { readonly listId: string; readonly todoId: string; readonly before: string | null }
) =>
  Effect.gen(function* () {
    const [target] = yield* sql<{ readonly position: number | null }>`
      SELECT CASE WHEN ${before}::uuid IS NULL THEN max(position) + 1
             ELSE min(position) FILTER (WHERE id = ${before}::uuid) END AS position
      FROM todos WHERE list_id = ${listId}`
    if (target?.position == null) return false
    yield* sql`UPDATE todos SET position = ranked.place
      FROM (
        SELECT id, (row_number() OVER (ORDER BY
          CASE WHEN id = ${todoId} THEN ${target.position}::int - 0.5 ELSE position END, id))::int AS place
        FROM todos WHERE list_id = ${listId}
      ) ranked
      WHERE todos.id = ranked.id AND todos.position <> ranked.place`
    return true
  })

/** The list's rule: at most `open_max` items may be open. */
const requireRoom = (sql: Sql, listId: string, me: string) =>
  Effect.gen(function* () {
    const list: List = yield* requireEditor(sql, listId, me)
    const [open] = yield* sql<{ readonly count: number }>`
      SELECT count(*)::int AS count FROM todos WHERE list_id = ${listId} AND NOT done`
    if (open !== undefined && open.count < list.open_max) return
    const [newest] = yield* sql<{ readonly title: string; readonly by: string }>`
      SELECT title, created_by AS by FROM todos WHERE list_id = ${listId} AND NOT done
      ORDER BY created_by = ${me}, created_at DESC, id LIMIT 1`
    return yield* new ListFull({
      listTitle: list.title,
      openMax: list.open_max,
      newest: newest === undefined ? null : { title: newest.title, by: newest.by }
    })
  })

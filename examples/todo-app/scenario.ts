/**
 * The app under simulation: three people and a few short lists that all of them edit, share and lose again. Run it with
 * `npm run sim -- --scenario examples/todo-app/scenario.ts`.
 */
import { type Action, Execution } from "@synchrotron/sync-core"
import { defineScenario, type Scenario } from "@synchrotron/sync-testing"
import { app } from "./src/app.ts"
import { createList, deleteList, renameList } from "./src/domain/lists.ts"
import {
  acceptInvitation,
  changeRole,
  declineInvitation,
  inviteToList,
  leaveList,
  unshareList
} from "./src/domain/sharing.ts"
import * as todo from "./src/domain/todos.ts"
import { planUndo } from "./src/domain/undo.ts"

type Chance = Parameters<Scenario["next"]>[0]["random"]
type Query = Parameters<Scenario["next"]>[0]["query"]

const users = ["alice", "bob", "carol"]
const listId = (n: number) => `00000000-0000-4000-8000-00000000000${n}`
/** They stay, so that there is always something to do. */
const seeded = [1, 2, 3].map(listId)
const listsMax = 6

const seed = `
INSERT INTO lists (id, title, owner_id, open_max) VALUES
  ('${listId(1)}', 'Groceries', 'alice', 4), ('${listId(2)}', 'Chores', 'bob', 3), ('${listId(3)}', 'Trip', 'carol', 6);
INSERT INTO members (list_id, user_id, role) VALUES
  ('${listId(1)}', 'alice', 'owner'), ('${listId(1)}', 'bob', 'editor'), ('${listId(1)}', 'carol', 'editor'),
  ('${listId(2)}', 'bob', 'owner'), ('${listId(2)}', 'alice', 'viewer'), ('${listId(3)}', 'carol', 'owner');
INSERT INTO invitations (list_id, user_id, role, list_title, invited_by) VALUES
  ('${listId(3)}', 'bob', 'editor', 'Trip', 'carol');
INSERT INTO todos (list_id, title, position, created_by) VALUES ('${listId(1)}', 'Milk', 1, 'alice'), ('${listId(1)}', 'Bread', 2, 'bob');
`

interface Todo {
  readonly id: string
  readonly list_id: string
  readonly done: boolean
}

const listsOf = (query: Query) =>
  query<{ id: string; owner_id: string }>("SELECT id, owner_id FROM lists ORDER BY id")

const todosOf = (query: Query) => query<Todo>("SELECT id, list_id, done FROM todos ORDER BY id")

const invitationsOf = (query: Query, userId: string) =>
  query<{ list_id: string }>("SELECT list_id FROM invitations WHERE user_id = $1 ORDER BY list_id", [userId])

/** Who was let into which list; those of the user's own lists first. */
const guestsOf = (query: Query, userId: string) =>
  query<{ list_id: string; user_id: string }>(
    `SELECT m.list_id, m.user_id FROM members m JOIN lists l ON l.id = m.list_id WHERE m.role <> 'owner'
    ORDER BY l.owner_id <> $1, m.list_id, m.user_id LIMIT 4`,
    [userId]
  )

const titleOf = (random: Chance) =>
  `${random.pick(["Milk", "Rent", "Tent", "“Näh”", "It's \\ fine"])} ${random.int(100)}`

const roleOf = (random: Chance) => (random.chance(0.7) ? "editor" : "viewer")

/** What can be done to an item, each as often as it is here. */
const onItem: ReadonlyArray<
  (
    input: {
      readonly random: Chance
      readonly todos: ReadonlyArray<Todo>
      readonly lists: ReadonlyArray<{ id: string }>
    },
    item: Todo
  ) => Action.AnyOperation
> = [
  ({ random }, { id, done }) => todo.toggleTodo({ todoId: id, done: random.chance(0.8) ? !done : done }),
  ({ random }, { id, done }) => todo.toggleTodo({ todoId: id, done: random.chance(0.8) ? !done : done }),
  ({ random }, { id }) => todo.editTodo({ todoId: id, title: titleOf(random) }),
  ({ random, todos }, { id }) =>
    todo.moveTodo({ todoId: id, before: random.chance(0.2) ? null : random.pick(todos).id }),
  ({ random, lists, todos }, { id }) =>
    todo.transferTodo({
      todoId: id,
      listId: random.pick(lists).id,
      before: random.chance(0.6) ? null : random.pick(todos).id
    }),
  ({ random }, { id }) =>
    todo.setDue({ todoId: id, due: random.chance(0.2) ? null : `2026-11-1${random.int(10)}` }),
  (_, { id }) => todo.claimTodo({ todoId: id }),
  (_, { id }) => todo.claimTodo({ todoId: id }),
  (_, { id }) => todo.releaseTodo({ todoId: id })
]

/** Operations as one record, as `client.execute([a, b])` makes it. */
const together = (operations: ReadonlyArray<Action.AnyOperation>) =>
  Execution.batchOperation(
    app,
    operations.map(({ action: { name, version }, args }) => ({ name, version, args }))
  )

/** Removes an item; or takes its removal back, which others may have done; or both. */
const removing = async (query: Query, random: Chance, item: Todo, userId: string) => {
  const remove = todo.removeTodo({ todoId: item.id })
  const restore = (await planUndo(query, remove, userId))?.(undefined)
  if (restore === undefined) return remove
  return random.pick([remove, restore, together([remove, restore])])
}

export default defineScenario({
  app,
  users,
  seed,
  next: async ({ random, client, query }) => {
    const lists = await listsOf(query)
    const todos = await todosOf(query)
    const invitations = await invitationsOf(query, client.userId)
    const mine = lists.filter((list) => list.owner_id === client.userId)
    if (invitations.length > 0 && random.chance(0.3)) {
      const of = { listId: random.pick(invitations).list_id }
      return random.chance(0.75) ? acceptInvitation(of) : declineInvitation(of)
    }
    const roll = random.int(100)
    if (roll < 4)
      return lists.length < listsMax
        ? createList({ title: titleOf(random), openMax: 2 + random.int(4) })
        : undefined
    // Everything was taken away from the user, or nothing has come from the server yet.
    if (lists.length === 0) return undefined
    const list = random.pick(lists)
    /** Mostly the author's own list; who sees another's is not the author's to say. */
    const owned = () => (mine.length > 0 && random.chance(0.85) ? random.pick(mine) : list).id
    if (roll < 8) return renameList({ listId: list.id, title: titleOf(random) })
    if (roll < 15) return inviteToList({ listId: owned(), userId: random.pick(users), role: roleOf(random) })
    if (roll < 21) {
      const guests = await guestsOf(query, client.userId)
      if (guests.length === 0) return undefined
      const { list_id: listId, user_id: userId } = random.pick(guests)
      return roll < 19
        ? changeRole({ listId, userId, role: roleOf(random) })
        : unshareList({ listId, userId })
    }
    if (roll < 23) return leaveList({ listId: list.id })
    if (roll < 26) {
      const spare = mine.filter(({ id }) => !seeded.includes(id))
      return spare.length > 0 ? deleteList({ listId: random.pick(spare).id }) : undefined
    }
    if (roll < 45) return todo.addTodo({ listId: list.id, title: titleOf(random) })
    if (todos.length === 0) return undefined
    const item = random.pick(todos)
    if (roll < 51) return removing(query, random, item, client.userId)
    const input = { random, todos, lists }
    if (roll < 90) return random.pick(onItem)(input, item)
    // What one does to selected items.
    const act = random.pick(onItem)
    return together([item, random.pick(todos), random.pick(todos)].map((one) => act(input, one)))
  },
  external: async ({ random, query }) => {
    const todos = await todosOf(query)
    const lists = await listsOf(query)
    const todo = todos.length === 0 ? undefined : random.pick(todos)
    const list = lists.length === 0 ? undefined : random.pick(lists)
    switch (random.int(6)) {
      case 0:
        return todo && `UPDATE todos SET title = 'Corrected ${random.int(100)}' WHERE id = '${todo.id}'`
      case 1:
        return todo && `UPDATE todos SET done = true WHERE id = '${todo.id}'`
      case 2:
        return todo && `DELETE FROM todos WHERE list_id = '${todo.list_id}' AND done`
      case 3:
        return list && `UPDATE lists SET title = 'Moderated ${random.int(100)}' WHERE id = '${list.id}'`
      case 4:
        return list && `UPDATE lists SET open_max = ${2 + random.int(5)} WHERE id = '${list.id}'`
      default:
        // With its members and items, by cascade.
        return list && lists.length > 4 && !seeded.includes(list.id)
          ? `DELETE FROM lists WHERE id = '${list.id}'`
          : undefined
    }
  },
  membership: async ({ random, query }) => {
    const lists = await listsOf(query)
    if (lists.length === 0) return undefined
    const { id } = random.pick(lists)
    const user = random.pick(users)
    return random.chance(0.55)
      ? `INSERT INTO members (list_id, user_id, role) VALUES ('${id}', '${user}', '${roleOf(random)}') ON CONFLICT DO NOTHING`
      : `DELETE FROM members WHERE list_id = '${id}' AND user_id = '${user}' AND role <> 'owner'`
  },
  invariants: [
    {
      name: "no item without its list",
      sql: "SELECT t.id::text FROM todos AS t LEFT JOIN lists AS l ON l.id = t.list_id WHERE l.id IS NULL"
    },
    {
      name: "no member without its list",
      sql: "SELECT m.user_id FROM members AS m LEFT JOIN lists AS l ON l.id = m.list_id WHERE l.id IS NULL"
    },
    {
      name: "a list belongs to exactly one of its members",
      sql: `SELECT l.id FROM lists AS l LEFT JOIN members AS m ON m.list_id = l.id AND m.role = 'owner'
        GROUP BY l.id, l.owner_id HAVING count(m.user_id) <> 1 OR min(m.user_id) <> l.owner_id`
    },
    {
      name: "a viewer has claimed nothing that is open",
      sql: `SELECT t.id FROM todos AS t JOIN members AS m ON m.list_id = t.list_id AND m.user_id = t.assignee
        WHERE m.role = 'viewer' AND NOT t.done`
    },
    {
      // The greatest number that a list ever accepts; its own may be lowered below what is open already.
      name: "no list has more open items than lists accept",
      sql: "SELECT list_id FROM todos WHERE NOT done GROUP BY list_id HAVING count(*) > 6"
    }
  ]
})

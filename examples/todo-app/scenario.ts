/**
 * The app under simulation: three people and a few short lists that all of them edit, share and lose again. Run it with
 * `npm run sim -- --scenario examples/todo-app/scenario.ts`.
 */
import { defineScenario, type Scenario } from "@synchrotron/sync-testing"
import { app } from "./src/app.ts"
import { createList, renameList, shareList, unshareList } from "./src/domain/lists.ts"
import {
  addTodo,
  claimTodo,
  editTodo,
  moveTodo,
  releaseTodo,
  removeTodo,
  toggleTodo
} from "./src/domain/todos.ts"

type Chance = Parameters<Scenario["next"]>[0]["random"]
type Query = Parameters<Scenario["next"]>[0]["query"]

const users = ["alice", "bob", "carol"]
const listId = (n: number) => `00000000-0000-4000-8000-00000000000${n}`
const listsMax = 6

const seed = `
INSERT INTO lists (id, title, owner_id, open_max) VALUES
  ('${listId(1)}', 'Groceries', 'alice', 4), ('${listId(2)}', 'Chores', 'bob', 3), ('${listId(3)}', 'Trip', 'carol', 6);
INSERT INTO members (list_id, user_id, role) VALUES
  ('${listId(1)}', 'alice', 'owner'), ('${listId(1)}', 'bob', 'member'), ('${listId(1)}', 'carol', 'member'),
  ('${listId(2)}', 'bob', 'owner'), ('${listId(2)}', 'alice', 'member'), ('${listId(3)}', 'carol', 'owner');
INSERT INTO todos (list_id, title, position, created_by) VALUES ('${listId(1)}', 'Milk', 1, 'alice'), ('${listId(1)}', 'Bread', 2, 'bob');
`

const listsOf = (query: Query) =>
  query<{ id: string; owner_id: string }>("SELECT id, owner_id FROM lists ORDER BY id")

const todosOf = (query: Query) =>
  query<{ id: string; list_id: string; done: boolean }>("SELECT id, list_id, done FROM todos ORDER BY id")

const titleOf = (random: Chance) =>
  `${random.pick(["Milk", "Rent", "Tent", "“Näh”", "It's \\ fine"])} ${random.int(100)}`

export default defineScenario({
  app,
  users,
  seed,
  next: async ({ random, client, query }) => {
    const lists = await listsOf(query)
    const todos = await todosOf(query)
    const mine = lists.filter((list) => list.owner_id === client.userId)
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
    if (roll < 14) return shareList({ listId: owned(), userId: random.pick(users) })
    if (roll < 18) return unshareList({ listId: owned(), userId: random.pick(users) })
    if (roll < 44) return addTodo({ listId: list.id, title: titleOf(random) })
    if (todos.length === 0) return undefined
    const todo = random.pick(todos)
    if (roll < 58) return toggleTodo({ todoId: todo.id, done: random.chance(0.8) ? !todo.done : todo.done })
    if (roll < 66) return editTodo({ todoId: todo.id, title: titleOf(random) })
    if (roll < 78) {
      const before = random.pick(todos)
      return moveTodo({ todoId: todo.id, before: random.chance(0.2) ? null : before.id })
    }
    if (roll < 84) return removeTodo({ todoId: todo.id })
    if (roll < 95) return claimTodo({ todoId: todo.id })
    return releaseTodo({ todoId: todo.id })
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
        // With its members and items, by cascade; the first ones stay, so that there is always something to do.
        return list && lists.length > 4 && ![1, 2, 3].some((n) => list.id === listId(n))
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
      ? `INSERT INTO members (list_id, user_id) VALUES ('${id}', '${user}') ON CONFLICT DO NOTHING`
      : `DELETE FROM members WHERE list_id = '${id}' AND user_id = '${user}' AND role <> 'owner'`
  },
  invariants: [
    {
      name: "no item and no member without its list",
      sql: `SELECT t.id::text FROM todos AS t LEFT JOIN lists AS l ON l.id = t.list_id WHERE l.id IS NULL
        UNION ALL SELECT m.user_id FROM members AS m LEFT JOIN lists AS l ON l.id = m.list_id WHERE l.id IS NULL`
    },
    {
      name: "a list belongs to exactly one of its members",
      sql: `SELECT l.id FROM lists AS l LEFT JOIN members AS m ON m.list_id = l.id AND m.role = 'owner'
        GROUP BY l.id, l.owner_id HAVING count(m.user_id) <> 1 OR min(m.user_id) <> l.owner_id`
    },
    {
      // The greatest number that a list ever accepts; its own may be lowered below what is open already.
      name: "no list has more open items than lists accept",
      sql: "SELECT list_id FROM todos WHERE NOT done GROUP BY list_id HAVING count(*) > 6"
    }
  ]
})

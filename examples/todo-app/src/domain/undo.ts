/**
 * Taking back one's own last action: by a new action that does the opposite, which others see like any other.
 *
 * What the opposite is has to be read before the action runs ({@link planUndo}); some of it, such as the id of a new item,
 * is known only afterwards. A new list has none: deleting it would take it from everybody who has joined it meanwhile.
 */
import type { Action } from "@synchrotron/sync-core"
import { renameList } from "./lists.ts"
import { changeRole } from "./sharing.ts"
import {
  addTodo,
  claimTodo,
  editTodo,
  moveTodo,
  releaseTodo,
  removeTodo,
  restoreTodo,
  setDue,
  toggleTodo,
  transferTodo
} from "./todos.ts"

export type Query = <Row extends object>(
  sql: string,
  params?: ReadonlyArray<unknown>
) => Promise<ReadonlyArray<Row>>

/** Gives the opposite, once it is known what the action returned; undefined where there is nothing to take back. */
export type Undo = (result: unknown) => Action.AnyOperation | undefined

/** Reads what taking the operation back needs. To be called before it runs; undefined when it cannot be taken back. */
export const planUndo = async (
  query: Query,
  operation: Action.AnyOperation,
  me: string
): Promise<Undo | undefined> =>
  plans[operation.action.name]?.(query, operation.args as Record<string, unknown>, me)

/** As {@link planUndo} for operations that run together; the last is taken back first. */
export const planUndoAll = async (
  query: Query,
  operations: ReadonlyArray<Action.AnyOperation>,
  me: string
): Promise<((results: ReadonlyArray<unknown>) => ReadonlyArray<Action.AnyOperation>) | undefined> => {
  const undos = await Promise.all(operations.map((operation) => planUndo(query, operation, me)))
  if (undos.some((undo) => undo === undefined)) return undefined
  return (results) => undos.flatMap((undo, index) => undo?.(results[index]) ?? []).reverse()
}

interface Item {
  readonly list_id: string
  readonly title: string
  readonly done: boolean
  readonly due: string | null
  readonly assignee: string | null
  readonly next: string | null
}

const itemOf = async (query: Query, todoId: unknown): Promise<Item | undefined> => {
  const [item] = await query<Item>(
    `SELECT list_id, title, done, due::text AS due, assignee,
      (SELECT n.id FROM todos n WHERE n.list_id = t.list_id AND (n.position, n.id) > (t.position, t.id)
        ORDER BY n.position, n.id LIMIT 1) AS next
    FROM todos t WHERE id = $1`,
    [todoId]
  )
  return item
}

type Plan = (query: Query, args: Record<string, unknown>, me: string) => Promise<Undo | undefined>

/** For operations on one item. */
const ofItem =
  (
    opposite: (item: Item, todoId: string, args: Record<string, unknown>, me: string) => ReturnType<Undo>
  ): Plan =>
  async (query, args, me) => {
    const item = await itemOf(query, args.todoId)
    return item === undefined ? undefined : () => opposite(item, args.todoId as string, args, me)
  }

const plans: Readonly<Record<string, Plan>> = {
  [addTodo.actionName]: async () => (id) => removeTodo({ todoId: id as string }),
  [toggleTodo.actionName]: ofItem((item, todoId, { done }) =>
    item.done === done ? undefined : toggleTodo({ todoId, done: item.done })
  ),
  [editTodo.actionName]: ofItem((item, todoId) => editTodo({ todoId, title: item.title })),
  [setDue.actionName]: ofItem((item, todoId) => setDue({ todoId, due: item.due })),
  [moveTodo.actionName]: ofItem((item, todoId) => moveTodo({ todoId, before: item.next })),
  [transferTodo.actionName]: ofItem((item, todoId) =>
    transferTodo({ todoId, listId: item.list_id, before: item.next })
  ),
  [removeTodo.actionName]: ofItem((item, todoId, _, me) =>
    restoreTodo({
      todoId,
      listId: item.list_id,
      title: item.title,
      done: item.done,
      due: item.due,
      mine: item.assignee === me,
      before: item.next
    })
  ),
  [claimTodo.actionName]: ofItem((item, todoId) =>
    item.assignee === null ? releaseTodo({ todoId }) : undefined
  ),
  [releaseTodo.actionName]: ofItem((_, todoId) => claimTodo({ todoId })),
  [renameList.actionName]: async (query, { listId }) => {
    const [list] = await query<{ title: string }>("SELECT title FROM lists WHERE id = $1", [listId])
    return list && (() => renameList({ listId: listId as string, title: list.title }))
  },
  [changeRole.actionName]: async (query, { listId, userId }) => {
    const [member] = await query<{ role: "editor" | "viewer" }>(
      "SELECT role FROM members WHERE list_id = $1 AND user_id = $2 AND role <> 'owner'",
      [listId, userId]
    )
    return (
      member && (() => changeRole({ listId: listId as string, userId: userId as string, role: member.role }))
    )
  }
}

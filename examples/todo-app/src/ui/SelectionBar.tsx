/** What can be done to all selected items: each as one record, all or nothing. */
import type { Action } from "@synchrotron/sync-core"
import { removeTodo, toggleTodo, transferTodo } from "../domain/todos.ts"
import type { ListRow, TodoRow } from "./data.ts"
import { useWorkspace } from "./workspace.ts"

export function SelectionBar(props: {
  /** The selected ones. */
  readonly todos: ReadonlyArray<TodoRow>
  readonly list: ListRow
  readonly lists: ReadonlyArray<ListRow>
  readonly onAll: () => void
  readonly onEnd: () => void
}) {
  const { todos } = props
  const { attempt } = useWorkspace()
  const none = todos.length === 0
  const targets = props.lists.filter((list) => list.id !== props.list.id && list.role !== "viewer")
  const all = async (said: string, operation: (todo: TodoRow) => Action.AnyOperation) => {
    const done = await attempt(
      todos.map(operation),
      `${todos.length === 1 ? "1 item" : `${todos.length} items`} ${said}`
    )
    if (done !== undefined) props.onEnd()
  }
  return (
    <div className="selection" role="toolbar" aria-label="Selected items" data-testid="selection">
      <span className="selection-count" role="status">
        {todos.length} selected
      </span>
      <button type="button" className="button quiet" data-testid="select-all" onClick={props.onAll}>
        All
      </button>
      <button
        type="button"
        className="button"
        data-testid="complete-all"
        disabled={none}
        onClick={() => all("done", ({ id }) => toggleTodo({ todoId: id, done: true }))}
      >
        Complete
      </button>
      {targets.length > 0 && (
        <select
          aria-label="Move to list"
          data-testid="move-all"
          disabled={none}
          value=""
          onChange={(event) => {
            const listId = event.currentTarget.value
            const title = targets.find((list) => list.id === listId)?.title
            void all(`moved to “${title}”`, ({ id }) => transferTodo({ todoId: id, listId, before: null }))
          }}
        >
          <option value="" disabled>
            Move to…
          </option>
          {targets.map((list) => (
            <option key={list.id} value={list.id}>
              {list.title}
            </option>
          ))}
        </select>
      )}
      <button
        type="button"
        className="button danger"
        data-testid="delete-all"
        disabled={none}
        onClick={() => all("removed", ({ id }) => removeTodo({ todoId: id }))}
      >
        Delete
      </button>
      <button type="button" className="button quiet" data-testid="select-end" onClick={props.onEnd}>
        Cancel
      </button>
    </div>
  )
}

/** What can be done to all selected items: each as one record, all or nothing. */
import type { Action } from "@synchrotron/sync-core"
import { useState } from "react"
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
  const [chosen, choose] = useState("")
  const none = todos.length === 0
  const targets = props.lists.filter((list) => list.id !== props.list.id && list.role !== "viewer")
  const target = targets.find((list) => list.id === chosen)
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
        <>
          {/* Arrow keys choose one after the other: moving is a step of its own. */}
          <select
            aria-label="List to move to"
            data-testid="move-to"
            disabled={none}
            value={target?.id ?? ""}
            onChange={(event) => choose(event.currentTarget.value)}
          >
            <option value="" disabled>
              To list…
            </option>
            {targets.map((list) => (
              <option key={list.id} value={list.id}>
                {list.title}
              </option>
            ))}
          </select>
          <button
            type="button"
            className="button"
            data-testid="move-all"
            disabled={none || target === undefined}
            onClick={() =>
              target &&
              all(`moved to “${target.title}”`, ({ id }) =>
                transferTodo({ todoId: id, listId: target.id, before: null })
              )
            }
          >
            Move
          </button>
        </>
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

/** One item: its state, its title, who takes care of it, and what can be done with it. */
import { useState } from "react"
import { nameOf } from "../domain/people.ts"
import { Avatar } from "./Avatar.tsx"
import type { TodoRow as Todo } from "./data.ts"
import { EditableText } from "./EditableText.tsx"
import { CheckIcon, DownIcon, MoreIcon, TrashIcon, UpIcon } from "./icons.tsx"

export interface TodoCommands {
  readonly toggle: (todo: Todo, done: boolean) => void
  readonly edit: (todo: Todo, title: string) => void
  readonly remove: (todo: Todo) => void
  readonly claim: (todo: Todo) => void
  readonly release: (todo: Todo) => void
  readonly moveUp: (todo: Todo) => void
  readonly moveDown: (todo: Todo) => void
}

export function TodoRow(props: {
  readonly todo: Todo
  readonly viewer: string
  /** The server has not judged this person's last change of the item. */
  readonly pending: boolean
  readonly first: boolean
  readonly last: boolean
  readonly commands: TodoCommands
}) {
  const { todo, viewer, pending, commands } = props
  const [editing, setEditing] = useState(false)
  const [more, setMore] = useState(false)
  return (
    <li
      className="todo"
      data-testid="todo"
      data-title={todo.title}
      data-done={todo.done}
      data-pending={pending}
      data-assignee={todo.assignee ?? ""}
      data-more={more}
      data-editing={editing}
    >
      <label className="tick">
        <input
          type="checkbox"
          data-testid="toggle"
          checked={todo.done}
          onChange={(event) => commands.toggle(todo, event.currentTarget.checked)}
        />
        <span className="tick-box">{todo.done && <CheckIcon />}</span>
        <span className="visually-hidden">{todo.title} done</span>
      </label>

      <div className="todo-text">
        <EditableText
          value={todo.title}
          label="Item"
          editing={editing}
          onEditing={setEditing}
          onSave={(title) => commands.edit(todo, title)}
        />
        <span className="todo-by">
          Added by {todo.created_by === viewer ? "you" : nameOf(todo.created_by)}
        </span>
      </div>

      <div className="todo-end">
        <div className="todo-actions">
          {!todo.done && (
            <>
              <button
                type="button"
                className="icon-button"
                data-testid="up"
                aria-label={`Move ${todo.title} up`}
                disabled={props.first}
                onClick={() => commands.moveUp(todo)}
              >
                <UpIcon />
              </button>
              <button
                type="button"
                className="icon-button"
                data-testid="down"
                aria-label={`Move ${todo.title} down`}
                disabled={props.last}
                onClick={() => commands.moveDown(todo)}
              >
                <DownIcon />
              </button>
            </>
          )}
          <button
            type="button"
            className="icon-button danger"
            data-testid="remove"
            aria-label={`Remove ${todo.title}`}
            onClick={() => commands.remove(todo)}
          >
            <TrashIcon />
          </button>
        </div>

        <Claim todo={todo} viewer={viewer} commands={commands} />
      </div>

      <span
        className="record-state"
        role="img"
        aria-label={pending ? "Waiting to be synced" : "Confirmed by the server"}
        title={pending ? "Waiting to be synced" : "Confirmed by the server"}
      >
        {pending ? <span className="waiting-dot" /> : <CheckIcon />}
      </span>

      <button
        type="button"
        className="icon-button more"
        aria-label={`More for ${todo.title}`}
        aria-expanded={more}
        onClick={() => setMore(!more)}
      >
        <MoreIcon />
      </button>
    </li>
  )
}

function Claim(props: { readonly todo: Todo; readonly viewer: string; readonly commands: TodoCommands }) {
  const { todo, viewer, commands } = props
  if (todo.assignee === viewer) {
    return (
      <button
        type="button"
        className="claim mine"
        data-testid="release"
        title="Give it back"
        onClick={() => commands.release(todo)}
      >
        <Avatar person={viewer} viewer={viewer} />
        <span className="claim-name">You</span>
        <span className="visually-hidden">, give {todo.title} back</span>
      </button>
    )
  }
  if (todo.assignee !== null) {
    return (
      <span className="claim">
        <Avatar person={todo.assignee} viewer={viewer} />
        <span className="claim-name">{nameOf(todo.assignee)}</span>
      </span>
    )
  }
  if (todo.done) return <span />
  return (
    <button type="button" className="claim free" data-testid="claim" onClick={() => commands.claim(todo)}>
      Claim<span className="visually-hidden"> {todo.title}</span>
    </button>
  )
}

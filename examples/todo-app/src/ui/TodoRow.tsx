/** One item: its state, its title, who takes care of it, and what can be done with it. */
import { type Ref, useState } from "react"
import { nameOf } from "../domain/people.ts"
import { Avatar } from "./Avatar.tsx"
import { Due } from "./Due.tsx"
import { DueField } from "./DueField.tsx"
import type { TodoRow as Todo } from "./data.ts"
import { EditableText } from "./EditableText.tsx"
import { CalendarIcon, CheckIcon, DownIcon, GripIcon, MoreIcon, TrashIcon, UpIcon } from "./icons.tsx"
import { useFocusBack } from "./useFocusBack.ts"
import type { ReorderHandle } from "./useReorder.ts"

export interface TodoCommands {
  readonly toggle: (todo: Todo, done: boolean) => void
  readonly edit: (todo: Todo, title: string) => void
  readonly due: (todo: Todo, due: string | null) => void
  readonly remove: (todo: Todo) => void
  readonly claim: (todo: Todo) => void
  readonly release: (todo: Todo) => void
  readonly moveUp: (todo: Todo) => void
  readonly moveDown: (todo: Todo) => void
  readonly select: (todo: Todo, chosen: boolean) => void
}

interface Props {
  readonly todo: Todo
  readonly viewer: string
  readonly editable: boolean
  /** Undefined while nothing is being selected. */
  readonly selected: boolean | undefined
  /** The server has not judged this person's last change of the item. */
  readonly pending: boolean
  readonly first: boolean
  readonly last: boolean
  readonly commands: TodoCommands
  /** Of an item that can be put in order: where it stands, whether it is lifted, and its handle. */
  readonly place?: number
  readonly lifted?: boolean
  readonly handle?: ReorderHandle
}

export function TodoRow(props: Props) {
  const { todo, viewer, editable, selected, pending, commands } = props
  const [editing, setEditing] = useState(false)
  const [dating, setDating] = useState(false)
  const dateButton = useFocusBack(dating)
  const [more, setMore] = useState(false)
  const acting = editable && selected === undefined
  return (
    <li
      className="todo"
      // Where its text is no button, a search that finds it gives the focus to the row.
      tabIndex={acting ? undefined : -1}
      style={props.place === undefined ? undefined : { order: props.place }}
      data-testid="todo"
      data-id={todo.id}
      data-title={todo.title}
      data-done={todo.done}
      data-pending={pending}
      data-assignee={todo.assignee ?? ""}
      data-more={more}
      data-editing={editing || dating}
      data-lifted={props.lifted ?? false}
      data-selected={selected ?? false}
    >
      {selected !== undefined ? (
        <label className="choose">
          <input
            type="checkbox"
            data-testid="choose"
            checked={selected}
            onChange={(event) => commands.select(todo, event.currentTarget.checked)}
          />
          <span className="visually-hidden">Select {todo.title}</span>
        </label>
      ) : acting && props.handle === undefined ? (
        <span className="grip-space" />
      ) : (
        acting && (
          <button
            type="button"
            className="grip"
            data-testid="grip"
            aria-label={`Reorder ${todo.title}`}
            title="Drag, or press Space and use the arrow keys"
            {...props.handle}
          >
            <GripIcon />
          </button>
        )
      )}
      <label className="tick">
        <input
          type="checkbox"
          data-testid="toggle"
          checked={todo.done}
          disabled={!acting}
          onChange={(event) => commands.toggle(todo, event.currentTarget.checked)}
        />
        <span className="tick-box">{todo.done && <CheckIcon />}</span>
        <span className="visually-hidden">{todo.title} done</span>
      </label>

      <div className="todo-text">
        {acting ? (
          <EditableText
            value={todo.title}
            label="Item"
            editing={editing}
            onEditing={setEditing}
            onSave={(title) => commands.edit(todo, title)}
          />
        ) : (
          <span className="todo-title">{todo.title}</span>
        )}
        {dating ? (
          <DueField
            todo={todo}
            onSave={(due) => {
              setDating(false)
              if (due !== todo.due) commands.due(todo, due)
            }}
            onCancel={() => setDating(false)}
          />
        ) : (
          <span className="todo-by">
            <Due due={todo.due} done={todo.done} /> Added by{" "}
            {todo.created_by === viewer ? "you" : nameOf(todo.created_by)}
          </span>
        )}
      </div>

      <div className="todo-end">
        {acting && (
          <div className="todo-actions">
            {!todo.done && (
              <>
                <IconButton
                  test="up"
                  label={`Move ${todo.title} up`}
                  off={props.first}
                  onClick={() => commands.moveUp(todo)}
                >
                  <UpIcon />
                </IconButton>
                <IconButton
                  test="down"
                  label={`Move ${todo.title} down`}
                  off={props.last}
                  onClick={() => commands.moveDown(todo)}
                >
                  <DownIcon />
                </IconButton>
              </>
            )}
            <IconButton
              ref={dateButton}
              test="due-edit"
              label={`Due date of ${todo.title}`}
              onClick={() => setDating(true)}
            >
              <CalendarIcon />
            </IconButton>
            <IconButton test="remove" label={`Remove ${todo.title}`} onClick={() => commands.remove(todo)}>
              <TrashIcon />
            </IconButton>
          </div>
        )}
        <Claim todo={todo} viewer={viewer} acting={acting} commands={commands} />
      </div>

      <span
        className="record-state"
        role="img"
        aria-label={pending ? "Waiting to be synced" : "Confirmed by the server"}
        title={pending ? "Waiting to be synced" : "Confirmed by the server"}
      >
        {pending ? <span className="waiting-dot" /> : <CheckIcon />}
      </span>

      {acting && (
        <button
          type="button"
          className="icon-button more"
          aria-label={`More for ${todo.title}`}
          aria-expanded={more}
          onClick={() => setMore(!more)}
        >
          <MoreIcon />
        </button>
      )}
    </li>
  )
}

function IconButton(props: {
  readonly ref?: Ref<HTMLButtonElement>
  readonly test: string
  readonly label: string
  readonly off?: boolean
  readonly onClick: () => void
  readonly children: React.ReactNode
}) {
  return (
    <button
      ref={props.ref}
      type="button"
      className={props.test === "remove" ? "icon-button danger" : "icon-button"}
      data-testid={props.test}
      aria-label={props.label}
      disabled={props.off}
      onClick={props.onClick}
    >
      {props.children}
    </button>
  )
}

function Claim(props: Pick<Props, "todo" | "viewer" | "commands"> & { readonly acting: boolean }) {
  const { todo, viewer, commands } = props
  if (todo.assignee === viewer && props.acting) {
    return (
      <button
        type="button"
        className="claim mine"
        data-testid="release"
        title="Give it back"
        onClick={() => commands.release(todo)}
      >
        <Avatar person={viewer} />
        <span className="claim-name">You</span>
        <span className="visually-hidden">, give {todo.title} back</span>
      </button>
    )
  }
  if (todo.assignee !== null) {
    return (
      <span className="claim">
        <Avatar person={todo.assignee} />
        <span className="claim-name">{todo.assignee === viewer ? "You" : nameOf(todo.assignee)}</span>
      </span>
    )
  }
  if (todo.done || !props.acting) return null
  return (
    <button type="button" className="claim free" data-testid="claim" onClick={() => commands.claim(todo)}>
      Claim<span className="visually-hidden"> {todo.title}</span>
    </button>
  )
}

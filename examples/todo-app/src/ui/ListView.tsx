/** One list: its heading and rule, the open items in order, the done ones, and the box for a new one. */
import { type FormEvent, type ReactNode, useState } from "react"
import { renameList, shareList, unshareList } from "../domain/lists.ts"
import { nameOf, people } from "../domain/people.ts"
import {
  addTodo,
  claimTodo,
  editTodo,
  moveTodo,
  releaseTodo,
  removeTodo,
  toggleTodo
} from "../domain/todos.ts"
import { type Attempt, type ListRow, usePendingRecords, useTodos } from "./data.ts"
import { EditableText } from "./EditableText.tsx"
import { Meter } from "./Meter.tsx"
import { type TodoCommands, TodoRow } from "./TodoRow.tsx"

export function ListView(props: {
  readonly list: ListRow
  readonly viewer: string
  readonly attempt: Attempt
  /** Shown below the box for a new item. */
  readonly children?: ReactNode
}) {
  const { list, viewer, attempt } = props
  const { rows: todos, state } = useTodos(list.id)
  const pending = usePendingRecords()
  const open = todos.filter((todo) => !todo.done)
  const done = todos.filter((todo) => todo.done)

  const commands: TodoCommands = {
    toggle: (todo, done) => attempt(toggleTodo({ todoId: todo.id, done })),
    edit: (todo, title) => attempt(editTodo({ todoId: todo.id, title })),
    remove: (todo) => attempt(removeTodo({ todoId: todo.id })),
    claim: (todo) => attempt(claimTodo({ todoId: todo.id })),
    release: (todo) => attempt(releaseTodo({ todoId: todo.id })),
    moveUp: (todo) => move(todo.id, -1),
    moveDown: (todo) => move(todo.id, 2)
  }
  const move = (todoId: string, offset: -1 | 2) => {
    const place = open.findIndex((todo) => todo.id === todoId)
    attempt(moveTodo({ todoId, before: open[place + offset]?.id ?? null }))
  }
  const row = (todo: (typeof todos)[number], index: number, all: typeof todos) => (
    <TodoRow
      key={todo.id}
      todo={todo}
      viewer={viewer}
      pending={todo.last_record !== null && pending.has(todo.last_record)}
      first={index === 0}
      last={index === all.length - 1}
      commands={commands}
    />
  )

  return (
    <section className="list" aria-label={list.title}>
      <ListHeading list={list} viewer={viewer} attempt={attempt} />
      <Meter open={open.length} max={list.open_max} />
      {open.length === 0 && state !== "loading" && <p className="nothing">Nothing left to do.</p>}
      <ul className="todos" data-testid="open-todos" aria-label="Open items">
        {open.map(row)}
      </ul>
      <AddTodo onAdd={(title) => attempt(addTodo({ listId: list.id, title }))} listTitle={list.title} />
      {props.children}
      {done.length > 0 && (
        <>
          <h3 className="done-heading">Done</h3>
          <ul className="todos" data-testid="done-todos" aria-label="Done items">
            {done.map(row)}
          </ul>
        </>
      )}
    </section>
  )
}

function ListHeading(props: { readonly list: ListRow; readonly viewer: string; readonly attempt: Attempt }) {
  const { list, viewer, attempt } = props
  const [editing, setEditing] = useState(false)
  return (
    <header className="list-heading">
      <h2>
        <EditableText
          value={list.title}
          label="List name"
          editing={editing}
          onEditing={setEditing}
          onSave={(title) => attempt(renameList({ listId: list.id, title }))}
        />
      </h2>
      {list.owner_id === viewer ? (
        people
          .filter((person) => person.id !== viewer)
          .map((person) =>
            list.members.includes(person.id) ? (
              <button
                key={person.id}
                type="button"
                className="button quiet"
                data-testid="unshare"
                onClick={() => attempt(unshareList({ listId: list.id, userId: person.id }))}
              >
                Stop sharing
              </button>
            ) : (
              <button
                key={person.id}
                type="button"
                className="button"
                data-testid="share"
                onClick={() => attempt(shareList({ listId: list.id, userId: person.id }))}
              >
                Share with {person.name}
              </button>
            )
          )
      ) : (
        <span className="shared-by">Shared by {nameOf(list.owner_id)}</span>
      )}
    </header>
  )
}

function AddTodo(props: { readonly onAdd: (title: string) => void; readonly listTitle: string }) {
  const [title, setTitle] = useState("")
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const text = title.trim()
    if (text === "") return
    setTitle("")
    props.onAdd(text)
  }
  return (
    <form className="add" onSubmit={submit}>
      <input
        data-testid="add-title"
        aria-label={`Add an item to ${props.listTitle}`}
        placeholder="Add an item"
        value={title}
        maxLength={120}
        enterKeyHint="done"
        onChange={(event) => setTitle(event.currentTarget.value)}
      />
      <button type="submit" className="button primary" data-testid="add" disabled={title.trim() === ""}>
        Add
      </button>
    </form>
  )
}

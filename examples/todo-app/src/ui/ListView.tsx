/** One list: its heading and rule, the open items in order, the done ones, and the box for a new one. */
import { type FormEvent, useEffect, useLayoutEffect, useRef, useState } from "react"
import {
  addTodo,
  claimTodo,
  editTodo,
  moveTodo,
  releaseTodo,
  removeTodo,
  setDue,
  toggleTodo
} from "../domain/todos.ts"
import { type ListRow, type TodoRow as Todo, usePendingRecords, useTodos } from "./data.ts"
import { ListHeading } from "./ListHeading.tsx"
import { Meter } from "./Meter.tsx"
import { SelectionBar } from "./SelectionBar.tsx"
import { type TodoCommands, TodoRow } from "./TodoRow.tsx"
import { useReorder } from "./useReorder.ts"
import { useWorkspace } from "./workspace.ts"

export function ListView(props: {
  readonly list: ListRow
  /** All lists, for moving items between them. */
  readonly lists: ReadonlyArray<ListRow>
  /** An item that was asked for, to be brought into sight. */
  readonly focus: string | undefined
}) {
  const { list } = props
  const { viewer, attempt, announce } = useWorkspace()
  const { rows: todos, state } = useTodos(list.id)
  const pending = usePendingRecords()
  const [selection, setSelection] = useState<ReadonlySet<string>>()
  const section = useRef<HTMLElement>(null)
  const open = todos.filter((todo) => !todo.done)
  const done = todos.filter((todo) => todo.done)
  const editable = list.role !== "viewer"
  const keepFocus = useFocusKeeper(section, todos)
  useFocusOn(section, props.focus, todos.length > 0)

  const move = (todoId: string, before: string | null) => attempt(moveTodo({ todoId, before }), "Moved")
  const reorder = useReorder({
    ids: open.map((todo) => todo.id),
    titleOf: (id) => todos.find((todo) => todo.id === id)?.title ?? "",
    move,
    announce
  })
  const step = (todo: Todo, offset: -1 | 2) =>
    move(todo.id, open[open.findIndex((one) => one.id === todo.id) + offset]?.id ?? null)
  const commands: TodoCommands = {
    toggle: (todo, done) => {
      keepFocus(todo, todo.done ? todos : open)
      void attempt(
        toggleTodo({ todoId: todo.id, done }),
        done ? `“${todo.title}” done` : `“${todo.title}” open again`
      )
    },
    edit: (todo, title) => attempt(editTodo({ todoId: todo.id, title }), `Renamed to “${title}”`),
    due: (todo, due) =>
      attempt(setDue({ todoId: todo.id, due }), due === null ? "No due date" : "Due date set"),
    remove: (todo) => {
      keepFocus(todo, todo.done ? done : open)
      void attempt(removeTodo({ todoId: todo.id }), `“${todo.title}” removed`)
    },
    claim: (todo) => attempt(claimTodo({ todoId: todo.id }), `“${todo.title}” is yours`),
    release: (todo) => attempt(releaseTodo({ todoId: todo.id }), `“${todo.title}” given back`),
    moveUp: (todo) => step(todo, -1),
    moveDown: (todo) => step(todo, 2),
    select: (todo, chosen) =>
      setSelection((now = new Set()) => {
        const next = new Set(now)
        if (chosen) next.add(todo.id)
        else next.delete(todo.id)
        return next
      })
  }
  const row = (todo: Todo, index: number, all: ReadonlyArray<Todo>) => (
    <TodoRow
      key={todo.id}
      todo={todo}
      viewer={viewer}
      editable={editable}
      selected={selection?.has(todo.id)}
      pending={todo.last_record !== null && pending.has(todo.last_record)}
      first={index === 0}
      last={index === all.length - 1}
      commands={commands}
      {...(todo.done
        ? {}
        : {
            place: reorder.placeOf(todo.id),
            lifted: reorder.lifted === todo.id,
            handle: reorder.handle(todo.id)
          })}
    />
  )

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it hears the keys of what is inside
    <section
      ref={section}
      className="list"
      onKeyDown={(event) => {
        if (event.key === "Escape" && !event.defaultPrevented) setSelection(undefined)
      }}
    >
      <ListHeading
        list={list}
        selecting={selection !== undefined}
        onSelecting={
          editable && todos.length > 0
            ? () => setSelection(selection === undefined ? new Set() : undefined)
            : undefined
        }
      />
      <Meter open={open.length} max={list.open_max} />
      {open.length === 0 && state !== "loading" && <p className="nothing">Nothing left to do.</p>}
      <ul className="todos" ref={reorder.list} data-testid="open-todos" aria-label="Open items">
        {open.map(row)}
      </ul>
      {editable && (
        <AddTodo onAdd={(title) => attempt(addTodo({ listId: list.id, title }))} listTitle={list.title} />
      )}
      {done.length > 0 && (
        <>
          <h3 className="done-heading">Done</h3>
          <ul className="todos" data-testid="done-todos" aria-label="Done items">
            {done.map(row)}
          </ul>
        </>
      )}
      {selection !== undefined && (
        <SelectionBar
          todos={todos.filter((todo) => selection.has(todo.id))}
          list={list}
          lists={props.lists}
          onAll={() => setSelection(new Set(todos.map((todo) => todo.id)))}
          onEnd={() => setSelection(undefined)}
        />
      )}
    </section>
  )
}

/** When the row that has the focus leaves its list, its neighbour gets it; when none is left, the box for a new item. */
const useFocusKeeper = (section: { readonly current: HTMLElement | null }, todos: ReadonlyArray<Todo>) => {
  const next = useRef<string>(undefined)
  // Rows that changed may have taken the focus with them.
  useLayoutEffect(() => {
    if (next.current === undefined || document.activeElement !== document.body) return
    const row = section.current?.querySelector<HTMLElement>(`[data-id="${next.current}"] input`)
    const box = section.current?.querySelector<HTMLElement>("[data-testid=add-title]")
    ;(row ?? box)?.focus()
    next.current = undefined
  }, [todos])
  return (leaving: Todo, among: ReadonlyArray<Todo>) => {
    const place = among.findIndex((todo) => todo.id === leaving.id)
    next.current = (among[place + 1] ?? among[place - 1])?.id ?? "none"
  }
}

/** Brings an item into sight and gives it the focus, once it is there. */
const useFocusOn = (
  section: { readonly current: HTMLElement | null },
  todoId: string | undefined,
  there: boolean
) => {
  useEffect(() => {
    if (!there || todoId === undefined) return
    const row = section.current?.querySelector<HTMLElement>(`[data-id="${todoId}"]`)
    ;(row?.querySelector<HTMLElement>(".todo-text button") ?? row)?.focus()
  }, [section, todoId, there])
}

function AddTodo(props: {
  /** Resolves to undefined when the item was refused. */
  readonly onAdd: (title: string) => Promise<unknown>
  readonly listTitle: string
}) {
  const [title, setTitle] = useState("")
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const text = title.trim()
    if (text === "") return
    setTitle("")
    // What was refused is not to be typed again, unless the next is being typed already.
    if ((await props.onAdd(text)) === undefined) setTitle((now) => (now === "" ? text : now))
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

/** Search, the lists that this person sees, and a small form for a new one. A drawer where there is no room for it. */
import { type FormEvent, useState } from "react"
import { nameOf } from "../domain/people.ts"
import { inColourOf } from "./Avatar.tsx"
import type { JoiningRow, ListRow } from "./data.ts"
import { CloseIcon, LockIcon, PlusIcon, SearchIcon } from "./icons.tsx"
import { useWorkspace } from "./workspace.ts"

export function Sidebar(props: {
  readonly id: string
  readonly rows: ReadonlyArray<ListRow | JoiningRow>
  readonly selected: string | undefined
  readonly search: string
  readonly onSearch: (text: string) => void
  /** Closes the drawer. */
  readonly onClose: () => void
  readonly onSelect: (listId: string) => void
  readonly onCreate: (list: { readonly title: string; readonly openMax: number }) => void
}) {
  const { rows, selected, search } = props
  const { viewer } = useWorkspace()
  const [creating, setCreating] = useState(false)
  return (
    <nav id={props.id} className="sidebar" aria-label={`Lists of ${nameOf(viewer)}`} popover="auto">
      <button type="button" className="icon-button drawer-close" aria-label="Close" onClick={props.onClose}>
        <CloseIcon />
      </button>
      <label className="search">
        <SearchIcon />
        <input
          type="search"
          data-testid="search"
          aria-label="Search all lists"
          placeholder="Search"
          value={search}
          onChange={(event) => props.onSearch(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") props.onSearch("")
            if (event.key === "Enter") props.onClose()
          }}
        />
      </label>
      <ul>
        {rows.map((row) => (
          <li key={row.id}>
            {row.title === null ? (
              <span className="list-joining">Joining a list…</span>
            ) : (
              <ListLink list={row} current={row.id === selected} onSelect={() => props.onSelect(row.id)} />
            )}
          </li>
        ))}
        <li>
          <button
            type="button"
            className="list-link list-new"
            data-testid="new-list"
            aria-expanded={creating}
            onClick={() => setCreating(!creating)}
          >
            <PlusIcon /> New list
          </button>
        </li>
      </ul>
      {creating && (
        <NewList
          onCancel={() => setCreating(false)}
          onCreate={(list) => {
            setCreating(false)
            props.onCreate(list)
          }}
        />
      )}
    </nav>
  )
}

function ListLink(props: {
  readonly list: ListRow
  readonly current: boolean
  readonly onSelect: () => void
}) {
  const { list } = props
  return (
    <button
      type="button"
      className="list-link"
      data-testid="list-link"
      aria-current={props.current ? "page" : undefined}
      onClick={props.onSelect}
    >
      <span className="list-link-title">{list.title}</span>
      <span className="list-link-who">
        {list.members.length > 1 ? (
          <>
            {list.members.slice(0, 4).map((person) => (
              <span key={person} className="dot" {...inColourOf(person)} />
            ))}
            <span className="visually-hidden">, shared</span>
          </>
        ) : (
          <span className="private" title="Only you see this list">
            <LockIcon />
            <span className="visually-hidden">, private</span>
          </span>
        )}
      </span>
      <span className="list-link-open">
        <span className="visually-hidden">, </span>
        {list.open}
        <span className="visually-hidden"> open</span>
      </span>
    </button>
  )
}

function NewList(props: {
  readonly onCreate: (list: { readonly title: string; readonly openMax: number }) => void
  readonly onCancel: () => void
}) {
  const [title, setTitle] = useState("")
  const [openMax, setOpenMax] = useState(10)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (title.trim() !== "") props.onCreate({ title: title.trim(), openMax })
  }
  return (
    <form
      className="new-list"
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return
        // Of the drawer, too, if it is open.
        event.preventDefault()
        props.onCancel()
      }}
    >
      <label>
        <span>Name</span>
        <input
          data-testid="new-list-title"
          value={title}
          maxLength={120}
          required
          // biome-ignore lint/a11y/noAutofocus: the form opens because the person asked for it
          autoFocus
          onChange={(event) => setTitle(event.currentTarget.value)}
        />
      </label>
      <label>
        <span>Open items at most</span>
        <input
          type="number"
          min={1}
          max={100}
          value={openMax}
          onChange={(event) => setOpenMax(event.currentTarget.valueAsNumber || 1)}
        />
      </label>
      <button type="submit" className="button primary">
        Create
      </button>
    </form>
  )
}

/** The lists that this person sees, and a small form for a new one. */
import { type FormEvent, useState } from "react"
import type { ListRow } from "./data.ts"
import { LockIcon, PlusIcon } from "./icons.tsx"

export function ListNav(props: {
  readonly lists: ReadonlyArray<ListRow>
  readonly selected: string | undefined
  readonly onSelect: (listId: string) => void
  readonly onCreate: (list: { readonly title: string; readonly openMax: number }) => void
}) {
  const { lists, selected, onSelect, onCreate } = props
  const [creating, setCreating] = useState(false)
  return (
    <nav className="lists" aria-label="Lists">
      <ul>
        {lists.map((list) => (
          <li key={list.id}>
            <button
              type="button"
              className="list-link"
              data-testid="list-link"
              aria-current={list.id === selected ? "page" : undefined}
              onClick={() => onSelect(list.id)}
            >
              <span className="list-link-title">{list.title}</span>
              <span className="list-link-who">
                {list.members.length > 1 ? (
                  <>
                    {list.members.map((person) => (
                      <span key={person} className="dot" data-person={person} />
                    ))}
                    <span className="visually-hidden">Shared</span>
                  </>
                ) : (
                  <span className="private" title="Only you see this list">
                    <LockIcon />
                    <span className="visually-hidden">Private</span>
                  </span>
                )}
              </span>
              <span className="list-link-open">
                {list.open}
                <span className="visually-hidden"> open</span>
              </span>
            </button>
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
            onCreate(list)
          }}
        />
      )}
    </nav>
  )
}

function NewList(props: {
  readonly onCreate: (list: { readonly title: string; readonly openMax: number }) => void
  readonly onCancel: () => void
}) {
  const [title, setTitle] = useState("")
  const [openMax, setOpenMax] = useState(5)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (title.trim() !== "") props.onCreate({ title: title.trim(), openMax })
  }
  return (
    <form className="new-list" onSubmit={submit} onKeyDown={(e) => e.key === "Escape" && props.onCancel()}>
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

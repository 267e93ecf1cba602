/** Items of all lists whose title contains what was typed. */

import { Due } from "./Due.tsx"
import { useFound } from "./data.ts"
import { CheckIcon } from "./icons.tsx"
import { useWorkspace } from "./workspace.ts"

export function SearchResults(props: {
  readonly text: string
  readonly onOpen: (listId: string, todoId: string) => void
}) {
  const { viewer } = useWorkspace()
  const { rows, state } = useFound(viewer, props.text)
  return (
    <section className="list">
      <h2 className="found-heading">
        “{props.text}”{" "}
        <span className="found-count" role="status" data-testid="found-count">
          {state === "loading" ? "" : rows.length === 1 ? "1 item" : `${rows.length} items`}
        </span>
      </h2>
      {rows.length === 0 && state !== "loading" && <p className="nothing">No item has this in its title.</p>}
      <ul className="found">
        {rows.map((row) => (
          <li key={row.id}>
            <button
              type="button"
              className="found-item"
              data-testid="found"
              data-done={row.done}
              onClick={() => props.onOpen(row.list_id, row.id)}
            >
              <span className="found-title">
                {row.done && <CheckIcon />}
                {row.title}
              </span>
              <span className="found-list">
                {row.list_title} <Due due={row.due} done={row.done} />
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}

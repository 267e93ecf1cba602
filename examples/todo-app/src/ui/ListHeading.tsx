/** A list's name, and what can be done with the list as a whole. */
import { useRef, useState } from "react"
import { renameList } from "../domain/lists.ts"
import { nameOf } from "../domain/people.ts"
import type { ListRow } from "./data.ts"
import { EditableText } from "./EditableText.tsx"
import { PeopleIcon } from "./icons.tsx"
import { ShareDialog } from "./ShareDialog.tsx"
import { useWorkspace } from "./workspace.ts"

export function ListHeading(props: {
  readonly list: ListRow
  readonly selecting: boolean
  /** Undefined when there is nothing to select. */
  readonly onSelecting: (() => void) | undefined
}) {
  const { list } = props
  const { attempt } = useWorkspace()
  const [editing, setEditing] = useState(false)
  const dialog = useRef<HTMLDialogElement>(null)
  return (
    <header className="list-heading">
      <div className="list-name">
        <h2>
          {list.role === "viewer" ? (
            list.title
          ) : (
            <EditableText
              value={list.title}
              label="List name"
              editing={editing}
              onEditing={setEditing}
              onSave={(title) => attempt(renameList({ listId: list.id, title }), `Renamed to “${title}”`)}
            />
          )}
        </h2>
        {list.role !== "owner" && (
          <p className="shared-by" data-testid="role">
            Shared by {nameOf(list.owner_id)},{" "}
            {list.role === "viewer" ? "you can view it" : "you can edit it"}
          </p>
        )}
      </div>
      <div className="list-buttons">
        {props.onSelecting !== undefined && (
          <button
            type="button"
            className="button"
            data-testid="select"
            aria-pressed={props.selecting}
            onClick={props.onSelecting}
          >
            Select
          </button>
        )}
        <button
          type="button"
          className="button"
          data-testid="share"
          aria-haspopup="dialog"
          onClick={() => dialog.current?.showModal()}
        >
          <PeopleIcon /> {list.role === "owner" ? "Share" : "Members"}
        </button>
      </div>
      <ShareDialog ref={dialog} list={list} />
    </header>
  )
}

/** What stands where a list will be. */
import type { Status } from "@synchrotron/sync-client"
import { createList } from "../domain/lists.ts"
import { nameOf } from "../domain/people.ts"
import { inviteToList } from "../domain/sharing.ts"
import { addTodo } from "../domain/todos.ts"
import { useWorkspace } from "./workspace.ts"

export function Loading(props: { readonly load: Status["load"] }) {
  return (
    <div className="panel-wait" aria-busy="true">
      <div className="opening" />
      <p>
        {props.load === null
          ? "Loading lists"
          : `Loading ${props.load.rowsDone} of ${props.load.rowsTotal} rows`}
      </p>
    </div>
  )
}

export function Welcome(props: { readonly onOpen: (listId: string) => void }) {
  const { viewer, attempt } = useWorkspace()
  const other = { alice: "bob", bob: "alice" }[viewer]
  const start = async () => {
    const created = await attempt(createList({ title: "Groceries", openMax: 5 }))
    if (created === undefined) return
    const listId = created.value as string
    await attempt([
      ...(other === undefined ? [] : [inviteToList({ listId, userId: other, role: "editor" })]),
      ...["Milk", "Bread", "Apples"].map((title) => addTodo({ listId, title }))
    ])
    props.onOpen(listId)
  }
  return (
    <div className="welcome">
      <h2>No lists yet</h2>
      <p>
        {other === undefined
          ? "Start one here, or wait for an invitation. It also works offline."
          : `Start one here and invite ${nameOf(other)} to it. It also works offline.`}
      </p>
      <button type="button" className="button primary" data-testid="start" onClick={start}>
        Start a {other === undefined ? "" : "shared "}grocery list
      </button>
    </div>
  )
}

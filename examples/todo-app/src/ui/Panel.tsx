/** One person's side of the page: head, inbox, lists and the list that is open. */
import { useSyncStatus } from "@synchrotron/sync-client/react"
import { useState } from "react"
import { createList, shareList } from "../domain/lists.ts"
import { type PersonId, people } from "../domain/people.ts"
import { addTodo } from "../domain/todos.ts"
import { type Attempt, useAttempt, useLists } from "./data.ts"
import { Inbox } from "./Inbox.tsx"
import { ListNav } from "./ListNav.tsx"
import { ListView } from "./ListView.tsx"
import { PanelHead } from "./PanelHead.tsx"

export function Panel(props: { readonly person: PersonId }) {
  const viewer = props.person
  const status = useSyncStatus()
  const lists = useLists()
  const { attempt, notice, dismiss } = useAttempt()
  const [selected, setSelected] = useState<string>()
  const list = lists.rows.find((one) => one.id === selected) ?? lists.rows[0]
  // Before the first sync, no rows do not mean no lists; without a server, work can begin all the same.
  const connecting = status.phase === "idle" || status.phase === "syncing"
  const loading = lists.state === "loading" || (connecting && !status.firstSyncDone)
  const create = async (wish: { readonly title: string; readonly openMax: number }) => {
    const id = await attempt(createList(wish))
    if (typeof id === "string") setSelected(id)
  }
  return (
    <section
      className="panel"
      data-testid={`panel-${viewer}`}
      data-person={viewer}
      data-online={status.phase !== "paused"}
      aria-label={viewer}
    >
      <PanelHead person={viewer} />
      <Inbox viewer={viewer} />
      <div className="panel-body">
        {list === undefined && (loading ? <Loading /> : <Welcome viewer={viewer} attempt={attempt} />)}
        {list !== undefined && (
          <>
            <ListNav lists={lists.rows} selected={list.id} onSelect={setSelected} onCreate={create} />
            <ListView key={list.id} list={list} viewer={viewer} attempt={attempt}>
              {notice !== undefined && <Notice text={notice} onDismiss={dismiss} />}
            </ListView>
          </>
        )}
      </div>
    </section>
  )
}

/** Why this device refused what was just tried; it stands where it was tried. */
function Notice(props: { readonly text: string; readonly onDismiss: () => void }) {
  return (
    <div className="notice" role="alert" data-testid="notice">
      <span>{props.text}</span>
      <button type="button" onClick={props.onDismiss}>
        OK
      </button>
    </div>
  )
}

function Loading() {
  return (
    <div className="panel-wait" aria-busy="true">
      <div className="opening" />
      <p>Loading lists</p>
    </div>
  )
}

function Welcome(props: { readonly viewer: PersonId; readonly attempt: Attempt }) {
  const { viewer, attempt } = props
  const others = people.filter((person) => person.id !== viewer)
  const start = async () => {
    const listId = await attempt(createList({ title: "Groceries", openMax: 5 }))
    if (typeof listId !== "string") return
    for (const person of others) await attempt(shareList({ listId, userId: person.id }))
    for (const title of ["Milk", "Bread", "Apples"]) await attempt(addTodo({ listId, title }))
  }
  return (
    <div className="welcome">
      <h2>No lists yet</h2>
      <p>
        Start one here and {others.map((person) => person.name).join(" and ")} will see it. It also works
        offline.
      </p>
      <button type="button" className="button primary" data-testid="start" onClick={start}>
        Start a shared grocery list
      </button>
    </div>
  )
}

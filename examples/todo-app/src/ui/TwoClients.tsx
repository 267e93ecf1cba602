/** Two people side by side, each with a database and an offline switch of their own: the idea in a minute. */
import { useState } from "react"
import { Brand } from "./Brand.tsx"
import { Session } from "./Session.tsx"
import { Workspace } from "./Workspace.tsx"

const two = ["alice", "bob"] as const

export function TwoClients() {
  return (
    <div className="page">
      <header className="page-head">
        <h1>
          <Brand />
        </h1>
        <nav aria-label="Pages">
          <a href="/">Your own lists</a>
        </nav>
      </header>
      <Hint />
      <main className="panels">
        {two.map((person) => (
          <Session key={person} person={person}>
            <Workspace person={person} alone={false} />
          </Session>
        ))}
      </main>
    </div>
  )
}

const closedKey = "todo-app/hint-closed"

/** What to try, in four steps; stays away once it was closed. */
function Hint() {
  const [closed, setClosed] = useState(() => localStorage.getItem(closedKey) !== null)
  if (closed) return null
  const close = () => {
    localStorage.setItem(closedKey, "yes")
    setClosed(true)
  }
  return (
    <aside className="hint" aria-label="What to try">
      <ol>
        <li>Start a list on one side, and accept the invitation on the other.</li>
        <li>Let both people work offline.</li>
        <li>Add items on both sides until the list is full, or claim the same one.</li>
        <li>Go online again: same list, and whoever came second is told why.</li>
      </ol>
      <button type="button" className="button quiet" onClick={close}>
        Got it
      </button>
    </aside>
  )
}

/** What to try, in three steps; stays away once it was closed. */
import { useState } from "react"

const closedKey = "todo-app/hint-closed"

export function Hint() {
  const [closed, setClosed] = useState(() => localStorage.getItem(closedKey) !== null)
  if (closed) return null
  const close = () => {
    localStorage.setItem(closedKey, "yes")
    setClosed(true)
  }
  return (
    <aside className="hint" aria-label="What to try">
      <ol>
        <li>Switch both people offline.</li>
        <li>Add items on both sides until the list is full, or claim the same one.</li>
        <li>Switch them back on: same list, and whoever came second is told why.</li>
      </ol>
      <button type="button" className="button quiet" onClick={close}>
        Got it
      </button>
    </aside>
  )
}

/** Which page is shown: signing in, one person's own, or two people side by side at `/?two`. */

import { openOnShortcut } from "@synchrotron/sync-client/inspector"
import { useSyncClient } from "@synchrotron/sync-client/react"
import { useEffect, useRef } from "react"
import { closeClientOf } from "./clients.ts"
import { Session } from "./Session.tsx"
import { SignIn } from "./SignIn.tsx"
import { useCurrentUser } from "./session.ts"
import { TwoClients } from "./TwoClients.tsx"
import { Workspace } from "./Workspace.tsx"

/** What the client does, for whoever presses Ctrl+Shift+Y (Cmd+Shift+Y). Its panel is loaded then. */
function Inspector() {
  const client = useSyncClient()
  useEffect(() => openOnShortcut(client), [client])
  return null
}

export function App() {
  return new URLSearchParams(location.search).has("two") ? <TwoClients /> : <Home />
}

/** The page of whoever is signed in. */
function Home() {
  const user = useCurrentUser()
  useClosed(user)
  if (user === undefined) return <SignIn />
  return (
    <main className="home">
      <Session key={user} person={user}>
        <Workspace person={user} alone />
        <Inspector />
      </Session>
    </main>
  )
}

/** Closes the database of whoever was signed in before, in whichever tab they signed out; one that did not open, too. */
const useClosed = (user: string | undefined) => {
  const before = useRef(user)
  useEffect(() => {
    const left = before.current
    before.current = user
    if (left !== undefined && left !== user) void closeClientOf(left)
  }, [user])
}

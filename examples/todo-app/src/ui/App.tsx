/** Which page is shown: signing in, one person's own, or two people side by side at `/?two`. */

import { openOnShortcut } from "@synchrotron/sync-client/inspector"
import { useSyncClient } from "@synchrotron/sync-client/react"
import { useEffect } from "react"
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
  const user = useCurrentUser()
  if (new URLSearchParams(location.search).has("two")) return <TwoClients />
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

/** Which page is shown: signing in, one person's own, or two people side by side at `/?two`. */
import { Session } from "./Session.tsx"
import { SignIn } from "./SignIn.tsx"
import { useCurrentUser } from "./session.ts"
import { TwoClients } from "./TwoClients.tsx"
import { Workspace } from "./Workspace.tsx"

export function App() {
  const user = useCurrentUser()
  if (new URLSearchParams(location.search).has("two")) return <TwoClients />
  if (user === undefined) return <SignIn />
  return (
    <main className="home">
      <Session key={user} person={user}>
        <Workspace person={user} alone />
      </Session>
      {/* Developer tools, such as an inspector of the client, open here: below the workspace, above nothing. */}
    </main>
  )
}

/** Opens one person's local database and keeps it in sync while the page lives. */
import { SyncProvider } from "@synchrotron/sync-client/react"
import { type ReactNode, Suspense, use } from "react"
import { nameOf } from "../domain/people.ts"
import { inColourOf } from "./Avatar.tsx"
import { clientOf } from "./clients.ts"
import { OpenFailed } from "./OpenFailed.tsx"

interface Props {
  readonly person: string
  readonly children: ReactNode
}

export function Session(props: Props) {
  return (
    <OpenFailed {...props}>
      <Suspense fallback={<Opening person={props.person} />}>
        <Opened {...props} />
      </Suspense>
    </OpenFailed>
  )
}

function Opened({ person, children }: Props) {
  return <SyncProvider client={use(clientOf(person))}>{children}</SyncProvider>
}

function Opening({ person }: { readonly person: string }) {
  return (
    <section className="panel" aria-busy="true" aria-label={nameOf(person)} {...inColourOf(person)}>
      <div className="beam" data-kind="syncing" />
      <div className="panel-wait">
        <div className="opening" />
        <p>Opening {nameOf(person)}’s lists</p>
      </div>
    </section>
  )
}

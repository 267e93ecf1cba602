/** Opens one person's local database and keeps it in sync while the page lives. */
import { createSyncClient, type PromiseClient } from "@synchrotron/sync-client"
import { SyncProvider } from "@synchrotron/sync-client/react"
import { Component, type ReactNode, Suspense, use } from "react"
import { app } from "../app.ts"
import { nameOf, type PersonId } from "../domain/people.ts"
import { Panel } from "./Panel.tsx"
import { tokenFor } from "./token.ts"

export function Session(props: { readonly person: PersonId }) {
  const { person } = props
  return (
    <OpenFailed person={person}>
      <Suspense fallback={<Opening person={person} />}>
        <Opened person={person} />
      </Suspense>
    </OpenFailed>
  )
}

function Opened(props: { readonly person: PersonId }) {
  const client = use(open(props.person))
  return (
    <SyncProvider client={client}>
      <Panel person={props.person} />
    </SyncProvider>
  )
}

/** One client per person and page: a database has one owner at a time. */
const clients = new Map<PersonId, Promise<PromiseClient>>()

const open = (person: PersonId): Promise<PromiseClient> => {
  const known = clients.get(person)
  if (known !== undefined) return known
  const opening = createSyncClient({
    app,
    dataDir: `idb://todo-${person}`,
    userId: person,
    server: { url: location.origin, token: () => tokenFor(person) }
  })
  const client = Promise.resolve(opening)
  clients.set(person, client)
  return client
}

function Opening(props: { readonly person: PersonId }) {
  return (
    <section className="panel" data-person={props.person} aria-busy="true">
      <div className="beam" data-kind="syncing" />
      <div className="panel-wait">
        <div className="opening" />
        <p>Opening {nameOf(props.person)}’s database</p>
      </div>
    </section>
  )
}

class OpenFailed extends Component<
  { readonly person: PersonId; readonly children: ReactNode },
  { readonly message?: string }
> {
  override state: { readonly message?: string } = {}
  static getDerivedStateFromError(error: unknown) {
    return { message: error instanceof Error ? error.message : String(error) }
  }
  override render() {
    if (this.state.message === undefined) return this.props.children
    return (
      <section className="panel" data-person={this.props.person} role="alert">
        <div className="beam" data-kind="problem" />
        <div className="panel-wait">
          <p>{this.state.message}</p>
          <button type="button" className="button" onClick={() => location.reload()}>
            Try again
          </button>
        </div>
      </section>
    )
  }
}

/** Opens one person's local database and keeps it in sync while the page lives. */
import { SyncProvider } from "@synchrotron/sync-client/react"
import { Component, type ReactNode, Suspense, use } from "react"
import { nameOf, type PersonId } from "../domain/people.ts"
import { clientOf } from "./clients.ts"
import { Panel } from "./Panel.tsx"

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
  const client = use(clientOf(props.person))
  return (
    <SyncProvider client={client}>
      <Panel person={props.person} />
    </SyncProvider>
  )
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

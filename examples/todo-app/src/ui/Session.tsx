/** Opens one person's local database and keeps it in sync while the page lives. */
import { SyncProvider } from "@synchrotron/sync-client/react"
import { Component, type ReactNode, Suspense, use } from "react"
import { nameOf } from "../domain/people.ts"
import { inColourOf } from "./Avatar.tsx"
import { clientOf } from "./clients.ts"
import { signOut } from "./session.ts"

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

class OpenFailed extends Component<Props, { readonly message?: string }> {
  override state: { readonly message?: string } = {}
  static getDerivedStateFromError(error: unknown) {
    return { message: error instanceof Error ? error.message : String(error) }
  }
  override render() {
    if (this.state.message === undefined) return this.props.children
    return (
      <section className="panel" role="alert" {...inColourOf(this.props.person)}>
        <div className="beam" data-kind="problem" />
        <div className="panel-wait">
          <p>{this.state.message}</p>
          <div className="panel-wait-buttons">
            <button type="button" className="button" onClick={() => location.reload()}>
              Try again
            </button>
            <button type="button" className="button quiet" onClick={signOut}>
              Sign out
            </button>
          </div>
        </div>
      </section>
    )
  }
}

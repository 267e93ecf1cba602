/** Says why a person's database could not be opened, and what can be done. */
import { StoreUnusable } from "@synchrotron/sync-client"
import { Component, type ReactNode, useState } from "react"
import { nameOf } from "../domain/people.ts"
import { inColourOf } from "./Avatar.tsx"
import { forgetListsOf } from "./clients.ts"
import { signOut } from "./session.ts"

interface Props {
  readonly person: string
  readonly children: ReactNode
}

export class OpenFailed extends Component<Props, { readonly error?: unknown }> {
  override state: { readonly error?: unknown } = {}
  static getDerivedStateFromError(error: unknown) {
    return { error }
  }
  override render() {
    const { error } = this.state
    const { children, person } = this.props
    if (error === undefined) return children
    return (
      <section className="panel" role="alert" {...inColourOf(person)}>
        <div className="beam" data-kind="problem" />
        <div className="panel-wait">
          {error instanceof StoreUnusable && error.reason === "damaged" ? (
            <Damaged person={person} unsent={error.unsent} />
          ) : (
            <p>{error instanceof Error ? error.message : String(error)}</p>
          )}
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

/** What the server has comes back. What it does not have can be saved, if it can be read. */
function Damaged({ person, unsent }: { readonly person: string; readonly unsent: StoreUnusable["unsent"] }) {
  const [problem, setProblem] = useState<string>()
  const startAgain = () =>
    forgetListsOf(person).then(
      () => location.reload(),
      (error: Error) => setProblem(error.message)
    )
  return (
    <>
      <p>What this device keeps of {nameOf(person)}’s lists is damaged and cannot be opened.</p>
      <p>
        {unsent === null
          ? "Everything that was synced is safe on the server. Changes that were not are lost when you start again."
          : unsent.length === 0
            ? "Everything is safe on the server."
            : `Everything that was synced is safe on the server; ${unsent.length} of your changes were not.`}
      </p>
      {problem !== undefined && <p>{problem}</p>}
      <div className="panel-wait-buttons">
        {unsent !== null && unsent.length > 0 && (
          <a
            className="button quiet"
            download={`unsent-changes-of-${person}.json`}
            href={`data:application/json,${encodeURIComponent(JSON.stringify(unsent, null, 2))}`}
          >
            Save these changes
          </a>
        )}
        <button type="button" className="button" data-testid="start-again" onClick={startAgain}>
          Start again with what the server has
        </button>
      </div>
    </>
  )
}

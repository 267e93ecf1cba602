/** Changes that the server refused, each with its reason and what can be done; and those that came out differently. */
import { useRejected } from "@synchrotron/sync-client/react"
import { useState } from "react"
import { explain } from "../domain/explain.ts"

export function Inbox(props: {
  readonly viewer: string
  /** What to say of accepted changes whose result is not what this person saw. */
  readonly notes: ReadonlyArray<string>
  readonly onNotesRead: () => void
}) {
  const { records, retry, dismiss } = useRejected()
  const { notes } = props
  return (
    <div aria-live="polite">
      {records.length > 0 && (
        <section className="inbox" data-testid="inbox">
          <h2>
            {records.length === 1
              ? "One change was not accepted"
              : `${records.length} changes were not accepted`}
          </h2>
          <ul>
            {records.map((record) => (
              <Entry
                key={record.id}
                {...explain(record, props.viewer)}
                onRetry={() => retry(record.id)}
                onDismiss={() => dismiss(record.id)}
              />
            ))}
          </ul>
        </section>
      )}
      {notes.length > 0 && (
        <section className="notes" data-testid="notes">
          <ul>
            {notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
          <button type="button" className="button quiet" onClick={props.onNotesRead}>
            Got it
          </button>
        </section>
      )}
    </div>
  )
}

function Entry(props: {
  readonly wish: string
  readonly reason: string
  readonly onRetry: () => Promise<unknown>
  readonly onDismiss: () => Promise<unknown>
}) {
  const [again, setAgain] = useState<string>()
  const retry = () =>
    props
      .onRetry()
      .catch((error: unknown) => setAgain(error instanceof Error ? error.message : String(error)))
  return (
    <li data-testid="rejected">
      <div>
        <p className="inbox-wish">{props.wish}</p>
        <p className="inbox-reason">{props.reason}</p>
      </div>
      <div className="inbox-buttons">
        <button type="button" className="button" data-testid="retry" onClick={retry}>
          Retry<span className="visually-hidden">: {props.wish}</span>
        </button>
        <button type="button" className="button quiet" data-testid="dismiss" onClick={props.onDismiss}>
          Dismiss<span className="visually-hidden">: {props.wish}</span>
        </button>
      </div>
      {again !== undefined && (
        <p className="inbox-again" role="alert">
          Still not possible. {again}
        </p>
      )}
    </li>
  )
}

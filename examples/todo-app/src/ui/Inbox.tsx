/** Changes that the server refused, each with its reason and what can be done. */
import { useRejected } from "@synchrotron/sync-client/react"
import { useState } from "react"
import { explain } from "../domain/explain.ts"

export function Inbox(props: { readonly viewer: string }) {
  const { records, retry, dismiss } = useRejected()
  if (records.length === 0) return null
  return (
    <section className="inbox" data-testid="inbox" aria-live="polite">
      <h3>
        {records.length === 1 ? "One change was not accepted" : `${records.length} changes were not accepted`}
      </h3>
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

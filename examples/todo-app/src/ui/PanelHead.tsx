/** Whose side this is, how it stands with the server, and the switch that takes it offline. */
import { useSyncClient, useSyncStatus } from "@synchrotron/sync-client/react"
import { useEffect, useState } from "react"
import { nameOf } from "../domain/people.ts"
import { Avatar } from "./Avatar.tsx"
import { connectionOf, connectionText } from "./connection.ts"

export function PanelHead(props: { readonly person: string }) {
  const client = useSyncClient()
  const status = useSyncStatus()
  const connection = connectionOf(status)
  const now = useNow(1000)
  const online = status.phase !== "paused"
  return (
    <>
      <div className="beam" data-kind={connection.kind} aria-hidden="true" />
      <header className="panel-head">
        <Avatar person={props.person} viewer="" />
        <div className="who">
          <strong>{nameOf(props.person)}</strong>
          <span
            className="status"
            data-testid="status"
            data-kind={connection.kind}
            title={status.error?.message}
          >
            {connectionText(connection, now)}
          </span>
        </div>
        {status.pending > 0 && (
          <span className="waiting-count" data-testid="pending-count">
            <span className="waiting-dot" />
            {status.pending} waiting
          </span>
        )}
        <button
          type="button"
          className="switch"
          role="switch"
          aria-checked={online}
          aria-label={`${nameOf(props.person)} is online`}
          data-testid="online"
          onClick={() => (online ? client.pause() : client.resume())}
        >
          <span className="switch-text" aria-hidden="true">
            {online ? "Online" : "Offline"}
          </span>
          <span className="switch-track" />
        </button>
      </header>
    </>
  )
}

const useNow = (everyMs: number): number => {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

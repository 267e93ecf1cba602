/** Whose workspace this is, how it stands with the server, and the switch that takes it offline. */
import { useSyncClient, useSyncStatus } from "@synchrotron/sync-client/react"
import { useEffect, useId, useState } from "react"
import { nameOf } from "../domain/people.ts"
import { Avatar } from "./Avatar.tsx"
import { connectionOf, connectionText } from "./connection.ts"
import { MenuIcon } from "./icons.tsx"
import { signOut } from "./session.ts"
import { useWorkspace } from "./workspace.ts"

export function Topbar(props: { readonly alone: boolean; readonly sidebarId: string }) {
  const { viewer } = useWorkspace()
  const client = useSyncClient()
  const status = useSyncStatus()
  const connection = connectionOf(status)
  const now = useNow(1000)
  const offline = status.phase === "paused"
  return (
    <>
      <div className="beam" data-kind={connection.kind} aria-hidden="true" />
      <header className="topbar">
        <button
          type="button"
          className="icon-button menu-button"
          data-testid="menu"
          popoverTarget={props.sidebarId}
          aria-label="Lists and search"
        >
          <MenuIcon />
        </button>
        {props.alone ? <Account /> : <Avatar person={viewer} />}
        <div className="who">
          {props.alone ? (
            <h1 className="who-name">{nameOf(viewer)}</h1>
          ) : (
            <h2 className="who-name">{nameOf(viewer)}</h2>
          )}
          <span
            className="status"
            data-testid="status"
            data-kind={connection.kind}
            title={status.error?.message}
          >
            {connectionText(connection, now)}
          </span>
        </div>
        {(status.pending > 0 || connection.kind === "offline") && (
          <span className="topbar-badges">
            {connection.kind === "offline" && (
              <span className="badge" data-testid="offline-badge">
                Offline
              </span>
            )}
            {status.pending > 0 && (
              <span className="waiting-count" data-testid="pending-count">
                <span className="waiting-dot" />
                {status.pending} waiting
              </span>
            )}
          </span>
        )}
        <button
          type="button"
          className="switch"
          role="switch"
          aria-checked={offline}
          data-testid="work-offline"
          onClick={() => (offline ? client.resume() : client.pause())}
        >
          <span className="switch-text">Work offline</span>
          <span className="switch-track" />
        </button>
      </header>
      {status.load !== null && (
        <progress
          className="load"
          aria-label="Loading"
          max={status.load.rowsTotal}
          value={status.load.rowsDone}
        />
      )}
    </>
  )
}

/** The account's menu. */
function Account() {
  const { viewer } = useWorkspace()
  const id = useId()
  return (
    <>
      <button
        type="button"
        className="account-button"
        data-testid="account"
        popoverTarget={id}
        aria-label={`Account of ${nameOf(viewer)}`}
      >
        <Avatar person={viewer} />
      </button>
      <div id={id} popover="auto" className="menu">
        <p>
          Signed in as <strong>{nameOf(viewer)}</strong>. Others invite you as <code>{viewer}</code>.
        </p>
        <a className="menu-item" href="/?two">
          Two people side by side
        </a>
        <button type="button" className="menu-item" data-testid="sign-out" onClick={signOut}>
          Sign out
        </button>
      </div>
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

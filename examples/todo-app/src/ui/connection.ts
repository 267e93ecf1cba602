/** The session's status as what a person wants to know. */
import type { Status } from "@synchrotron/sync-client"

export type Connection =
  | { readonly kind: "offline"; readonly text: string }
  | { readonly kind: "syncing"; readonly text: string }
  | { readonly kind: "synced"; readonly at: number | null }
  | { readonly kind: "problem"; readonly text: string }

export const connectionOf = (status: Status): Connection => {
  switch (status.phase) {
    case "paused":
      return { kind: "offline", text: "Working offline" }
    case "waiting":
      return status.online
        ? { kind: "problem", text: status.error?.message ?? "The server refuses, trying again" }
        : { kind: "offline", text: "No connection, trying again" }
    case "stopped":
      return { kind: "problem", text: status.error?.message ?? "Syncing has stopped" }
    case "idle":
    case "syncing":
      if (status.load !== null) return { kind: "syncing", text: loadText(status.load) }
      // A look for changes of others is no news; sending one's own is.
      return status.firstSyncDone && status.pending === 0
        ? { kind: "synced", at: status.lastSyncedAt }
        : { kind: "syncing", text: status.firstSyncDone ? "Syncing…" : "Connecting…" }
  }
}

const loadText = ({ rowsDone, rowsTotal }: NonNullable<Status["load"]>) =>
  `Loading ${rowsDone.toLocaleString("en")} of ${rowsTotal.toLocaleString("en")} rows`

/** @param now milliseconds since 1970 */
export const connectionText = (connection: Connection, now: number): string =>
  connection.kind !== "synced"
    ? connection.text
    : connection.at === null
      ? "Synced"
      : `Synced ${ago(now - connection.at)}`

const ago = (ms: number): string => {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 5) return "just now"
  if (seconds < 60) return `${seconds} s ago`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`
}

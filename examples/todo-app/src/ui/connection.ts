/** The session's status as the four things that a person wants to know. */
import type { Status } from "@synchrotron/sync-client"

export type Connection =
  | { readonly kind: "offline" }
  | { readonly kind: "syncing" }
  | { readonly kind: "synced"; readonly at: number | null }
  | { readonly kind: "problem"; readonly message: string }

export const connectionOf = (status: Status): Connection => {
  switch (status.phase) {
    case "paused":
      return { kind: "offline" }
    case "waiting":
      return { kind: "problem", message: "Can’t reach the server, trying again" }
    case "stopped":
      return { kind: "problem", message: status.error?.message ?? "Syncing has stopped" }
    case "idle":
    case "syncing":
      // A look for changes of others is no news; sending one's own is.
      return status.firstSyncDone && status.pending === 0
        ? { kind: "synced", at: status.lastSyncedAt }
        : { kind: "syncing" }
  }
}

/** @param now milliseconds since 1970 */
export const connectionText = (connection: Connection, now: number): string => {
  switch (connection.kind) {
    case "offline":
      return "Working offline"
    case "syncing":
      return "Syncing…"
    case "problem":
      return connection.message
    case "synced":
      return connection.at === null ? "Synced" : `Synced ${ago(now - connection.at)}`
  }
}

const ago = (ms: number): string => {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 5) return "just now"
  if (seconds < 60) return `${seconds} s ago`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`
}

/** Why a sync could not be done, and what that means for the session. */
import type { SqlError } from "@effect/sql"
import type { Hlc, RowsInvalid } from "@synchrotron/sync-core"
import { type ClientClosed, StorageFull, type SyncPaused } from "./Errors.ts"
import type { FailureKind } from "./SessionState.ts"
import type { StatusError } from "./Status.ts"
import { isFull } from "./store/isFull.ts"
import type { TransportError } from "./Transport.ts"

/**
 * `SqlError` and `HlcRangeError` come from the local database and clock, `RowsInvalid` from rows that do not fit into it;
 * see `TransportError` for the others.
 */
export type SyncFailure =
  | TransportError
  | SyncPaused
  | ClientClosed
  | SqlError.SqlError
  | RowsInvalid
  | Hlc.HlcRangeError

/** A defect counts as retryable: the session goes on, and the status shows it. */
export const kindOf = (failure: unknown): FailureKind => {
  switch (tagOf(failure)) {
    case "Unauthorized":
      return "unauthorized"
    case "ClientMismatch":
    case "SchemaMismatch":
    case "InvalidRequest":
      return "final"
    default:
      return "retryable"
  }
}

export const tagOf = (failure: unknown): string =>
  typeof failure === "object" && failure !== null && "_tag" in failure ? String(failure._tag) : "Defect"

export const toStatusError = (failure: unknown): StatusError =>
  isFull(failure)
    ? toStatusError(new StorageFull({ usedBytes: null, quotaBytes: null }))
    : {
        tag: tagOf(failure),
        message: failure instanceof Error ? failure.message : String(failure),
        retryable: kindOf(failure) !== "final"
      }

/** What the failure says about the network: null when it happened before the network was used. */
export const reachedServer = (failure: unknown): boolean | null => {
  switch (tagOf(failure)) {
    case "Offline":
      return false
    case "SqlError":
    case "HlcRangeError":
    case "Defect":
      return null
    default:
      return true
  }
}

/** How a request reaches the authority: one exchange, no state. {@link TransportHttp} is the usual one. */
import type { Protocol } from "@synchrotron/sync-core"
import { Context, type Effect } from "effect"
import type { Offline } from "./Errors.ts"

/**
 * What an exchange can fail with.
 *
 * | error                                                 | the session                                            |
 * |-------------------------------------------------------|--------------------------------------------------------|
 * | `Offline`, `Unavailable`                              | tries again with backoff                               |
 * | `ClockDrift`                                          | stamps the pending records again and sends once more   |
 * | `CursorTooOld`                                        | forgets its cursors and sends once more, for all rows  |
 * | `Unauthorized`                                        | asks for the token once more, then tries slowly        |
 * | `ClientMismatch`, `SchemaMismatch`, `InvalidRequest`  | stops until something changes                          |
 */
export type TransportError = Exclude<WireError, Protocol.AudiencesChanged>

/** The same of an exchange of short requests and answers, see sync-core's `Audiences`. */
export type WireError = Offline | Protocol.SyncError

export interface Transport {
  readonly sync: (request: Protocol.SyncRequest) => Effect.Effect<Protocol.SyncResponse, TransportError>
}

export const Transport = Context.GenericTag<Transport>("@synchrotron/sync-client/Transport")

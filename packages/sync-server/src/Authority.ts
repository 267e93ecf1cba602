/**
 * The authority: executes records in canonical order on the server's Postgres, under row-level security, as their
 * principals, and tells every client what changed. Design and invariants are in DESIGN.md.
 */
import type { Principal, Protocol } from "@synchrotron/sync-core"
import { Context, type Effect } from "effect"

export interface AuthorityService {
  /**
   * Judges the request's records, then reads what changed for this client, in one call.
   * Fails with a final error about the request, or with `Unavailable`, which the client answers by waiting.
   */
  readonly sync: (
    principal: Principal,
    request: Protocol.WireRequest
  ) => Effect.Effect<Protocol.SyncResponse, Protocol.SyncError>
  /** The last commit's `seq`; fails when the database cannot be reached. */
  readonly health: Effect.Effect<{ readonly seq: number }, Protocol.Unavailable>
}

export class Authority extends Context.Tag("@synchrotron/sync-server/Authority")<
  Authority,
  AuthorityService
>() {}

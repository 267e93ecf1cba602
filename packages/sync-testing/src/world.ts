/** A real authority and real clients in one process, with the network in the test's hand. */
import type { SqlClient } from "@effect/sql"
import type { PgliteClient } from "@synchrotron/sql-pglite"
import type { Principal, Protocol, Replica, SyncApp } from "@synchrotron/sync-core"
import { type Authority, AuthorityLive } from "@synchrotron/sync-server"
import { type Context, type Effect, Layer, type Scope } from "effect"

/** One local database and what a test does with it. */
export interface SimulatedClient {
  readonly name: string
  readonly userId: string
  readonly replica: Replica.Replica
  readonly sql: PgliteClient
  /** One round trip with the authority, nothing lost. */
  readonly sync: Effect.Effect<Replica.Received, unknown>
}

export interface World {
  readonly authority: Context.Tag.Service<typeof Authority>
  readonly server: SqlClient.SqlClient
  readonly client: (
    name: string,
    options?: {
      readonly userId?: string
      readonly dataDir?: string
      readonly fastPaths?: boolean
      readonly purityCheck?: boolean
    }
  ) => Effect.Effect<SimulatedClient, unknown, Scope.Scope>
}

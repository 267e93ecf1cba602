/** The servers' shared database, as a simulated world needs it: the same on PGlite and on Postgres. */
import { Reactivity } from "@effect/experimental"
import type { SqlClient } from "@effect/sql"
import { PgliteClient } from "@synchrotron/sql-pglite"
import { Effect, type Scope } from "effect"
import type * as Slot from "./Slot.ts"

export interface ServerSlot {
  /** A session past the processes, for checkers and writes from outside. */
  readonly probe: SqlClient.SqlClient
  /** A new process' way to the database. */
  readonly attach: (watch: Watch) => Attachment
  /** Is another one after each commit that changed something. */
  readonly version: Effect.Effect<string>
  /** The end of the statements that are under way, or null when there are none. */
  readonly underWay: () => Promise<void> | null
  /** Takes everything back that happened since the slot was opened. */
  readonly reset: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface Watch {
  /** After each statement that leaves no transaction open, before its process has the answer. */
  readonly onIdle: Effect.Effect<void>
  readonly onCrash: (message: number) => void
}

export interface Attachment {
  /** The process' connections, until the scope is closed. */
  readonly connect: Effect.Effect<SqlClient.SqlClient, unknown, Scope.Scope>
  /** The process ends at the `after`-th message from now on: before it is executed when odd, else after. */
  readonly crashAfter: (after: number | null) => void
  /** The process ends now. */
  readonly kill: () => void
}

export const onPglite = (slot: Slot.Slot): ServerSlot => ({
  probe: slot.probe,
  attach: ({ onCrash, onIdle }) => {
    const attachment = slot.attach({ onIdle: () => Effect.runSync(onIdle), onCrash, onTurnOver: () => {} })
    return {
      connect: PgliteClient.make({ pglite: attachment.pglite }).pipe(Effect.provide(Reactivity.layer)),
      crashAfter: attachment.crashAfter,
      kill: attachment.kill
    }
  },
  version: Effect.map(
    Effect.orDie(
      slot.probe.unsafe<{ x: string }>("SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS x")
    ),
    ([row]) => row!.x
  ),
  underWay: () => null,
  reset: slot.reset,
  close: slot.close
})

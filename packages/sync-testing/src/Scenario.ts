/** What is simulated: an application, its users, what they do, and what must always hold. */
import type { Action, SyncApp } from "@synchrotron/sync-core"
import type { Random } from "./Random.ts"

/** Reads a database, `$1` … for parameters. */
export type Query = <Row extends object = Record<string, unknown>>(
  sql: string,
  params?: ReadonlyArray<unknown>
) => Promise<ReadonlyArray<Row>>

/** Who acts: one device of one user. */
export interface Actor {
  /** Unique in the run, such as `c3`. */
  readonly name: string
  readonly userId: string
}

export interface Invariant {
  readonly name: string
  /**
   * One SELECT without a semicolon, about synced tables alone. It must return no rows at any commit, on the server and on
   * each client on which nothing is pending: below pending records, patches may stand in for code and its rules.
   */
  readonly sql: string
}

export interface Scenario {
  readonly name: string
  readonly app: SyncApp.SyncApp
  /** User ids. Devices are dealt to them in turn, so more clients than users means several devices of one user. */
  readonly users: ReadonlyArray<string>
  /** SQL that fills the server once, before any client syncs: accounts, memberships. */
  readonly seed?: string
  /**
   * The next operation of a client, or undefined for none. It may read what the client shows, and must get all its
   * chance from `random`.
   */
  readonly next: (input: {
    readonly random: Random
    readonly client: Actor
    readonly query: Query
  }) => Action.AnyOperation | undefined | Promise<Action.AnyOperation | undefined>
  /** SQL of a write that does not come from a client (psql, a cron job), or undefined. `query` reads the server. */
  readonly external?: (input: {
    readonly random: Random
    readonly query: Query
  }) => string | undefined | Promise<string | undefined>
  /** SQL that grants or revokes somebody's membership on the server, or undefined. */
  readonly membership?: (input: {
    readonly random: Random
    readonly query: Query
  }) => string | undefined | Promise<string | undefined>
  readonly invariants?: ReadonlyArray<Invariant>
}

/** Describes a scenario, for `simulate` and for `npm run sim -- --scenario PATH`. */
export const defineScenario = (scenario: Omit<Scenario, "name"> & { readonly name?: string }): Scenario => ({
  name: scenario.app.name,
  ...scenario
})

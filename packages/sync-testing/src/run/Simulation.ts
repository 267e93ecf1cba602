/** What the parts of a run share. */

import type { Live } from "@synchrotron/sync-core"
import type { Exchange, ServerView } from "../check/Checker.ts"
import type { Scenario } from "../Scenario.ts"
import type { Script } from "../Script.ts"
import type { Checks } from "./Checks.ts"
import type { Follower } from "./feed.ts"
import type { Log } from "./Log.ts"
import type { SimClient } from "./SimClient.ts"
import type { SimServer } from "./SimServer.ts"
import type { VirtualTime } from "./VirtualTime.ts"

export interface Simulation {
  readonly scenario: Scenario
  readonly script: Script
  readonly time: VirtualTime
  readonly log: Log
  readonly checks: Checks
  readonly serverView: ServerView
  readonly servers: ReadonlyArray<SimServer>
  readonly clients: ReadonlyArray<SimClient>
  /** The next exchange has the next number. */
  readonly exchange: (from: SimClient, request: Exchange["request"]) => Exchange
  /** Writes to the servers' database past every action; gives what went wrong. */
  readonly write: (sql: string) => Promise<string | null>
  /** What a planted bug makes of messages of the live path. */
  readonly distort: (message: Live.Message) => Live.Message
  /** Clients that hear of commits now. */
  readonly followers: Set<Follower>
  /** Whether the faults are over. */
  healed: boolean
}

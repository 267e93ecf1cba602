/** What a run gives. */
import type { InvariantName, Verdict } from "./check/Checker.ts"
import type { FaultName } from "./Faults.ts"
import type { Script } from "./Script.ts"
import type { Event } from "./Trace.ts"

export interface Failure {
  /** The invariant, or `invariant NAME` for one of the scenario's own. */
  readonly check: string
  /** Milliseconds since the beginning, in virtual time. */
  readonly at: number
  readonly message: string
}

export interface Report {
  /** `fail` when anything was violated; `unknown` when nothing was executed; else `pass`. */
  readonly verdict: Verdict
  readonly seed: number
  readonly clients: number
  /** Operations that clients executed. */
  readonly actions: number
  readonly confirmed: number
  readonly changed: number
  readonly rejected: number
  readonly voided: number
  /** Commits that took canonical records back. */
  readonly lateArrivals: number
  /** Records executed again, on servers and clients. */
  readonly replays: number
  /** Clients and servers that crashed and started again. */
  readonly restarts: number
  /** How often each fault happened. */
  readonly faults: Readonly<Partial<Record<FaultName, number>>>
  readonly checks: Readonly<Record<InvariantName, Verdict>>
  readonly wallMs: number
  readonly failures: ReadonlyArray<Failure>
  /** Hash of the trace: equal for two runs of one script. */
  readonly hash: string
  readonly trace: ReadonlyArray<Event>
  readonly script: Script
}

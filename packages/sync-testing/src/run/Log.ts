/** What a run tells: events, faults and failures. */
import type { Protocol } from "@synchrotron/sync-core"
import type { FaultName } from "../Faults.ts"
import type { Failure } from "../Report.ts"
import type { Event } from "../Trace.ts"

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
export type Emit = (event: DistributiveOmit<Event, "at">) => void

const failuresMax = 50

export class Log {
  readonly trace: Array<Event> = []
  readonly failures: Array<Failure> = []
  readonly faults: Partial<Record<FaultName, number>> = {}
  readonly counts = { actions: 0, replays: 0, restarts: 0 }
  private readonly labels = new Map<string, string>()
  private readonly at: () => number

  /** `at`: milliseconds since the beginning, in virtual time. */
  constructor(at: () => number) {
    this.at = at
  }

  readonly emit: Emit = (event) => {
    this.trace.push({ at: this.at(), ...event } as Event)
  }

  readonly fault = (name: FaultName): void => {
    this.faults[name] = (this.faults[name] ?? 0) + 1
  }

  readonly violated = (check: string, message: string): void => {
    if (this.failures.length >= failuresMax) return
    this.failures.push({ check, at: this.at(), message })
    this.emit({ lane: "sim", kind: "violated", check, message })
  }

  /** `c2#5` for a record that a client executed, `x3` for one that came from elsewhere. */
  readonly label = (id: string): string => {
    const known = this.labels.get(id)
    if (known !== undefined) return known
    const made = `x${this.labels.size}`
    this.labels.set(id, made)
    return made
  }

  readonly name = (id: string, label: string): void => {
    this.labels.set(id, label)
  }

  readonly verdict = (verdict: Protocol.Verdict) => ({
    record: this.label(verdict.id),
    outcome: verdict.outcome,
    ...("error" in verdict ? { why: `${verdict.error.class}: ${verdict.error.message}` } : {})
  })
}

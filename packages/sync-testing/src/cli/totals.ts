/** What several runs gave together. Adding is commutative, so the order in which processes report does not matter. */
import { type InvariantName, invariants, type Verdict } from "../check/Checker.ts"
import { type FaultName, faultNames } from "../Faults.ts"
import type { Report } from "../Report.ts"

/** A report without what can be made again from its seed. */
export type Outcome = Omit<Report, "trace" | "script">

export const outcomeOf = ({ trace: _trace, script: _script, ...outcome }: Report): Outcome => outcome

const counted = [
  "actions",
  "confirmed",
  "changed",
  "rejected",
  "voided",
  "lateArrivals",
  "replays",
  "restarts"
] as const

type Counts = Readonly<Record<(typeof counted)[number], number>>
type ByVerdict = Readonly<Record<Verdict, number>>

export interface Totals extends Counts {
  readonly seeds: number
  readonly byVerdict: ByVerdict
  /** How often each fault happened, in the order of their names. */
  readonly faults: Readonly<Partial<Record<FaultName, number>>>
  /** For how many seeds each check said what. */
  readonly checks: Readonly<Record<InvariantName, ByVerdict>>
  /** The failing runs with the lowest seeds, in order. */
  readonly failed: ReadonlyArray<Outcome>
}

/** How many failing runs are kept. More are counted only. */
export const failedKeptMax = 20

const noVerdicts: ByVerdict = { pass: 0, fail: 0, unknown: 0 }

export const none: Totals = {
  seeds: 0,
  byVerdict: noVerdicts,
  actions: 0,
  confirmed: 0,
  changed: 0,
  rejected: 0,
  voided: 0,
  lateArrivals: 0,
  replays: 0,
  restarts: 0,
  faults: {},
  checks: record(invariants, () => noVerdicts),
  failed: []
}

export const add = (totals: Totals, outcome: Outcome): Totals => ({
  seeds: totals.seeds + 1,
  byVerdict: and(totals.byVerdict, outcome.verdict),
  ...record(counted, (name) => totals[name] + outcome[name]),
  faults: Object.fromEntries(
    faultNames.flatMap((name) => {
      const count = (totals.faults[name] ?? 0) + (outcome.faults[name] ?? 0)
      return count === 0 ? [] : [[name, count] as const]
    })
  ),
  checks: record(invariants, (name) => and(totals.checks[name], outcome.checks[name])),
  failed:
    outcome.verdict === "fail"
      ? [...totals.failed, outcome].sort((a, b) => a.seed - b.seed).slice(0, failedKeptMax)
      : totals.failed
})

const and = (counts: ByVerdict, verdict: Verdict): ByVerdict => ({
  ...counts,
  [verdict]: counts[verdict] + 1
})

function record<Name extends string, A>(names: ReadonlyArray<Name>, value: (name: Name) => A) {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<Name, A>
}

/** `fail` when any failed, `pass` when any passed, else `unknown`. */
export const verdictOf = (counts: ByVerdict): Verdict =>
  counts.fail > 0 ? "fail" : counts.pass > 0 ? "pass" : "unknown"

/** What `--json` prints. `seed` is the first one that failed, else the first. */
export const toJson = (
  totals: Totals,
  run: { readonly seed: number; readonly clients: number; readonly wallMs: number; readonly several: boolean }
) => ({
  verdict: verdictOf(totals.byVerdict),
  seed: totals.failed[0]?.seed ?? run.seed,
  clients: run.clients,
  ...record(counted, (name) => totals[name]),
  faults: totals.faults,
  checks: record(invariants, (name) => verdictOf(totals.checks[name])),
  wallMs: run.wallMs,
  ...(run.several && {
    seeds: totals.seeds,
    failedSeeds: totals.byVerdict.fail,
    seedsPerSecond: perSecond(totals.seeds, run.wallMs)
  })
})

/** Three digits. */
export const perSecond = (count: number, ms: number): number =>
  ms <= 0 ? 0 : Number(((count * 1000) / ms).toPrecision(3))

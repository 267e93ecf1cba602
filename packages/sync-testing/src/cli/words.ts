/** Runs, failures and scripts in words, for a terminal. */
import { invariants } from "../check/Checker.ts"
import { type FaultName, faultNames } from "../Faults.ts"
import type { Failure } from "../Report.ts"
import type { Script, Step } from "../Script.ts"
import * as Duration from "../timeline/Duration.ts"
import { perSecond, type Totals, verdictOf } from "./totals.ts"

export const count = (number: number, what: string): string =>
  `${number} ${number === 1 ? what : what.endsWith("y") ? `${what.slice(0, -1)}ies` : `${what}s`}`

/** A few aligned lines: what was run, what happened, and what each check says. */
export const summary = (
  totals: Totals,
  run: {
    readonly scenario: string
    readonly seed: number
    readonly clients: number
    readonly faults: ReadonlySet<FaultName> | null
    readonly wallMs: number
  }
): string => {
  const { seeds, byVerdict, checks } = totals
  const happened = Object.entries(totals.faults).map(([name, times]) => `${name} ${times}`)
  const unseen = [
    ...invariants.filter((name) => verdictOf(checks[name]) === "unknown"),
    ...faultNames.filter((name) => run.faults?.has(name) && totals.faults[name] === undefined)
  ]
  const lines: ReadonlyArray<readonly [string, string]> = [
    [
      "scenario",
      `${run.scenario}, ${count(run.clients, "client")}, ${seeds === 1 ? `seed ${run.seed}` : `${seeds} seeds from ${run.seed}`}`
    ],
    [
      "actions",
      `${totals.actions} executed: ${totals.confirmed} confirmed (${totals.changed} changed), ${totals.rejected} rejected, ${totals.voided} voided`
    ],
    [
      "replays",
      `${count(totals.lateArrivals, "late arrival")}, ${count(totals.replays, "record")} executed again, ${count(totals.restarts, "restart")}`
    ],
    ["faults", happened.length === 0 ? "none" : happened.join(", ")],
    [
      "checks",
      invariants
        .map((name) => {
          const { pass, fail, unknown } = checks[name]
          if (seeds === 1) return `${name} ${verdictOf(checks[name])}`
          return `${name} ${[
            [pass, "pass"],
            [fail, "fail"],
            [unknown, "unknown"]
          ]
            .flatMap(([times, verdict]) => (times === 0 ? [] : [`${times} ${verdict}`]))
            .join("/")}`
        })
        .join(", ")
    ],
    ["not seen", unseen.length === 0 ? "nothing of it" : unseen.join(", ")],
    [
      "speed",
      `${Duration.short(run.wallMs)}, ${perSecond(seeds, run.wallMs)} seeds/s, ${perSecond(totals.actions, run.wallMs)} actions/s`
    ],
    [
      "verdict",
      seeds < 2
        ? verdictOf(byVerdict)
        : `${verdictOf(byVerdict)} (${byVerdict.pass} passed, ${byVerdict.fail} failed, ${byVerdict.unknown} unknown)`
    ]
  ]
  return lines
    .filter(([name, text]) => name !== "not seen" || text !== "nothing of it")
    .map(([name, text]) => `${name.padEnd(10)}${text}`)
    .join("\n")
}

const failuresShownMax = 5

/** What failed in one run, the first of it in full. */
export const failuresOf = (seed: number, failures: ReadonlyArray<Failure>): string =>
  [
    `Seed ${seed} failed.`,
    ...failures
      .slice(0, failuresShownMax)
      .map(({ check, at, message }) => `  ${check} after ${Duration.short(at)}: ${message}`),
    ...(failures.length > failuresShownMax ? [`  and ${failures.length - failuresShownMax} more`] : [])
  ].join("\n")

/** The script as a list: the world that it needs, then its steps. */
export const scriptOf = (script: Script): string => {
  const { network } = script
  const world = [
    ...script.devices.map(
      ({ user, skewMs, lacks }, index) =>
        `c${index} is a device of ${user}${skewMs === 0 ? "" : `, its clock ${Duration.signed(skewMs)}`}${lacks === null ? "" : `, and has no action ${lacks}`}`
    ),
    ...(script.serverSkewsMs.length > 1 || script.serverSkewsMs[0] !== 0
      ? script.serverSkewsMs.map(
          (skewMs, index) => `s${index} is a server, its clock ${Duration.signed(skewMs)}`
        )
      : []),
    ...(network.latencyMsMax > 0 ? [`messages take up to ${Duration.short(network.latencyMsMax)}`] : []),
    ...(network.slow > 0 ? [`${percent(network.slow)} of messages are slow`] : []),
    ...(network.loss > 0 ? [`${percent(network.loss)} of requests are lost`] : []),
    ...(network.duplication > 0 ? [`${percent(network.duplication)} of requests arrive twice`] : []),
    ...(network.lostResponse > 0 ? [`${percent(network.lostResponse)} of answers are lost`] : []),
    ...(script.tickMs > 1 ? [`clocks tick every ${Duration.short(script.tickMs)}`] : []),
    ...(script.reorderWindowMs === null
      ? []
      : [`the reorder window is ${Duration.short(script.reorderWindowMs)}`]),
    ...(script.reorderWindowRecords === null
      ? []
      : [`the reorder window is ${count(script.reorderWindowRecords, "record")}`])
  ]
  return [
    ...world.map((line) => `  ${line}`),
    ...script.steps.map((step) => `  ${Duration.exact(step.at)}  ${stepOf(step)}`)
  ].join("\n")
}

const percent = (probability: number) => `${Number((100 * probability).toPrecision(2))} %`

const stepOf = (step: Step): string => {
  switch (step.kind) {
    case "act":
      return `c${step.client} acts`
    case "sync":
      return `c${step.client} is asked to sync`
    case "read":
      return `c${step.client} is read meanwhile`
    case "inbox":
      return `c${step.client} retries or dismisses what was refused`
    case "offline":
      return `c${step.client} is offline for ${Duration.short(step.forMs)}`
    case "partition":
      return `c${step.client} reaches no server for ${Duration.short(step.forMs)}`
    case "client-crash":
      return `c${step.client} crashes at message ${step.after} from here, for ${Duration.short(step.downMs)}`
    case "server-crash":
      return `s${step.server} crashes at message ${step.after} from here, for ${Duration.short(step.downMs)}`
    case "clock":
      return `the clock of c${step.client} jumps by ${Duration.signed(step.jumpMs)}`
    case "membership":
      return "a membership is granted or revoked"
    case "external":
      return "something is written on the server"
    case "throw":
      return `c${step.client} acts, and does what throws on the server`
    case "novelty":
      return `c${step.client} does what the server does not know`
    case "forgery":
      return `somebody forges a request with the token of c${step.client}`
  }
}

/** Failures and scripts in words. */
import type { Failure, Report } from "../Report.ts"
import type { Compaction, Script, Step } from "../Script.ts"
import * as Duration from "../timeline/Duration.ts"
import type { Found } from "./investigate.ts"

export const count = (number: number, what: string): string =>
  `${number} ${number === 1 ? what : what.endsWith("y") ? `${what.slice(0, -1)}ies` : `${what}s`}`

/** The failure by which a run is known: its first. */
export const failureOf = ({ failures }: Pick<Report, "failures">): Failure =>
  failures[0] ?? { check: "verdict", at: 0, message: "The run failed, and no check says why." }

/** What came of investigating a failure of this check. `asItIs`: it was not to be shrunk. */
export const foundOf = (seed: number, check: string, found: Found, asItIs: boolean): string => {
  if (found.again === "not") {
    return `Run again, seed ${seed} did not fail ${check}: something besides the seed decides, which is a mistake in the simulator or in the scenario.`
  }
  const { devices, steps } = found.script
  const size = `${count(steps.length, "step")} of ${count(devices.length, "client")}`
  return [
    ...(found.again === "differently"
      ? [
          `Run again, seed ${seed} failed ${check} in another way: something besides the seed decides, which is a mistake in the simulator or in the scenario.`
        ]
      : []),
    ...(asItIs
      ? [`The script of seed ${seed} has ${size}.`]
      : [
          `Seed ${seed}, shrunk to ${size} in ${count(found.tried, "run")}:`,
          scriptOf(found.script),
          ...actsOf(found.report),
          failuresOf(seed, found.report.failures)
        ])
  ].join("\n")
}

const actsShownMax = 20

/** What clients did in a run: the actions that a script has no names for. */
const actsOf = ({ trace }: Report): ReadonlyArray<string> => {
  const acts = trace.flatMap((event) =>
    event.kind === "executed"
      ? [`  ${Duration.exact(event.at)}  ${event.record} is ${event.action} ${event.args}`]
      : []
  )
  return acts.length === 0
    ? []
    : [
        "In it the clients did:",
        ...acts.slice(0, actsShownMax),
        ...(acts.length > actsShownMax ? [`  and ${acts.length - actsShownMax} more`] : [])
      ]
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
      : [`the reorder window is ${count(script.reorderWindowRecords, "record")}`]),
    ...(script.compaction === undefined ? [] : [`compaction leaves ${compactionLeaves(script.compaction)}`]),
    ...(script.chunkRowsMax === null ? [] : [`an answer holds ${count(script.chunkRowsMax, "row")} at most`])
  ]
  return [
    ...world.map((line) => `  ${line}`),
    ...script.steps.map((step) => `  ${Duration.exact(step.at)}  ${stepOf(step)}`)
  ].join("\n")
}

/** `a window of 10 min and 3 records, and tombstones for 1 h; it removes 5 rows at a time`. */
const compactionLeaves = ({
  batchRows,
  reorderWindowMs,
  reorderWindowRecords,
  tombstoneMs
}: Compaction): string => {
  const window = [
    ...(reorderWindowMs === null ? [] : [Duration.short(reorderWindowMs)]),
    ...(reorderWindowRecords === null ? [] : [count(reorderWindowRecords, "record")])
  ]
  return `a window of ${window.join(" and ")}, and tombstones for ${Duration.short(tombstoneMs)}; it removes ${count(batchRows, "row")} at a time`
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
    case "compaction":
      return `s${step.server} compacts its log`
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

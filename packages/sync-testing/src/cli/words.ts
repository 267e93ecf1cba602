/** What a batch gave in words, for a terminal. */
import { invariants } from "../check/Checker.ts"
import { type FaultName, faultNames } from "../Faults.ts"
import { count } from "../failures/words.ts"
import * as Duration from "../timeline/Duration.ts"
import { perSecond, type Totals, verdictOf } from "./totals.ts"

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

/** What came of a seed that failed: what it was, a small script of it, and a file that repeats it. */
import { Effect, Option } from "effect"
import { type Found, investigate } from "../failures/investigate.ts"
import { failureOf, failuresOf, foundOf } from "../failures/words.ts"
import { saveRegression } from "../regressions.ts"
import type { Scenario } from "../Scenario.ts"
import { type Batch, scriptFor } from "./batch.ts"
import { arenaOf, canaryOf } from "./engine.ts"
import { CommandFailed, sentence } from "./failure.ts"
import * as Output from "./output.ts"
import type * as Progress from "./progress.ts"
import type * as Totals from "./totals.ts"

/** How long one failure is shrunk. */
const shrinkMsMax = 60_000

/** How many failures of a batch without end are shrunk: the first of each check. */
const shrunkMax = 5

export interface ExplainOptions extends Output.OutputOptions {
  readonly noShrink: boolean
  readonly out: string
}

/** Stores the script of a failing seed as it is. Gives the file. */
export const save = (
  { out }: Pick<ExplainOptions, "out">,
  batch: Batch,
  { check, message }: { readonly check: string; readonly message: string },
  script: Found["script"]
) =>
  saveRegression(out, {
    scenario: batch.scenario,
    found: `${batch.canary === null ? "" : `With the planted bug ${batch.canary}: `}${message.split("\n", 1)[0] || check}`,
    check,
    script
  })

/** Says what failed, shrinks it, and leaves behind what repeats it. */
export const explain = (
  given: ExplainOptions,
  batch: Batch,
  scenario: Scenario,
  totals: Totals.Totals,
  progress: Progress.Progress
) =>
  Effect.gen(function* () {
    const output = Output.make(given)
    const [first, ...others] = totals.failed
    if (first === undefined) return
    yield* output.say(failuresOf(first.seed, first.failures))
    if (others.length > 0) {
      const more = totals.byVerdict.fail - totals.failed.length
      const seeds = others.map((failed) => `${failed.seed} (${failureOf(failed).check})`).join(", ")
      yield* output.say(`So did ${seeds}${more > 0 ? ` and ${more} more` : ""}.`)
    }
    const canary = batch.canary === null ? undefined : yield* canaryOf(batch.canary)
    const arena = yield* arenaOf(scenario, batch.db)
    for (const failed of batch.seeds === null ? firstOfEachCheck(totals.failed) : [first]) {
      const failure = failureOf(failed)
      const script = scriptFor(scenario, batch, failed.seed)
      // Before anything else: whoever has no patience for shrinking has the script all the same.
      yield* save(given, batch, failure, script)
      const found = yield* Effect.tryPromise({
        try: () =>
          investigate(
            { arena, canary },
            script,
            { check: failure.check, hash: failed.hash },
            {
              budgetMs: given.noShrink ? 0 : shrinkMsMax,
              onProgress: ({ tried, steps }) =>
                progress.note(`shrinking seed ${failed.seed}: ${steps} steps left after ${tried} runs`)
            }
          ),
        catch: (cause) => new CommandFailed({ message: sentence(cause) })
      })
      progress.clear()
      const file = yield* save(given, batch, failure, found.script)
      yield* output.say(foundOf(failed.seed, failure.check, found, given.noShrink))
      const also = [
        ...(batch.canary === null ? [] : ["--canary", batch.canary]),
        ...(batch.db === "pglite" ? [] : ["--db", "postgres"])
      ]
      yield* output.say(`To repeat it:\n  ${[Output.self, "--replay", file, ...also].join(" ")}`)
      if (failed === first && Option.isSome(given.timeline)) {
        yield* Output.writeTimeline(given.timeline.value, found.report)
        yield* output.say(`Its timeline is in ${given.timeline.value}.`)
      }
    }
  }).pipe(Effect.scoped)

const firstOfEachCheck = (failed: ReadonlyArray<Totals.Outcome>) => {
  const checks = failed.map((outcome) => failureOf(outcome).check)
  return failed.filter((_, index) => checks.indexOf(checks[index]!) === index).slice(0, shrunkMax)
}

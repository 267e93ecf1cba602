/** Runs a stored script once. */
import { Effect, Option } from "effect"
import type { Verdict } from "../check/Checker.ts"
import { failuresOf, scriptOf } from "../failures/words.ts"
import { loadRegression } from "../regressions.ts"
import { runScript } from "./batch.ts"
import { arenaOf, canaryOf } from "./engine.ts"
import { CommandFailed, sentence } from "./failure.ts"
import { databaseFrom } from "./options.ts"
import * as Output from "./output.ts"
import * as Progress from "./progress.ts"
import { loadScenario } from "./scenarios.ts"
import * as Totals from "./totals.ts"
import * as Words from "./words.ts"

/** @param given.scenario instead of the one that the file names */
export const replay = (
  given: Output.OutputOptions & { readonly replay: string; readonly scenario: Option.Option<string> }
) =>
  Effect.gen(function* () {
    const { script, found, ...stored } = yield* loadRegression(given.replay)
    const scenario = yield* loadScenario(Option.getOrElse(given.scenario, () => stored.scenario))
    const canary = Option.isSome(given.canary) ? yield* canaryOf(given.canary.value) : undefined
    const output = Output.make(given)
    const progress = Progress.make(1)
    yield* output.say(`${given.replay}: ${found}\n${scriptOf(script)}`)
    const arena = yield* arenaOf(scenario, yield* databaseFrom(given.db))
    const report = yield* Effect.tryPromise({
      try: () =>
        runScript(arena, script, canary, ({ done, total }) => progress.note(`step ${done} of ${total}`)),
      catch: (cause) => new CommandFailed({ message: `${given.replay} could not be run: ${sentence(cause)}` })
    })
    progress.clear()
    if (report.verdict === "fail") yield* output.say(failuresOf(script.seed, report.failures))
    if (Option.isSome(given.timeline)) {
      yield* Output.writeTimeline(given.timeline.value, report)
      yield* output.say(`Its timeline is in ${given.timeline.value}.`)
    }
    const totals = Totals.add(Totals.none, Totals.outcomeOf(report))
    const run = {
      seed: script.seed,
      clients: script.devices.length,
      wallMs: Math.round(report.wallMs),
      several: false,
      scenario: scenario.name,
      faults: null
    }
    yield* output.result({ words: Words.summary(totals, run), json: Totals.toJson(totals, run) })
    return report.verdict satisfies Verdict
  }).pipe(Effect.scoped)

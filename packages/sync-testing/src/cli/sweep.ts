/** Runs a seed, or many, and says what came of it. */
import { availableParallelism } from "node:os"
import type { FileSystem, Path } from "@effect/platform"
import { Console, Effect, Option, Random, Runtime } from "effect"
import type { Verdict } from "../check/Checker.ts"
import { failureOf, failuresOf } from "../failures/words.ts"
import type { Scenario } from "../Scenario.ts"
import { type Batch, runShare, scriptFor, type Watch } from "./batch.ts"
import { arenaOf, canaryOf, Engine } from "./engine.ts"
import { type ExplainOptions, explain, save } from "./explain.ts"
import { CommandFailed, sentence } from "./failure.ts"
import { runJobs } from "./jobs.ts"
import { databaseFrom, faultsFrom } from "./options.ts"
import * as Output from "./output.ts"
import * as Progress from "./progress.ts"
import { loadScenario } from "./scenarios.ts"
import * as Totals from "./totals.ts"
import * as Words from "./words.ts"

export interface SweepOptions extends ExplainOptions {
  readonly scenario: Option.Option<string>
  readonly clients: number
  readonly actions: number
  readonly seed: Option.Option<number>
  readonly seeds: number
  readonly forever: boolean
  readonly jobs: Option.Option<number>
  readonly faults: string
}

export const sweep = (given: SweepOptions) =>
  Effect.gen(function* () {
    const endless = given.forever || given.seeds === 0
    const batch: Batch = {
      scenario: Option.getOrElse(given.scenario, () => "bank"),
      db: yield* databaseFrom(given.db),
      canary: Option.getOrNull(given.canary),
      faults: yield* faultsFrom(given.faults),
      clients: given.clients,
      actions: given.actions,
      seed: Option.isSome(given.seed) ? given.seed.value : yield* Random.nextIntBetween(0, 2 ** 31),
      seeds: endless ? null : given.seeds
    }
    const scenario = yield* loadScenario(batch.scenario)
    if (batch.canary !== null) yield* canaryOf(batch.canary)
    const jobs = Math.min(
      Option.getOrElse(given.jobs, () => availableParallelism()),
      batch.seeds ?? Number.POSITIVE_INFINITY
    )

    const output = Output.make(given)
    const progress = Progress.make(batch.seeds)
    yield* output.say(`Seed ${batch.seed}${endless ? " and all after it" : ""}`)
    const beganMs = performance.now()
    const { totals, broken } = yield* runAll(given, batch, jobs, progress, scenario)
    const wallMs = Math.round(performance.now() - beganMs)
    progress.clear()

    const verdict = Totals.verdictOf(totals.byVerdict)
    if (verdict === "fail") yield* explain(given, batch, scenario, totals, progress)
    // What failed before has been told; there is no result of seeds that could not be run.
    if (broken !== undefined) return yield* broken
    if (verdict !== "fail" && Option.isSome(given.timeline)) {
      yield* Output.writeTimelineOf(given.timeline.value, scenario, batch, batch.seed)
      yield* output.say(`The timeline of seed ${batch.seed} is in ${given.timeline.value}.`)
    }
    const run = {
      seed: batch.seed,
      clients: batch.clients,
      wallMs,
      several: batch.seeds !== 1,
      scenario: scenario.name,
      faults: new Set(batch.faults)
    }
    yield* output.result({ words: Words.summary(totals, run), json: Totals.toJson(totals, run) })
    return verdict satisfies Verdict
  })

/** What the seeds gave, and why there are not more of them. */
const runAll = (
  given: SweepOptions,
  batch: Batch,
  jobs: number,
  progress: Progress.Progress,
  scenario: Scenario
) =>
  Effect.gen(function* () {
    const { stop: signal } = yield* Engine
    const runtime = yield* Effect.runtime<FileSystem.FileSystem | Path.Path>()
    let totals = Totals.none
    const onOutcome = (outcome: Totals.Outcome) => {
      totals = Totals.add(totals, outcome)
      // Whatever ends a long night, its failures are known.
      if (outcome.verdict === "fail" && batch.seeds === null && totals.failed.includes(outcome)) {
        progress.clear()
        Runtime.runFork(runtime)(
          save(given, batch, failureOf(outcome), scriptFor(scenario, batch, outcome.seed)).pipe(
            Effect.flatMap((file) =>
              Console.error(`${failuresOf(outcome.seed, outcome.failures)}\n  saved as ${file}`)
            ),
            Effect.catchAll((error) => Console.error(error.message))
          )
        )
      }
      progress.batch(totals)
    }
    const run =
      jobs > 1
        ? attempt(() => runJobs(batch, jobs, { signal, onOutcome }))
        : runHere(batch, scenario, { signal, onOutcome }, progress)
    const broken = yield* Effect.match(run, { onFailure: (error) => error, onSuccess: () => undefined })
    return { totals, broken }
  })

/** One job needs no process of its own. */
const runHere = (
  batch: Batch,
  scenario: Scenario,
  watch: Pick<Watch, "signal" | "onOutcome">,
  progress: Progress.Progress
) =>
  Effect.gen(function* () {
    const arena = yield* arenaOf(scenario, batch.db)
    const canary = batch.canary === null ? undefined : yield* canaryOf(batch.canary)
    const onProgress = ({ done, total }: { done: number; total: number }) => {
      if (batch.seeds === 1) progress.note(`seed ${batch.seed}, step ${done} of ${total}`)
    }
    yield* attempt(() =>
      runShare({ arena, scenario, canary }, batch, { job: 0, jobs: 1 }, { ...watch, onProgress })
    )
  }).pipe(Effect.scoped)

const attempt = (run: () => Promise<void>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new CommandFailed({ message: sentence(cause) })
  })

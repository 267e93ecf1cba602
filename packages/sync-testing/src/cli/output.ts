/** Where the command's words and results go. */
import { FileSystem, Path } from "@effect/platform"
import { Console, Effect, type Option } from "effect"
import type { Report } from "../Report.ts"
import type { Scenario } from "../Scenario.ts"
import { timelineHtml } from "../timeline/Timeline.ts"
import { type Batch, runScript, scriptFor } from "./batch.ts"
import { arenaOf, canaryOf } from "./engine.ts"
import { CommandFailed, sentence } from "./failure.ts"

export interface OutputOptions {
  readonly json: boolean
  readonly timeline: Option.Option<string>
  readonly canary: Option.Option<string>
  readonly db: "pglite" | "postgres"
}

/** How this command is called here: the root's script says so of itself. */
export const self = process.env.SYNCHROTRON_SIM_COMMAND ?? "synchrotron-sim"

/** With `--json`, stdout is for the result alone, which is then an object instead of words. */
export const make = ({ json }: Pick<OutputOptions, "json">) => ({
  say: (text: string) => (json ? Console.error(text) : Console.log(text)),
  result: (result: { readonly words: string; readonly json: object }) =>
    Console.log(json ? JSON.stringify(result.json) : result.words)
})

export const writeTimeline = Effect.fn("output.writeTimeline")(function* (path: string, report: Report) {
  const files = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  yield* files.makeDirectory(dirname(path), { recursive: true }).pipe(
    Effect.zipRight(files.writeFileString(path, timelineHtml(report))),
    Effect.mapError(
      (error) => new CommandFailed({ message: `The timeline cannot be written: ${error.message}` })
    )
  )
})

/** Runs a seed again, for its trace. */
export const writeTimelineOf = (path: string, scenario: Scenario, batch: Batch, seed: number) =>
  Effect.gen(function* () {
    const arena = yield* arenaOf(scenario, batch.db)
    const canary = batch.canary === null ? undefined : yield* canaryOf(batch.canary)
    const report = yield* Effect.tryPromise({
      try: () => runScript(arena, scriptFor(scenario, batch, seed), canary),
      catch: (cause) => new CommandFailed({ message: sentence(cause) })
    })
    yield* writeTimeline(path, report)
  }).pipe(Effect.scoped)

/** Failures that were found once, as JSON files: each a script to run again, to see that it stays repaired. */
import { FileSystem, Path } from "@effect/platform"
import { Effect, ParseResult, Schema } from "effect"
import { Script } from "./Script.ts"

export const Regression = Schema.Struct({
  /** A built-in scenario's name, or the path of a module that default-exports one. */
  scenario: Schema.NonEmptyString,
  /** What it was, in a sentence. */
  found: Schema.NonEmptyString,
  /** The check that failed, such as `I4`. */
  check: Schema.NonEmptyString,
  script: Script
})
export type Regression = typeof Regression.Type

/** The file or folder cannot be read or written. Look at `reason`: usually the path is wrong. */
export class RegressionInaccessible extends Schema.TaggedError<RegressionInaccessible>()(
  "RegressionInaccessible",
  { path: Schema.String, reason: Schema.String }
) {
  override get message() {
    return `${this.path} is not accessible: ${this.reason}`
  }
}

/** The file is no stored failure, or one of an older form. Repair it, or remove it. */
export class RegressionMalformed extends Schema.TaggedError<RegressionMalformed>()("RegressionMalformed", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.path} is no stored failure: ${this.reason}`
  }
}

export interface Stored extends Regression {
  readonly path: string
}

const json = Schema.parseJson(Regression, { space: 2 })

/** One stored failure. */
export const loadRegression = Effect.fn("regressions.load")(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  const text = yield* files.readFileString(path).pipe(Effect.mapError(inaccessible(path)))
  const regression = yield* Schema.decode(json)(text, { onExcessProperty: "error" }).pipe(
    Effect.mapError(
      (error) => new RegressionMalformed({ path, reason: ParseResult.TreeFormatter.formatErrorSync(error) })
    )
  )
  return { ...regression, path } satisfies Stored
})

/** The stored failures of a folder, in the order of their files' names. */
export const loadRegressions = Effect.fn("regressions.loadAll")(function* (folder: string) {
  const files = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const names = yield* files.readDirectory(folder).pipe(Effect.mapError(inaccessible(folder)))
  const stored = names.filter((name) => name.endsWith(".json")).sort()
  return yield* Effect.forEach(stored, (name) => loadRegression(join(folder, name)))
})

/** Writes `SCENARIO-SEED-CHECK.json` into the folder, over what was there, and returns its path. */
export const saveRegression = Effect.fn("regressions.save")(function* (
  folder: string,
  regression: Regression
) {
  const files = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const { script, check } = regression
  const path = join(folder, `${[script.scenario, script.seed, check].map(inFileName).join("-")}.json`)
  const text = yield* Schema.encode(json)(regression).pipe(Effect.orDie)
  yield* files.makeDirectory(folder, { recursive: true }).pipe(Effect.mapError(inaccessible(folder)))
  yield* files.writeFileString(path, `${text}\n`).pipe(Effect.mapError(inaccessible(path)))
  return path
})

const inaccessible = (path: string) => (error: { readonly message: string }) =>
  new RegressionInaccessible({ path, reason: error.message })

const inFileName = (part: string | number): string => String(part).replace(/[^\w.]+/g, "_")

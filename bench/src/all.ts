/** Every benchmark by name. */
import { Effect } from "effect"
import { localAction } from "./local.ts"
import type { Measurement, Scale } from "./measure.ts"
import { rebase } from "./rebase.ts"

const one = (effect: Effect.Effect<Measurement, unknown>) =>
  Effect.map(effect, (measurement) => [measurement])

export const benchmarks: ReadonlyArray<
  readonly [name: string, run: (scale: Scale) => Effect.Effect<ReadonlyArray<Measurement>, unknown>]
> = [
  ["local-action-1", (scale) => one(localAction(1, scale))],
  ["local-action-5", (scale) => one(localAction(5, scale))],
  ["rebase-100-100", (scale) => one(rebase("rebase", 100, 100, scale))],
  ["rebase-1000-10", (scale) => one(rebase("rebase", 1000, 10, scale))],
  ["rebase-1000-1000", (scale) => one(rebase("rebase", 1000, 1000, scale))],
  ["sync-100-100", (scale) => one(rebase("sync", 100, 100, scale))],
  ["sync-1000-1000", (scale) => one(rebase("sync", 1000, 1000, scale))]
]

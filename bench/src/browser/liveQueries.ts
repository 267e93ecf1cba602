/** A hundred watched rows of one table, of which one changes: who is told, and when. */
import { Effect } from "effect"
import { check, type Measurement, measurement, percentile, type Scale } from "../measure.ts"
import { stage } from "./stage.ts"
import { openTab } from "./tabs.ts"

/** The floor: as many queries of PGlite's live extension, in a worker with PGlite alone. */
export const liveQueries = (scale: Scale): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const tabs = yield* stage(scale.size(10_000))
    const tab = yield* openTab(tabs, { dataDir: "memory://queries" })
    const [queries, changes] = [scale.size(100), scale.size(50)]
    const ids = Array.from({ length: queries }, (_, i) => `row${i}`)
    const { heardReplica, ours, theirs } = yield* Effect.promise(() =>
      tab
        .evaluate((rows) => window.bench.bare.open("memory://bare", rows), tabs.rows)
        .then(() =>
          tab.evaluate(([ids, changes]) => window.bench.watchRows(ids, changes), [ids, changes] as const)
        )
    )
    check(ours.told === changes, `${ours.told} were told of ${changes} changes of one row`)
    check(!heardReplica, "the live extension hears of synced rows: what DESIGN.md says of it is no longer so")
    return [
      measurement("live-queries-100", "ms, p50", percentile(ours.ms, 0.5), percentile(theirs.ms, 0.5)),
      measurement("live-queries-100-told", "calls", ours.told, theirs.told)
    ]
  }).pipe(Effect.scoped)

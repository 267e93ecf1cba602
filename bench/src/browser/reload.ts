/** A reload of a page whose rows are on the device, with its files in the browser's cache. */
import { Effect } from "effect"
import { check, type Measurement, measurement, median, type Scale } from "../measure.ts"
import { stage } from "./stage.ts"
import { openTab } from "./tabs.ts"

/** Until the list is rendered, and until the first query has its rows. The floor: PGlite alone in a worker, and the same list. */
export const reload = (
  storage: "opfs-ahp" | "idb",
  scale: Scale
): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const tabs = yield* stage(scale.size(10_000))
    const rendered = yield* Effect.scoped(
      Effect.gen(function* () {
        const page = yield* openTab(tabs, { dataDir: `${storage}://kept` })
        const times: Array<{ list: number; query: number }> = []
        yield* Effect.promise(async () => {
          // To have opened it has filled the caches.
          for (let run = 0; run < scale.runs; run++) {
            await page.reload()
            const list = await page.waitForFunction(() => window.bench?.firstRendered())
            const query = await page.evaluate(() => window.bench.firstQuery())
            times.push({ list: (await list.jsonValue())!, query })
          }
          check((await page.evaluate(() => window.bench.count())) >= tabs.rows, "rows are missing")
        })
        return times
      })
    )
    const floors = yield* Effect.promise(async () => {
      const page = await tabs.open({ page: "bare", dataDir: `${storage}://bare` })
      const times: Array<number> = []
      await page.waitForFunction(() => window.firstRendered?.())
      for (let run = 0; run < scale.runs; run++) {
        await page.reload()
        const list = await page.waitForFunction(() => window.firstRendered?.())
        times.push((await list.jsonValue())!)
      }
      await page.close()
      return times
    })
    return [
      measurement(`reload-10k-${storage}`, "ms", median(rendered.map(({ list }) => list)), median(floors)),
      measurement(
        `reload-10k-${storage}-query`,
        "ms",
        median(rendered.map(({ query }) => query)),
        median(floors)
      )
    ]
  })

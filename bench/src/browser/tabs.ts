/** Operations of tabs: from the call to the view, to the disk, and many at once. */
import { Effect, type Scope } from "effect"
import type { Page } from "playwright-core"
import { check, type Measurement, measurement, ofTimes, percentile, type Scale } from "../measure.ts"
import type { Bench } from "./page/main.tsx"
import { type Asked, type Stage, stage } from "./stage.ts"

declare global {
  interface Window {
    bench: Bench
  }
}

/** A tab that has all rows and shows some. */
export const openTab = (stage: Stage, asked: Asked): Effect.Effect<Page, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const page = await stage.open(asked)
      await page.waitForFunction(() => "bench" in window)
      await page.evaluate(() => window.bench.loaded())
      await page.waitForFunction(() => window.bench.firstRendered() !== null)
      return page
    }),
    (page) => Effect.promise(() => page.close())
  )

const forEachUpTo = <A>(count: number, f: (i: number) => Promise<A>) =>
  Effect.promise(async () => {
    const values: Array<A> = []
    for (let i = 0; i < count; i++) values.push(await f(i))
    return values
  })

/** A tab that follows another one, with PGlite alone beside it; and how many rows it has. */
const following = (tabs: Stage, dataDir: string) =>
  Effect.gen(function* () {
    yield* openTab(tabs, { dataDir })
    const follower = yield* openTab(tabs, { dataDir })
    yield* Effect.promise(() =>
      follower.evaluate((rows) => window.bench.bare.open("memory://bare", rows), tabs.rows)
    )
    return { follower, rowCount: Effect.promise(() => follower.evaluate(() => window.bench.count())) }
  })

/**
 * An operation of a tab that follows: until React has committed the row, and until it is painted. The floor: a worker with
 * PGlite alone, the same insert, the same list.
 */
export const toRender = (scale: Scale): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const tabs = yield* stage(scale.size(10_000))
    const { follower, rowCount } = yield* following(tabs, "memory://render")
    const before = yield* rowCount
    const count = scale.size(100)
    const runs = yield* forEachUpTo(count, async (i) => {
      const ours = await follower.evaluate((id) => window.bench.addAndSee(id), `render${i}`)
      // As a person does one thing after the other, and not while the last one is sent.
      await follower.evaluate(() => window.bench.settled())
      const floor = await follower.evaluate((id) => window.bench.bare.insert([id], 0), `render${i}`)
      return { ...ours, floor }
    })
    const after = yield* rowCount
    check(after - before === count, `${after - before} rows of ${count}`)
    const floors = runs.map(({ floor }) => floor)
    return (["committed", "painted"] as const).flatMap((kind) => {
      const name = kind === "committed" ? "tab-to-render" : "tab-to-render-painted"
      const values = runs.map((run) => run[kind])
      return [
        measurement(name, "ms, p50", percentile(values, 0.5), percentile(floors, 0.5)),
        measurement(`${name}-p95`, "ms, p95", percentile(values, 0.95), percentile(floors, 0.95))
      ]
    })
  }).pipe(Effect.scoped)

/** Until `execute` resolves, on a store that is kept. The floor: PGlite alone on a store of the same kind, flushed. */
export const durable = (
  storage: "opfs-ahp" | "idb",
  scale: Scale
): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const tabs = yield* stage(scale.size(10_000))
    const count = scale.size(100)
    const timesOf = (asked: Asked, bare: boolean) =>
      Effect.scoped(
        Effect.gen(function* () {
          const tab = yield* openTab(tabs, asked)
          if (bare)
            yield* Effect.promise(() =>
              tab.evaluate(([dataDir, rows]) => window.bench.bare.open(dataDir, rows), [
                `${storage}://bare`,
                tabs.rows
              ] as const)
            )
          const prefix = `${asked.relaxed ?? "strict"}-${storage}-`
          const runs = yield* forEachUpTo(count, async (i) => {
            const ours = await tab.evaluate((id) => window.bench.addAndSee(id), `${prefix}${i}`)
            await tab.evaluate(() => window.bench.settled())
            if (!bare) return { ours: ours.durable, floor: 0 }
            const floor = await tab.evaluate((id) => window.bench.bare.insert([id], 0), `${prefix}${i}`)
            return { ours: ours.durable, floor }
          })
          return { ours: runs.map(({ ours }) => ours), floors: runs.map(({ floor }) => floor) }
        })
      )
    const strict = yield* timesOf({ dataDir: `${storage}://kept` }, true)
    const relaxed = yield* timesOf({ dataDir: `${storage}://relaxed`, relaxed: "yes" }, false)
    const name = `tab-durable-${storage}`
    return [
      measurement(name, "ms, p50", percentile(strict.ours, 0.5), percentile(strict.floors, 0.5)),
      measurement(`${name}-p95`, "ms, p95", percentile(strict.ours, 0.95), percentile(strict.floors, 0.95)),
      measurement(`${name}-relaxed`, "ms, p50", percentile(relaxed.ours, 0.5), percentile(strict.ours, 0.5))
    ]
  })

/** A hundred operations of a tab that follows. The floor: as many inserts of PGlite alone, in as many transactions. */
export const batch = (scale: Scale): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const tabs = yield* stage(scale.size(10_000))
    const { follower, rowCount } = yield* following(tabs, "memory://batch")
    const before = yield* rowCount
    const count = scale.size(100)
    const timesOf = (asOne: boolean) =>
      forEachUpTo(scale.runs * 2, async (run) => {
        const ids = Array.from({ length: count }, (_, i) => `batch-${asOne}-${run}-${i}`)
        const asked = [ids, asOne] as const
        const ours = await follower.evaluate(([ids, asOne]) => window.bench.addAll(ids, asOne), asked)
        check(ours.messages === 1, `${ours.messages} messages`)
        await follower.evaluate(() => window.bench.settled())
        const floor = await follower.evaluate(
          ([ids, asOne]) => window.bench.bare.insert(ids, 1, asOne),
          asked
        )
        return { ours: ours.ms, floor }
      })
    const [each, asOne] = [yield* timesOf(false), yield* timesOf(true)]
    const after = yield* rowCount
    check(after - before === count * (each.length + asOne.length), `${after - before} rows`)
    return [["tab-batch-100", each] as const, ["tab-batch-100-one-record", asOne] as const].map(
      ([name, runs]) =>
        ofTimes(
          name,
          "ms",
          runs.map(({ ours }) => ours),
          runs.map(({ floor }) => floor)
        )
    )
  }).pipe(Effect.scoped)

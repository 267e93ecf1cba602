/** Tabs with a hundred live queries each, in which somebody types while others change what the queries read. */
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { check, type Measurement, measurement, percentile, type Scale } from "../measure.ts"
import { bump } from "./app.ts"
import { type Stage, stage } from "./stage.ts"
import { openTab } from "./tabs.ts"
import { traceTasks } from "./trace.ts"

const keyMs = 80

/** Types at least so many keys, and until `busy` is over; says how the page did. */
const type = async (page: Page, keysMin: number, busy?: () => Promise<unknown>) => {
  await page.bringToFront()
  await page.focus("input")
  const endTrace = await traceTasks(page)
  await page.evaluate(() => window.bench.watch.begin())
  const before = await page.evaluate(() => window.bench.counts())
  // The last changes are sent by now, and perhaps not here.
  const ranAgain = async () => {
    await page.evaluate(() => window.bench.loaded())
    await until(async () => (await page.evaluate(() => window.bench.counts())).queries > before.queries)
  }
  let over = busy === undefined
  const ended = busy?.()
    .then(ranAgain)
    .finally(() => {
      over = true
    })
  // When it fails, that is thrown below: after the typing.
  ended?.catch(() => {})
  for (let i = 0; !over || i < keysMin; i++) {
    await page.keyboard.press("abcdefghijklmnopqrstuvwxyz"[i % 26]!)
    await new Promise((resolve) => setTimeout(resolve, keyMs))
  }
  await ended
  const watched = await page.evaluate(() => window.bench.watch.end())
  const after = await page.evaluate(() => window.bench.counts())
  const tasks = await endTrace()
  return {
    ...watched,
    inputP95Ms: percentile(watched.inputMs, 0.95),
    taskWallMs: Math.max(...tasks.map(({ wallMs }) => wallMs)),
    taskCpuMs: Math.max(...tasks.map(({ cpuMs }) => cpuMs)),
    rounds: after.rounds - before.rounds,
    queries: after.queries - before.queries
  }
}

const until = async (condition: () => Promise<boolean>) => {
  const deadline = Date.now() + 60_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error("What others changed did not come.")
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** So many changes of somebody else, one after the other, each sent as soon as the last one is executed. */
const changeAll = async ({ remote, rows }: Stage, changes: number) => {
  for (let i = 0; i < changes; i++) {
    await remote.execute(bump({ id: `row${(i * 7) % rows}` }))
    await new Promise((resolve) => setTimeout(resolve, 4))
  }
  await remote.settled()
}

/**
 * In the tab that leads, and in one that follows. The floor: typing on the same page while nothing changes; of runs of queries
 * and renders: all hundred in each round.
 */
export const typing = (scale: Scale): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const tabs = yield* stage(scale.size(10_000))
    const changes = scale.size(1000)
    const keysMin = scale.size(50)
    const asked = { dataDir: "memory://typing", user: "wide", view: "many" } as const
    const leader = yield* openTab(tabs, asked)
    const follower = yield* openTab(tabs, asked)
    return yield* Effect.promise(async () => {
      const measurements: Array<Measurement> = []
      for (const [name, page] of [
        ["typing-1000-leader", leader],
        ["typing-1000-follower", follower]
      ] as const) {
        const sum = () => page.evaluate(() => window.bench.sum())
        const before = await sum()
        const quiet = await type(page, keysMin)
        const busy = await type(page, keysMin, () => changeAll(tabs, changes))
        // Feeds may be behind.
        await until(async () => (await sum()) === before + changes)
        check(busy.queries > 0, "no query ran again")
        measurements.push(
          measurement(`${name}-input`, "ms, p95", busy.inputP95Ms, quiet.inputP95Ms),
          measurement(`${name}-task`, "ms, longest", busy.taskWallMs, quiet.taskWallMs),
          measurement(`${name}-task-cpu`, "ms of CPU, longest", busy.taskCpuMs, quiet.taskCpuMs),
          measurement(`${name}-reruns`, "queries", busy.queries, busy.rounds * 100),
          measurement(`${name}-renders`, "renders", busy.renders, busy.rounds * 100)
        )
      }
      return measurements
    })
  }).pipe(Effect.scoped)

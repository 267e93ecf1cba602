/** Tabs of a real browser that share a database, and lose the one that leads. */
import type { Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { app } from "./app.ts"
import { eventually, type Stage, shown, useBrowser } from "./support.ts"

let stage: Stage
beforeAll(async () => {
  stage = await useBrowser(import.meta.dirname, app)
})
afterEach(() => stage?.reset())
afterAll(() => stage?.close())

describe.each(["idb", "opfs-ahp"])("tabs that share a database in %s", { timeout: 240_000 }, (storage) => {
  const dataDir = `${storage}://tabs`
  /** One after the other: the first one leads. */
  const openTabs = async (count: number): Promise<Array<Page>> => {
    const opened: Array<Page> = []
    for (let i = 0; i < count; i++) opened.push(await stage.open({ dataDir }, "ann"))
    return opened
  }

  it("show what each of them does, with its results and its errors", async () => {
    const tabs = await openTabs(5)
    await tabs[0]!.evaluate(() => window.tab.sync())
    const before = await shown(tabs[0]!)
    const values = []
    for (const page of tabs) values.push(...(await page.evaluate(() => window.tab.increment(2))))
    expect(new Set(values).size).toBe(10)
    for (const page of tabs) {
      await expect.poll(() => shown(page), eventually).toBe(before + 10)
      expect(await page.evaluate(() => window.tab.refused())).toBe("at most 9")
    }
    await tabs[2]!.evaluate(() => window.tab.settled())
    expect(await tabs[1]!.evaluate(() => window.tab.pending())).toBe(0)
  })

  it("I4: lose nothing and do nothing twice when the one that leads is closed, again and again", async () => {
    const tabs = await openTabs(4)
    const survivor = tabs.pop()!
    await survivor.evaluate(() => window.tab.sync())
    const seen: Array<number> = []
    for (const [round, leader] of tabs.entries()) {
      const executed = survivor.evaluate(() => window.tab.increment(40))
      await survivor.waitForTimeout(5 + 35 * round)
      await leader.close()
      seen.push(...(await executed))
    }
    const first = Math.min(...seen)
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, i) => first + i))
    await survivor.evaluate(() => window.tab.settled())
    expect(await shown(survivor)).toBe(first + 119)
  })

  it("open a store whose first start was cut short", async () => {
    for (const ms of [200, 400, 500, 600]) {
      await stage.reset()
      const first = await stage.open({ dataDir }, "ann")
      await first.waitForTimeout(ms)
      await first.close()
      const next = await stage.open({ dataDir }, "ann")
      expect(await next.evaluate(() => window.tab.failure()), `after ${ms} ms`).toBe("opened")
    }
  })

  it("refuse a tab of another user, and say why", async () => {
    const [first] = await openTabs(1)
    await first!.evaluate(() => window.tab.ready())
    const other = await stage.open({ dataDir }, "bob")
    expect(await other.evaluate(() => window.tab.failure())).toContain("ann of tabs")
    // When nobody else has it open it is still not his.
    await first!.evaluate(() => window.tab.close())
    const later = await stage.open({ dataDir }, "bob")
    expect(await later.evaluate(() => window.tab.failure())).toContain("ann of tabs")
  })
})

it("a tab whose worker does not start says so", { timeout: 120_000 }, async () => {
  const page = await stage.open({ dataDir: "memory://", broken: "yes" }, "ann")
  expect(await page.evaluate(() => window.tab.failure())).toContain("The worker of this tab failed")
})

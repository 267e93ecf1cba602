/** Tabs of Firefox: the parts of the platform that each browser has in its own way. */
import { setTimeout } from "node:timers/promises"
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest"
import { app } from "./app.ts"
import { launchFirefox } from "./firefox.ts"
import { confirmed, eventually, type Stage, shown, type Tab, useDriver } from "./support.ts"

let stage: Stage<Tab>
beforeAll(async () => {
  stage = await useDriver(await launchFirefox(inject("firefoxPath")), import.meta.dirname, app)
})
afterEach(() => stage?.reset())
afterAll(() => stage?.close())

describe.each(["idb", "opfs-ahp"])("Firefox, %s", { timeout: 120_000 }, (storage) => {
  const dataDir = `${storage}://tabs`

  it("two tabs show what either does, keep it through a reload before it is sent, and refuse another user", async () => {
    const before = await confirmed(stage)
    const tabs = [await stage.open({ dataDir, paused: "" }, "ann"), await stage.open({ dataDir }, "ann")]
    const values = []
    for (const tab of tabs) {
      values.push(...(await tab.evaluate(() => window.tab.increment(3))))
      expect(await tab.evaluate(() => window.tab.refused())).toBe("at most 9")
    }
    expect(values).toEqual([1, 2, 3, 4, 5, 6])
    for (const tab of tabs) await expect.poll(() => shown(tab), eventually).toBe(6)

    const other = await stage.open({ dataDir }, "bob")
    expect(await other.evaluate(() => window.tab.failure())).toContain("ann of tabs")
    await other.close()

    await tabs.pop()!.close()
    const [tab] = tabs
    await tab!.reload()
    await expect.poll(() => shown(tab!), eventually).toBe(6)
    expect(await tab!.evaluate(() => window.tab.pending())).toBe(6)
    await tab!.evaluate(() => window.tab.resume())
    await tab!.evaluate(() => window.tab.settled())
    await expect.poll(() => shown(tab!), eventually).toBe(before + 6)
    expect(await confirmed(stage)).toBe(before + 6)
  })

  it("I4: nothing is lost and nothing done twice when the tab that leads is closed, again and again", async () => {
    const tabs = [await stage.open({ dataDir }, "ann"), await stage.open({ dataDir }, "ann")]
    const survivor = await stage.open({ dataDir }, "ann")
    await survivor.evaluate(() => window.tab.sync())
    const seen: Array<number> = []
    for (const [round, leader] of tabs.entries()) {
      const executed = survivor.evaluate(() => window.tab.increment(30))
      await setTimeout(20 + 60 * round)
      await leader.close()
      seen.push(...(await executed))
    }
    const first = Math.min(...seen)
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => first + i))
    await survivor.evaluate(() => window.tab.settled())
    expect(await shown(survivor)).toBe(first + 59)
    expect(await confirmed(stage)).toBe(first + 59)
  })
})

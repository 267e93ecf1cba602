/** Tabs without their server, and tabs that crash while the one that leads acts or syncs. */
import type { Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { app } from "./app.ts"
import { type Proxy, startProxy } from "./proxy.ts"
import { confirmed, eventually, type Stage, shown, useBrowser } from "./support.ts"

let stage: Stage
let proxy: Proxy
beforeAll(async () => {
  stage = await useBrowser(import.meta.dirname, app)
  proxy = await startProxy(stage.server)
})
afterEach(async () => {
  await stage?.reset()
  await proxy?.restart()
})
afterAll(async () => {
  await stage?.close()
  await proxy?.close()
})

/** Gives what ends the tab's process, its worker's too, in the middle of whatever it does. */
const crasher = async (page: Page) => {
  const cdp = await page.context().newCDPSession(page)
  return async () => {
    const crashed = page.waitForEvent("crash")
    cdp.send("Page.crash").catch(() => {})
    await crashed
  }
}

describe.each(["idb", "opfs-ahp"])("tabs in %s", { timeout: 240_000 }, (storage) => {
  const open = () => stage.open({ dataDir: `${storage}://tabs`, server: proxy.url }, "ann")

  it("I4: a tab is reloaded while the server is down, goes on, and all arrives once", async () => {
    const page = await open()
    await page.evaluate(() => window.tab.sync())
    const before = await shown(page)
    await proxy.stop()
    expect(await page.evaluate(() => window.tab.increment(2))).toEqual([before + 1, before + 2])
    for (const pending of [2, 5]) {
      await page.reload()
      await expect.poll(() => shown(page), eventually).toBe(before + pending)
      expect(await page.evaluate(() => window.tab.pending())).toBe(pending)
      await page.evaluate(() => window.tab.increment(3))
    }
    expect(await confirmed(stage)).toBe(before)
    await proxy.start()
    await page.evaluate(() => window.tab.settled())
    expect(await confirmed(stage)).toBe(before + 8)
    await expect.poll(() => shown(page), eventually).toBe(before + 8)
  })

  it("I4: five tabs at work lose nothing and do nothing twice when the leader crashes in an action, and in a sync", async () => {
    const tabs: Array<Page> = []
    for (let i = 0; i < 5; i++) {
      const page = await open()
      // They lead in this order.
      await page.evaluate(() => window.tab.sync())
      tabs.push(page)
    }
    const before = await shown(tabs[0]!)
    const values: Array<number> = []
    const work = async (pages: ReadonlyArray<Page>, leader: Page, when: () => Promise<unknown>) => {
      const crash = await crasher(leader)
      let isDone = false
      const executed = Promise.all(pages.map((page) => page.evaluate(() => window.tab.increment(80)))).then(
        (given) => {
          isDone = true
          values.push(...given.flat())
        }
      )
      await when()
      const wasDone = isDone
      await crash()
      return { executed, wasDone }
    }

    // What the leader has executed for one of them is not heard of there.
    const [first, second, ...rest] = tabs
    await second!.evaluate(() => window.tab.setDeaf(true))
    const inAction = await work([second!, ...rest], first!, async () => {
      await expect.poll(() => shown(first!), eventually).toBeGreaterThan(before + 100)
      await second!.evaluate(() => window.tab.setDeaf(false))
    })
    expect(inAction.wasDone).toBe(false)
    await inAction.executed
    await second!.evaluate(() => window.tab.settled())

    // The server has judged what was sent, and nobody hears so.
    const held = proxy.hold()
    const inSync = await work(rest, second!, () => held)
    proxy.release()
    await inSync.executed

    const total = 80 * (4 + 3)
    expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, i) => before + 1 + i))
    await rest[2]!.evaluate(() => window.tab.settled())
    for (const page of rest) await expect.poll(() => shown(page), eventually).toBe(before + total)
    expect(await confirmed(stage)).toBe(before + total)
  })
})

/** What can happen to a database in a real browser: its worker is killed, its storage is full, its files are damaged. */
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

const kindOf = (page: Page) => page.evaluate(() => window.tab.storage()?.kind)
const opened = async (asked: Readonly<Record<string, string>>) => {
  const page = await stage.open(asked, "ann")
  expect(await page.evaluate(() => window.tab.failure())).toBe("opened")
  return page
}

describe("a database that is only named", { timeout: 120_000 }, () => {
  it("is kept in the origin's private files, and found there again", async () => {
    const first = await opened({ dataDir: "named", paused: "" })
    await expect.poll(() => kindOf(first), eventually).toBe("opfs")
    await first.evaluate(() => window.tab.increment(3))
    await first.reload()
    await first.waitForFunction(() => "tab" in window)
    await expect.poll(() => shown(first), eventually).toBe(3)
    expect(await first.evaluate(() => window.tab.pending())).toBe(3)
  })

  it("stays in IndexedDB when it is there already", async () => {
    const first = await opened({ dataDir: "idb://named", paused: "" })
    await first.evaluate(() => window.tab.increment(2))
    await first.evaluate(() => window.tab.close())
    await first.close()
    const next = await opened({ dataDir: "named", paused: "" })
    await expect.poll(() => shown(next), eventually).toBe(2)
    expect(await kindOf(next)).toBe("indexeddb")
  })
})

describe.each(["idb", "opfs-ahp"])("a database in %s", { timeout: 200_000 }, (storage) => {
  const dataDir = `${storage}://store`

  it("I4: loses nothing when its worker is killed under work, and the same tab goes on with it", async () => {
    const page = await opened({ dataDir })
    await page.evaluate(() => window.tab.sync())
    const before = await shown(page)
    const values: Array<number> = []
    for (const ms of [0, 30, 90]) {
      const executed = page.evaluate(() => window.tab.increment(20))
      await page.waitForTimeout(ms)
      await page.evaluate(() => window.tab.killWorker())
      values.push(...(await executed))
    }
    const first = Math.min(...values)
    expect(first).toBeGreaterThan(before)
    expect([...values].sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => first + i))
    await page.evaluate(() => window.tab.settled())
    expect(await shown(page)).toBe(first + 59)
  })

  it("I4: is opened again when an action brought it down, and is synced and closed as before", async () => {
    const page = await opened({ dataDir })
    await page.evaluate(() => window.tab.increment(1))
    expect(await page.evaluate(() => window.tab.crash())).toBe("DatabaseCrashed")
    await page.evaluate(() => window.tab.increment(2))
    await page.evaluate(() => window.tab.settled())
    expect(await page.evaluate(() => window.tab.pending())).toBe(0)
    await page.evaluate(() => window.tab.close())
  })

  it("I4: refuses what is new when the storage is full, and goes on when there is room", async () => {
    const page = await opened({ dataDir, paused: "" })
    await expect
      .poll(() => page.evaluate(() => window.tab.storage()?.usedBytes ?? 0), eventually)
      .toBeGreaterThan(0)
    const { origin } = new URL(page.url())
    const cdp = await page.context().newCDPSession(page)
    const { usage } = await page.evaluate(() => navigator.storage.estimate())
    await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: usage! })
    const { executed, failure } = await page.evaluate(() => window.tab.incrementUntilFailure(3_000))
    expect(failure).toBe("StorageFull")
    expect(await page.evaluate(() => window.tab.storage()?.full)).toBe(true)
    expect(await shown(page)).toBe(executed)
    // What is there can be sent.
    await page.evaluate(() => window.tab.resume())
    await page.evaluate(() => window.tab.settled())
    expect(await page.evaluate(() => window.tab.pending())).toBe(0)
    await cdp.send("Storage.overrideQuotaForOrigin", { origin })
    await expect.poll(() => page.evaluate(() => window.tab.storage()?.full), eventually).toBe(false)
    expect(await page.evaluate(() => window.tab.incrementUntilFailure(1))).toEqual({
      executed: 1,
      failure: null
    })
  })

  it("I4: is not damaged when there is no room to open it", async () => {
    const page = await opened({ dataDir, paused: "" })
    await page.evaluate(() => window.tab.increment(5))
    await expect
      .poll(() => page.evaluate(() => window.tab.storage()?.usedBytes ?? 0), eventually)
      .toBeGreaterThan(0)
    await page.evaluate(() => window.tab.close())
    const { origin } = new URL(page.url())
    const cdp = await page.context().newCDPSession(page)
    const { usage } = await page.evaluate(() => navigator.storage.estimate())
    const openWith = async (quotaSize?: number) => {
      await cdp.send("Storage.overrideQuotaForOrigin", { origin, ...(quotaSize && { quotaSize }) })
      const next = await stage.open({ dataDir, paused: "" }, "ann")
      const failure = await next.evaluate(() => window.tab.failure())
      const gave = failure === "opened" ? await next.evaluate(() => window.tab.pending()) : failure
      await next.evaluate(() => window.tab.close())
      return gave
    }
    // What is held back makes room.
    expect(await openWith(usage)).toBe(5)
    // Opening writes in OPFS, and only reads in IndexedDB.
    const full = "The storage of this browser is full, so nothing new can be kept."
    expect(String(await openWith(1)).startsWith(storage === "idb" ? "5" : full)).toBe(true)
    expect(await openWith()).toBe(5)
  })

  it("that is damaged is left as it is, until it is deleted", async () => {
    const page = await opened({ dataDir })
    await page.evaluate(() => window.tab.increment(2))
    await page.evaluate(() => window.tab.settled())
    const count = await shown(page)
    await page.evaluate(() => window.tab.close())
    await page.evaluate(damage, storage)
    await page.close()
    const next = await stage.open({ dataDir }, "ann")
    expect(await next.evaluate(() => window.tab.unusable())).toEqual({ reason: "damaged", unsent: null })
    await next.evaluate(() => window.tab.destroyStore())
    await next.close()
    const again = await opened({ dataDir })
    await expect.poll(() => shown(again), eventually).toBe(count)
  })
})

it("I4: a directory in OPFS that was cut short is put back from its copy", { timeout: 120_000 }, async () => {
  const page = await opened({ dataDir: "opfs-ahp://store", paused: "" })
  await page.evaluate(() => window.tab.increment(5))
  await page.evaluate(() => window.tab.close())
  await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("store")
    const writing = await (await folder.getFileHandle("state.txt")).createWritable()
    await writing.truncate(0)
    await writing.close()
  })
  await page.close()
  const next = await opened({ dataDir: "opfs-ahp://store", paused: "" })
  await expect.poll(() => shown(next), eventually).toBe(5)
  expect(await next.evaluate(() => window.tab.pending())).toBe(5)
})

/** In the page: ruins what the store begins with. */
const damage = async (storage: string) => {
  if (storage === "opfs-ahp") {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("store")
    for (const name of ["state.txt", "state.copy"]) {
      const writing = await (await folder.getFileHandle(name)).createWritable()
      await writing.write("ruined")
      await writing.close()
    }
    return
  }
  await new Promise<void>((resolve, reject) => {
    const opening = indexedDB.open("/pglite/store")
    opening.onerror = () => reject(opening.error)
    opening.onsuccess = () => {
      const transaction = opening.result.transaction("FILE_DATA", "readwrite")
      const files = transaction.objectStore("FILE_DATA")
      const keys = files.getAllKeys()
      keys.onsuccess = () => {
        for (const key of keys.result) if (String(key).endsWith("pg_control")) files.delete(key)
      }
      transaction.oncomplete = () => {
        opening.result.close()
        resolve()
      }
    }
  })
}

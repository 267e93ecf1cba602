/** The page without a network, as people meet it: a real browser, a server that is gone, and builds that follow each other. */
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, sep } from "node:path"
import type { Browser, BrowserContext, Page } from "playwright-core"
import type { Plugin } from "vite"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest"
import { launchBrowser } from "../../../test/browser.ts"
import { buildPage } from "./support/build.ts"
import { Origin } from "./support/origin.ts"
import { type Running, startServer } from "./support/server.ts"

const folder = mkdtempSync(join(tmpdir(), "todo-app-pwa-"))
const eventually = { timeout: 60_000, interval: 100 }

/** The same application three times, told apart by a number that stands in its page and in its script. */
const builds = { 1: join(folder, "build-1"), 2: join(folder, "build-2"), 3: join(folder, "build-3") }
type Build = keyof typeof builds
const numbered = (number: Build): Plugin => ({
  name: "numbered",
  transform: (code, id) => (id.endsWith("/src/main.tsx") ? `${code}\nwindow.build = ${number}` : undefined),
  transformIndexHtml: (html) => html.replace("<head>", `<head><meta name="build" content="${number}">`)
})

let browser: Browser
let server: Running | undefined
const origin = new Origin()
let context: BrowserContext
let people = 0
/** Somebody who was never here, for each test. */
const person = () => `person-${people}`

/** Puts a build in the place of the other, and lets the server be there. */
const serve = async (number: Build) => {
  rmSync(join(folder, "page"), { force: true })
  symlinkSync(builds[number], join(folder, "page"), "junction")
  server ??= await startServer(join(folder, "data"), "--built", join(folder, "page"))
  await origin.listen(server.url)
}
const stop = async () => {
  await origin.close()
  await server?.stop()
  server = undefined
}

beforeAll(async () => {
  browser = await launchBrowser(inject("chromiumPath"))
  await buildPage(builds[1], numbered(1))
  await buildPage(builds[2], numbered(2))
  await buildPage(builds[3], numbered(3))
}, 240_000)
beforeEach(async () => {
  context = await browser.newContext()
  context.setDefaultTimeout(60_000)
  people += 1
  await serve(1)
  origin.asked.length = 0
})
afterEach(() => context.close())
afterAll(async () => {
  await browser?.close()
  await stop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

const open = async (path = `/?user=${person()}`): Promise<Page> => {
  const page = await context.newPage()
  await page.goto(origin.url + path)
  return page
}
const items = (page: Page) =>
  page
    .getByTestId("open-todos")
    .getByTestId("todo")
    .evaluateAll((rows) => rows.map((row) => row.dataset.title))
const add = async (page: Page, title: string) => {
  await page.getByTestId("add-title").fill(title)
  await page.getByTestId("add").click()
}
const showsList = (page: Page) => expect.poll(() => items(page), eventually).toContain("Milk")
/** Resolves when the person's list is there. */
const start = async (page: Page) => {
  await page.getByTestId("start").click()
  await showsList(page)
}
const waiting = (page: Page) => page.getByTestId("pending-count").count()
const buildOf = (page: Page) => page.evaluate(() => (window as unknown as { build: number }).build)
/** Resolves when the page can be opened without a network. */
const kept = (page: Page) => page.evaluate(async () => void (await navigator.serviceWorker.ready))
const caches = (page: Page) =>
  page.evaluate(async () => {
    const paths: Record<string, Array<string>> = {}
    for (const name of await window.caches.keys())
      paths[name] = (await (await window.caches.open(name)).keys())
        .map(({ url }) => new URL(url).pathname)
        .sort()
    return paths
  })
const opensOffline = async (page: Page) => {
  await context.setOffline(true)
  await page.reload()
  await showsList(page)
  await context.setOffline(false)
}
/** What a browser does by itself when somebody comes back to the tab. */
const comeBack = (page: Page) =>
  page.evaluate(() => void document.dispatchEvent(new Event("visibilitychange")))
const offered = (page: Page) =>
  expect
    .poll(async () => {
      await comeBack(page)
      return page.getByTestId("new-version").count()
    }, eventually)
    .toBe(1)
/** A tab that has the first build and a list, and is offered the second one. */
const withOffer = async (): Promise<Page> => {
  const page = await open()
  await start(page)
  await kept(page)
  await page.reload()
  await serve(2)
  await offered(page)
  return page
}
const takeOffer = (page: Page) =>
  page.getByTestId("new-version").getByRole("button", { name: "Reload" }).click()
/** The paths of a build's files, as a browser asks for them. */
const filesOf = (build: string) =>
  readdirSync(build, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(br|gz)$/.test(entry.name) && entry.name !== "sw.js")
    .map(({ name, parentPath }) => `/${relative(build, join(parentPath, name)).split(sep).join("/")}`)
    .map((path) => (path === "/index.html" ? "/" : path))
    .sort()
const askedFor = () => origin.asked.map((path) => new URL(path, origin.url).pathname)

describe("the page", { timeout: 240_000 }, () => {
  it("opens without a network after the first visit, and sends later what was done meanwhile", async () => {
    const page = await open()
    await page.getByTestId("start").click()
    await expect.poll(() => items(page), eventually).toEqual(["Milk", "Bread", "Apples"])
    await expect.poll(() => waiting(page), eventually).toBe(0)
    await kept(page)

    await stop()
    await context.setOffline(true)
    await page.reload()
    await expect.poll(() => items(page), eventually).toEqual(["Milk", "Bread", "Apples"])
    await add(page, "Eggs")
    await expect.poll(() => items(page), eventually).toEqual(["Milk", "Bread", "Apples", "Eggs"])
    await page.reload()
    await expect.poll(() => items(page), eventually).toEqual(["Milk", "Bread", "Apples", "Eggs"])
    expect(await waiting(page)).toBe(1)
    // A tab of its own, at an address that is the page's to understand.
    const other = await open("/two")
    expect(await buildOf(other)).toBe(1)

    await serve(1)
    await context.setOffline(false)
    await expect.poll(() => waiting(page), eventually).toBe(0)
    const elsewhere = await browser.newContext()
    const fresh = await elsewhere.newPage()
    await fresh.goto(`${origin.url}/?user=${person()}`)
    await expect.poll(() => items(fresh), eventually).toEqual(["Milk", "Bread", "Apples", "Eggs"])
    await elsewhere.close()

    expect(Object.values(await caches(page))).toEqual([filesOf(builds[1])])
  })

  it("loads nothing twice, and compiles PGlite while it arrives", async () => {
    const said: Array<string> = []
    context.on("console", (message) => said.push(message.text()))
    const page = await open()
    await start(page)
    await kept(page)
    const asked = askedFor().filter((path) => path.startsWith("/assets/"))
    expect(asked.filter((path, at) => asked.indexOf(path) !== at)).toEqual([])
    expect(asked).toContainEqual(expect.stringMatching(/pglite-[^/]+\.wasm$/))
    const wasm = await fetch(origin.url + asked.find((path) => /pglite-[^/]+\.wasm$/.test(path))!, {
      headers: { "accept-encoding": "gzip, br" }
    })
    expect(wasm.headers.get("content-type")).toBe("application/wasm")
    expect(wasm.headers.get("content-encoding")).toBe("br")
    expect(said.filter((text) => text.includes("streaming"))).toEqual([])

    origin.asked.length = 0
    const second = await open()
    await showsList(second)
    const files = new Set(filesOf(builds[1]))
    expect(askedFor().filter((path) => files.has(path))).toEqual([])
  })

  it("keeps the old build until somebody takes the new one, in all tabs", async () => {
    const page = await withOffer()
    const other = await open()
    expect([await buildOf(page), await buildOf(other)]).toEqual([1, 1])
    await showsList(page)
    await add(page, "Pears")
    await expect.poll(() => items(other), eventually).toContain("Pears")
    expect(Object.keys(await caches(page))).toHaveLength(2)

    await takeOffer(page)
    await expect.poll(() => buildOf(page).catch(() => 0), eventually).toBe(2)
    await expect.poll(() => buildOf(other).catch(() => 0), eventually).toBe(2)
    await expect.poll(() => items(page), eventually).toContain("Pears")
    expect(Object.keys(await caches(page))).toHaveLength(1)

    // Or nobody does, and all tabs are closed one day.
    await serve(1)
    await offered(page)
    await page.close()
    await other.close()
    await expect
      .poll(async () => {
        const next = await open()
        const number = await buildOf(next)
        await next.close()
        return number
      }, eventually)
      .toBe(1)
  })

  it("keeps a build that is being fetched while another one takes over, and offers it to the tabs", async () => {
    const page = await withOffer()
    await serve(3)
    const fetching = origin.hold((path) => path.endsWith("/icons/192.png"))
    await comeBack(page)
    await fetching.begun
    await takeOffer(page)
    await expect.poll(() => buildOf(page).catch(() => 0), eventually).toBe(2)
    // Opened while there was nothing to offer yet.
    await showsList(page)
    fetching.end()
    await page.getByTestId("new-version").waitFor()
    await takeOffer(page)
    await expect.poll(() => buildOf(page).catch(() => 0), eventually).toBe(3)
    await expect.poll(async () => Object.values(await caches(page)), eventually).toEqual([filesOf(builds[3])])
    await opensOffline(page)
  })

  it("opens after a first visit and an update that were cut short", async () => {
    origin.diesAt = (path) => path.endsWith("/icons/192.png")
    const first = await open()
    await expect.poll(() => origin.isOpen, eventually).toBe(false)
    await first.close()
    await serve(1)
    const page = await open()
    await start(page)
    await kept(page)
    expect(Object.values(await caches(page))).toEqual([filesOf(builds[1])])
    await opensOffline(page)

    await serve(2)
    origin.diesAt = (path) => path.includes("/assets/index-")
    await expect
      .poll(async () => {
        await comeBack(page)
        return origin.isOpen
      }, eventually)
      .toBe(false)
    await page.reload()
    await showsList(page)
    expect(await buildOf(page)).toBe(1)
    await serve(2)
    await offered(page)
    await takeOffer(page)
    await expect.poll(() => buildOf(page).catch(() => 0), eventually).toBe(2)
    expect(Object.values(await caches(page))).toEqual([filesOf(builds[2])])
    await opensOffline(page)
  })
})

describe("while it is developed", { timeout: 240_000 }, () => {
  it("the page opens its database, and takes the place of an earlier build", async () => {
    const before = await open()
    await kept(before)
    await before.close()
    await stop()
    server = await startServer(join(folder, "development"), "--dev")
    await origin.listen(server.url)
    const page = await open()
    await page.locator('script[src="/@vite/client"]').waitFor({ state: "attached" })
    await page.goto(`${server.url}/?user=${person()}`)
    await page.getByTestId("start").click()
    await expect.poll(() => items(page), eventually).toEqual(["Milk", "Bread", "Apples"])
    expect(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length)).toBe(0)
  })
})

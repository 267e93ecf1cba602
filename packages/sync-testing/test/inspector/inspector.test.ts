/** The panel as people use it: in a real browser, on a client whose database is in a worker. */
import { createRequire } from "node:module"
import type { Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { type Stage, useBrowser } from "../tabs/support.ts"
import { app } from "./app.ts"

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js")

let stage: Stage
beforeAll(async () => {
  stage = await useBrowser(import.meta.dirname, app)
})
afterEach(() => stage.reset())
afterAll(() => stage?.close())

const eventually = { timeout: 50_000, interval: 50 }
const open = async (asked: Readonly<Record<string, string>> = {}, user = "ann") => {
  const page = await stage.open({ dataDir: "memory://inspected", ...asked }, user)
  page.setDefaultTimeout(50_000)
  await page.evaluate(() => window.inspectedTab.sync())
  return page
}
const toggle = (page: Page) => page.keyboard.press("Control+Shift+Y")
const option = (page: Page, name: RegExp) => page.getByRole("option", { name })
const pane = (page: Page) => page.getByRole("region", { name: "The chosen record" })

let fills = 0
/** A record of each state: confirmed, rejected, changed by the authority, pending. Gives the id of the todo that is there. */
const fill = async (page: Page): Promise<string> => {
  const id = `todo-${++fills}`
  await page.evaluate(async (id) => {
    const { add, pause, rename, settled } = window.inspectedTab
    await add(id, "Buy milk")
    await add("c", "Forbidden")
    await rename("locked", "Mine")
    await settled()
    await pause()
    await rename(id, "Buy oat milk")
    await rename(id, "Buy tea")
  }, id)
  return id
}

/** Rules that are broken, in the panel and around it. */
const violations = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.addScriptTag({ path: axe })
  return page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run: () => Promise<{ violations: Array<{ id: string; nodes: Array<{ html: string }> }> }> }
    }
    const found = await axe.run()
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)
  })
}

describe("the panel", { timeout: 240_000 }, () => {
  it("shows records in each state with what they did, retries and dismisses", async () => {
    const page = await open()
    const id = await fill(page)
    await toggle(page)
    await expect.poll(() => option(page, /./).count(), eventually).toBe(5)
    expect(await page.getByRole("option").locator(".state").allTextContents()).toEqual([
      "confirmed",
      "rejected",
      "changed",
      "pending",
      "pending"
    ])
    await option(page, /rejected/).click()
    await pane(page).getByText("denied").waitFor()
    await pane(page).getByText("row-level security").waitFor()
    await pane(page).getByText('"title": "Forbidden"').waitFor()
    await pane(page).getByRole("group", { name: "insert todos c" }).waitFor()
    await pane(page).getByRole("button", { name: "Retry" }).click()
    await expect.poll(() => option(page, /rejected/).count(), eventually).toBe(0)
    await expect.poll(() => option(page, /pending/).count(), eventually).toBe(3)
    await page.getByRole("button", { name: "Offline" }).click()
    await option(page, /rejected/).click()
    await pane(page).getByRole("button", { name: "Dismiss" }).click()
    await expect.poll(() => option(page, /rejected/).count(), eventually).toBe(0)

    await option(page, /todo.rename.*confirmed/)
      .first()
      .click()
    const change = pane(page).getByRole("group", { name: `update todos ${id}` })
    await change.waitFor()
    expect(await change.getByRole("row", { name: /title/ }).textContent()).toBe("titleBuy milkBuy oat milk")
  })

  it("goes offline, delays requests and lets them fail, until it is closed", async () => {
    const page = await open()
    await toggle(page)
    await page.getByRole("button", { name: "Offline" }).click()
    await expect.poll(() => page.evaluate(() => window.inspectedTab.phase()), eventually).toBe("paused")
    await page.getByRole("button", { name: "Offline" }).click()
    await expect.poll(() => page.evaluate(() => window.inspectedTab.phase()), eventually).toBe("idle")
    const syncMs = () =>
      page.evaluate(async () => {
        const before = performance.now()
        await window.inspectedTab.sync()
        return performance.now() - before
      })
    await page.getByLabel("Delay").fill("1500")
    await page.getByLabel("Delay").press("Enter")
    await expect.poll(syncMs, eventually).toBeGreaterThan(1500)
    await page.getByLabel("Fail requests").check()
    await page.getByRole("button", { name: "Sync now" }).click()
    await page.getByRole("alert").getByText("lets every request fail").waitFor()
    await page.getByRole("tab", { name: "Sync" }).click()
    await page
      .getByRole("row", { name: /✕ Offline/ })
      .first()
      .waitFor()
    await page.getByRole("button", { name: "Close the inspector" }).click()
    expect(await page.locator("synchrotron-inspector").count()).toBe(0)
    await expect.poll(() => syncMs().catch(() => Number.POSITIVE_INFINITY), eventually).toBeLessThan(1400)
  })

  it("steps back to what was, and changes nothing", async () => {
    const page = await open()
    const id = await fill(page)
    await toggle(page)
    await option(page, /pending/)
      .first()
      .click()
    await pane(page).getByRole("button", { name: "Step back to here" }).click()
    const past = page.getByRole("region", { name: "The tables as they were" })
    const table = past.getByRole("group", { name: "public.todos" })
    const row = table.getByRole("row", { name: id })
    await row.getByRole("cell", { name: "Buy oat milk" }).waitFor()
    const change = past.getByRole("group", { name: `todos ${id}: changed since` })
    expect(await change.getByRole("row", { name: /title/ }).textContent()).toBe("titleBuy oat milkBuy tea")
    await past.getByRole("button", { name: "Older" }).click()
    await past.getByRole("heading", { name: "The tables at the common ancestor" }).waitFor()
    await row.getByRole("cell", { name: "Buy milk" }).waitFor()
    expect(await page.evaluate(() => window.inspectedTab.shown())).toContain("Buy tea")
    await past.getByRole("button", { name: "Back to now" }).click()
    await page.getByRole("tab", { name: "State" }).click()
    await page.getByText("One can step back to the common ancestor, before todo.rename").waitFor()
    await page.evaluate(() => window.inspectedTab.resume())
    await page.evaluate(() => window.inspectedTab.settled())
    await page.getByText("Nothing is pending: the tables are the confirmed state").waitFor()
    expect(await page.getByRole("button", { name: "Step back to the common ancestor" }).isDisabled()).toBe(
      true
    )
  })

  it("is used by keyboard alone, and gives the focus back", async () => {
    const page = await open()
    await fill(page)
    await page.getByRole("button", { name: "A button of the page" }).focus()
    await toggle(page)
    const { keyboard } = page
    const focused = () =>
      page.evaluate(() => {
        const inside = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement
        return inside?.getAttribute("aria-label") ?? inside?.textContent ?? ""
      })
    await expect.poll(focused, eventually).toBe("Records in the order of their stamps")
    await expect.poll(() => option(page, /./).count(), eventually).toBe(5)
    await keyboard.press("End")
    await keyboard.press("ArrowUp")
    await keyboard.press("Enter")
    await expect.poll(focused, eventually).toBe("The chosen record")
    await keyboard.press("Tab")
    await expect.poll(focused, eventually).toBe("Step back to here")
    await keyboard.press("Enter")
    await expect.poll(focused, eventually).toContain("The tables just after todo.rename")
    await keyboard.press("Escape")
    await expect.poll(focused, eventually).toBe("Records in the order of their stamps")
    await page.getByRole("tab", { name: "Records" }).focus()
    await keyboard.press("ArrowRight")
    await expect.poll(focused, eventually).toBe("Sync")
    await page.getByRole("separator").focus()
    const size = () => page.getByRole("separator").getAttribute("aria-valuenow")
    const before = Number(await size())
    await keyboard.press("ArrowUp")
    expect(Number(await size())).toBe(before + 4)
    await toggle(page)
    await expect.poll(focused, eventually).toBe("A button of the page")
  })

  it("breaks no rule of accessibility, light and dark, on a desk and on a phone", async () => {
    const page = await open()
    await fill(page)
    await toggle(page)
    for (const colorScheme of ["light", "dark"] as const)
      for (const width of [1280, 390]) {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width, height: 800 })
        await page.getByRole("tab", { name: "Records" }).click()
        const back = page.getByRole("button", { name: "All records" })
        if (await back.isVisible()) await back.click()
        await option(page, /rejected/).click()
        await pane(page).getByRole("button", { name: "Dismiss" }).waitFor()
        expect(await violations(page)).toEqual([])
        if (width === 390) await back.click()
        await option(page, /pending/)
          .first()
          .click()
        await pane(page).getByRole("button", { name: "Step back to here" }).click()
        await page.getByRole("group", { name: "public.todos" }).waitFor()
        expect(await violations(page)).toEqual([])
        for (const name of ["Sync", "State"]) {
          await page.getByRole("tab", { name }).click()
          expect(await violations(page)).toEqual([])
        }
        expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true)
      }
  })

  it("draws 500 records at once, and those that come", async () => {
    const page = await open()
    await page.evaluate(() => window.inspectedTab.pause())
    await page.evaluate(() => window.inspectedTab.addMany(520))
    await toggle(page)
    await expect.poll(() => option(page, /./).count(), eventually).toBe(500)
    await page.getByText("20 earlier records not shown.").waitFor()
    await page.evaluate(() => window.inspectedTab.add("one more", "One more"))
    await page.getByText("21 earlier records not shown.").waitFor()
    await page.keyboard.press("End")
    await pane(page).getByText('"title": "One more"').waitFor()
    await page.getByLabel("Filter records").fill("no such")
    await page.getByText("No record matches the filter.").waitFor()
  })
})

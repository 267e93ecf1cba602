/** The application's own server, a browser, and people who use it in their own words. */
import { mkdtempSync, rmSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Browser, BrowserContext, Page } from "playwright-core"
import { afterAll, beforeAll, expect, inject, onTestFailed } from "vitest"
import { launchBrowser } from "../../../../test/browser.ts"
import { type Running, startServer } from "../support/server.ts"

/** Each page sets up databases; on a machine that does other things too, that takes its time. */
export const eventually = { timeout: 60_000, interval: 50 }

export interface Stage {
  readonly folder: string
  readonly browser: Browser
  /** The server of all tests. */
  readonly running: Running
  /** Starts another one. */
  readonly start: (dataDir: string, ...args: ReadonlyArray<string>) => Promise<Running>
}

/** One server with a production build, and one browser, for all tests of the file. */
export const stageOf = (): (() => Stage) => {
  const folder = mkdtempSync(join(tmpdir(), "todo-app-"))
  const started: Array<Running["stop"]> = []
  let stage: Stage | undefined
  const start: Stage["start"] = async (dataDir, ...args) => {
    const running = await startServer(join(folder, dataDir), ...args)
    started.push(running.stop)
    return running
  }
  beforeAll(async () => {
    const browser = await launchBrowser(inject("chromiumPath"))
    stage = { folder, browser, running: await start("main"), start }
  })
  afterAll(async () => {
    await stage?.browser.close()
    for (const stop of started) await stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  return () => stage!
}

export interface Tab {
  readonly page: Page
  readonly context: BrowserContext
  /** Errors of the page and its console. */
  readonly problems: ReadonlyArray<string>
  /** The person's workspace on the page. */
  readonly as: (person: string) => Person
  /** Another tab of the same browser profile. */
  readonly another: (path: string) => Promise<Tab>
  readonly close: () => Promise<void>
}

/** Opens a page of the application in a browser profile of its own. */
export const openTab = async ({ browser, running }: Stage, path = "/"): Promise<Tab> => {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce"
  })
  context.setDefaultTimeout(60_000)
  return tabOf(context, running.url, path)
}

const tabOf = async (context: BrowserContext, url: string, path: string): Promise<Tab> => {
  const page = await context.newPage()
  const problems: Array<string> = []
  page.on("pageerror", (error) => problems.push(error.message))
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()))
  onTestFailed(async () => {
    if (page.isClosed()) return
    console.error(problems.join("\n"))
    console.error(await page.locator("body").textContent())
  })
  await page.goto(url + path)
  return {
    page,
    context,
    problems,
    as: (person) => personOn(page, person),
    another: (other) => tabOf(context, url, other),
    close: () => context.close()
  }
}

export type Person = ReturnType<typeof personOn>

/** One person's workspace, in the words of a person. */
const personOn = (page: Page, person: string) => {
  const panel = page.getByTestId(`panel-${person}`)
  const at = (testId: string) => panel.getByTestId(testId)
  const item = (title: string) => panel.locator(`[data-testid=todo][data-title="${title}"]`)
  const titles = (list: "open-todos" | "done-todos") =>
    at(list)
      .getByTestId("todo")
      .evaluateAll((rows) => rows.map((row) => row.dataset.title))
  const shown = {
    open: () => titles("open-todos"),
    done: () => titles("done-todos"),
    lists: () => at("list-link").locator(".list-link-title").allTextContents(),
    status: () => at("status").textContent(),
    waiting: () => at("pending-count").count(),
    said: () => at("said").textContent(),
    refused: () =>
      at("rejected").evaluateAll((entries) =>
        entries.map((entry) => [...entry.querySelectorAll("p")].map((line) => line.textContent))
      )
  }
  return {
    panel,
    at,
    item,
    ...shown,
    sees: (what: keyof typeof shown, value: unknown) =>
      expect.poll(shown[what] as () => Promise<unknown>, eventually).toEqual(value),
    switchOffline: () => at("work-offline").click(),
    add: async (title: string) => {
      await at("add-title").fill(title)
      await at("add").click()
    },
    tick: (title: string) => item(title).getByTestId("toggle").click(),
    claim: (title: string) => item(title).getByTestId("claim").click(),
    openList: (title: string) => at("list-link").filter({ hasText: title }).click(),
    createList: async (title: string) => {
      await at("new-list").click()
      await at("new-list-title").fill(title)
      await panel.getByRole("button", { name: "Create" }).click()
      await panel.getByRole("heading", { name: title }).waitFor()
    },
    invite: async (whom: string, role: "editor" | "viewer") => {
      await at("share").click()
      await at("invite-name").fill(whom)
      await at("invite-role").selectOption(role)
      await at("invite").click()
      await expect.poll(() => at("invite-name").inputValue(), eventually).toBe("")
      await at("close").click()
    },
    access: async (whom: string, change: (row: ReturnType<typeof at>) => Promise<unknown>) => {
      await at("share").click()
      await change(at(`member-${whom}`))
      await at("close").click()
    }
  }
}

const axe = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** What axe finds wrong on the page, in light and dark. */
export const violations = async (page: Page): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  await page.evaluate(await axe)
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme })
    // biome-ignore lint/suspicious/noExplicitAny: axe is there, as a global of the page
    const results = await page.evaluate(() => (globalThis as any).axe.run())
    for (const { id, nodes } of results.violations)
      for (const node of nodes) found.push(`${colorScheme}: ${id}: ${node.html}\n${node.failureSummary}`)
  }
  await page.emulateMedia({ colorScheme: "light" })
  return found
}

/** The application as people use it: its own server, a production build, two people in one browser window. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, inject, it, onTestFailed } from "vitest"
import { launchBrowser } from "../../../test/browser.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const workspace = fileURLToPath(new URL("../../..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "todo-app-"))

interface Running {
  readonly url: string
  /** Ends the server as Ctrl-C does, and resolves to its exit code. */
  readonly stop: () => Promise<number | null>
}

const started: Array<Running["stop"]> = []

const start = (dataDir: string, ...args: ReadonlyArray<string>): Promise<Running> => {
  const tsx = pathToFileURL(join(workspace, "node_modules", "tsx", "dist", "loader.mjs")).href
  const child: ChildProcess = spawn(process.execPath, ["--import", tsx, "server.ts", ...args], {
    cwd: root,
    env: { ...process.env, PORT: "0", SYNCHROTRON_DATA_DIR: join(folder, dataDir) },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve))
  const stop = () => {
    child.kill("SIGTERM")
    return exited
  }
  started.push(stop)
  let output = ""
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output += text
  })
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text
      const url = /Synchrotron todo app: (\S+)/.exec(output)?.[1]
      if (url === undefined) return
      resolve({ url, stop })
    })
    child.once("exit", (code) => reject(new Error(`The server ended with code ${code}:\n${output}`)))
  })
}

let browser: Browser
let running: Running
beforeAll(async () => {
  browser = await launchBrowser(inject("chromiumPath"))
  running = await start("main")
})
afterAll(async () => {
  await browser?.close()
  for (const stop of started) await stop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

type Person = "alice" | "bob"

/** One person's side of the page, in the words of a person. */
const sideOf = (page: Page, person: Person) => {
  const panel = page.getByTestId(`panel-${person}`)
  const item = (title: string) => panel.locator(`[data-testid=todo][data-title="${title}"]`)
  const titles = (list: "open-todos" | "done-todos") =>
    panel
      .getByTestId(list)
      .getByTestId("todo")
      .evaluateAll((rows) => rows.map((row) => row.dataset.title))
  return {
    panel,
    item,
    open: () => titles("open-todos"),
    done: () => titles("done-todos"),
    lists: () => panel.getByTestId("list-link").locator(".list-link-title").allTextContents(),
    switchOnline: () => panel.getByTestId("online").click(),
    status: () => panel.getByTestId("status").textContent(),
    waiting: () => panel.getByTestId("pending-count").count(),
    refused: () =>
      panel
        .getByTestId("rejected")
        .evaluateAll((entries) =>
          entries.map((entry) => [...entry.querySelectorAll("p")].map((line) => line.textContent))
        ),
    add: async (title: string) => {
      await panel.getByTestId("add-title").fill(title)
      await panel.getByTestId("add").click()
    },
    tick: (title: string) => item(title).getByTestId("toggle").click(),
    claim: (title: string) => item(title).getByTestId("claim").click()
  }
}

const openPage = async (url: string) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  context.setDefaultTimeout(120_000)
  const page = await context.newPage()
  const problems: Array<string> = []
  page.on("pageerror", (error) => problems.push(error.message))
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()))
  onTestFailed(async () => {
    console.error(problems.join("\n"))
    console.error(await page.locator("body").textContent())
  })
  await page.goto(url)
  return {
    page,
    problems,
    alice: sideOf(page, "alice"),
    bob: sideOf(page, "bob"),
    close: () => context.close()
  }
}

const eventually = { timeout: 60_000, interval: 100 }

// Each page sets up two databases; on a machine that does other things too, that takes its time.
describe("two people with one list", { timeout: 240_000 }, () => {
  it("edit it offline, cross each other, and end with one list and an explanation", async () => {
    const { page, problems, alice, bob, close } = await openPage(running.url)

    await alice.panel.getByTestId("start").click()
    await expect.poll(bob.open, eventually).toEqual(["Milk", "Bread", "Apples"])
    await expect.poll(alice.waiting, eventually).toBe(0)

    for (const side of [alice, bob]) {
      await side.switchOnline()
      await expect.poll(side.status).toBe("Working offline")
    }

    await alice.claim("Bread")
    await alice.add("Eggs")
    await alice.add("Tea")
    await expect.poll(alice.open).toEqual(["Milk", "Bread", "Apples", "Eggs", "Tea"])
    expect(await alice.item("Tea").getAttribute("data-pending")).toBe("true")
    expect(await alice.item("Apples").getAttribute("data-pending")).toBe("false")
    // The rule holds at once, too: the sixth item does not even get a record.
    await alice.add("Jam")
    await expect
      .poll(() => alice.panel.getByTestId("notice").textContent())
      .toContain("“Groceries” is full: it takes 5 open items.")

    await bob.claim("Bread")
    await bob.add("Rice")
    await bob.add("Salt")
    await expect.poll(bob.open).toEqual(["Milk", "Bread", "Apples", "Rice", "Salt"])

    // Both tick off the same item: that is agreement, not a conflict.
    await alice.tick("Milk")
    await expect.poll(alice.done).toEqual(["Milk"])
    await bob.tick("Milk")
    await expect.poll(bob.done).toEqual(["Milk"])

    // Bob's edits reach the server first; Alice's are earlier all the same.
    await bob.switchOnline()
    await expect.poll(bob.waiting, eventually).toBe(0)
    await alice.switchOnline()

    for (const side of [alice, bob]) {
      await expect.poll(side.open, eventually).toEqual(["Bread", "Apples", "Eggs", "Tea"])
      await expect.poll(side.done, eventually).toEqual(["Milk"])
      await expect.poll(side.waiting, eventually).toBe(0)
      expect(await side.item("Bread").getAttribute("data-assignee")).toBe("alice")
    }
    const full = "“Groceries” was full: it takes 5 open items. Alice added “Tea” first."
    await expect.poll(bob.refused, eventually).toEqual([
      ["Claim “Bread”", "Alice claimed “Bread” first."],
      ["Add “Rice”", full],
      ["Add “Salt”", full]
    ])
    expect(await alice.refused()).toEqual([])

    // Now that Milk is done there is room for one of the two.
    const rice = bob.panel.getByTestId("rejected").filter({ hasText: "Rice" })
    await rice.getByTestId("retry").click()
    await bob.panel.getByTestId("rejected").filter({ hasText: "Bread" }).getByTestId("dismiss").click()
    await expect.poll(alice.open, eventually).toEqual(["Bread", "Apples", "Eggs", "Tea", "Rice"])
    await expect.poll(bob.waiting, eventually).toBe(0)

    const screenshot = join(folder, "side-by-side.png")
    expect((await page.screenshot({ path: screenshot })).length).toBeGreaterThan(10_000)

    await page.reload()
    for (const side of [alice, bob]) {
      await expect.poll(side.open, eventually).toEqual(["Bread", "Apples", "Eggs", "Tea", "Rice"])
      await expect.poll(side.done, eventually).toEqual(["Milk"])
    }
    await expect.poll(bob.refused, eventually).toEqual([["Add “Salt”", full]])
    expect(problems).toEqual([])
    await close()
  })

  it("see a list of the other only while it is shared", async () => {
    const { problems, alice, bob, close } = await openPage(running.url)
    await expect.poll(bob.lists, eventually).toEqual(["Groceries"])
    await alice.panel.getByTestId("new-list").click()
    await alice.panel.getByTestId("new-list-title").fill("Presents")
    await alice.panel.getByRole("button", { name: "Create" }).click()
    await expect.poll(alice.lists, eventually).toEqual(["Groceries", "Presents"])
    await alice.add("Telescope")
    await expect.poll(alice.open, eventually).toEqual(["Telescope"])
    await expect.poll(alice.waiting, eventually).toBe(0)
    expect(await bob.lists()).toEqual(["Groceries"])

    await alice.panel.getByTestId("share").click()
    await expect.poll(bob.lists, eventually).toEqual(["Groceries", "Presents"])
    await alice.panel.getByTestId("unshare").click()
    await expect.poll(bob.lists, eventually).toEqual(["Groceries"])
    expect(problems).toEqual([])
    await close()
  })

  it("have as many tabs as they like, and close whichever they like", async () => {
    const url = `${running.url}/?user=alice`
    const { page, problems, alice } = await openPage(url)
    await expect.poll(alice.open, eventually).toContain("Eggs")
    const other = await page.context().newPage()
    await other.goto(url)
    const second = sideOf(other, "alice")
    await expect.poll(second.open, eventually).toContain("Eggs")
    await alice.tick("Eggs")
    await expect.poll(second.done, eventually).toContain("Eggs")
    await page.close()
    await second.tick("Tea")
    await expect.poll(second.done, eventually).toContain("Tea")
    await expect.poll(second.waiting, eventually).toBe(0)
    expect(problems).toEqual([])
    await other.context().close()
  })
})

describe("the server", { timeout: 240_000 }, () => {
  it("compiles the page on the fly for its developers, and ends cleanly", async () => {
    const development = await start("development", "--dev")
    expect(await (await fetch(development.url)).text()).toContain("/@vite/client")
    const main = await fetch(`${development.url}/src/main.tsx`)
    expect(main.headers.get("content-type")).toContain("javascript")
    expect(await main.text()).toContain("createRoot")
    expect(await development.stop()).toBe(process.platform === "win32" ? null : 0)
  })

  it("signs in only the page that it serves", async () => {
    const ask = (headers: Record<string, string>, user = "alice") =>
      fetch(`${running.url}/dev/token`, { method: "POST", headers, body: JSON.stringify({ user }) })
    const json = { "content-type": "application/json" }
    expect((await ask(json)).status).toBe(200)
    expect((await ask({ ...json, "sec-fetch-site": "cross-site" })).status).toBe(403)
    expect((await ask({ "content-type": "text/plain" })).status).toBe(415)
    expect((await ask(json, "mallory")).status).toBe(400)
  })

  it("serves the page's files and nothing beside them", async () => {
    const status = (path: string) => fetch(running.url + path).then((response) => response.status)
    expect(await status("/")).toBe(200)
    expect(await status("/..%2fsecret")).toBe(404)
    expect(await status("/%zz")).toBe(400)
    expect(await status("/v1/health")).toBe(200)
  })
})

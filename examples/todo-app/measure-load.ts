/**
 * `npx tsx measure-load.ts [rounds]`: how long it takes until the first item of a list is on the screen, in a real browser with
 * a production build. A first visit has nothing of the page and of the list; the repeated one has both.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type BrowserContext, chromium } from "playwright-core"
import { chromiumArguments, ensureChromium } from "../../scripts/lib/chromium.mjs"
import { startServer } from "./test/support/server.ts"

const rounds = Number(process.argv[2] ?? 5)
const folder = mkdtempSync(join(tmpdir(), "todo-app-load-"))
const server = await startServer(folder)
const browser = await chromium.launch({ executablePath: ensureChromium(), args: [...chromiumArguments] })

/** Milliseconds from the beginning of the navigation, by the page's own clock. */
const shownAfter = async (context: BrowserContext): Promise<number> => {
  const page = await context.newPage()
  await page.goto(`${server.url}/?user=alice`, { waitUntil: "commit" })
  const shown = await page.waitForFunction(
    () => document.querySelector("[data-testid=todo]") !== null && performance.now(),
    undefined,
    { polling: "raf", timeout: 60_000 }
  )
  const ms = Number(await shown.jsonValue())
  await page.evaluate(async () => void (await navigator.serviceWorker.ready))
  await page.close()
  return ms
}

const middle = (values: ReadonlyArray<number>) =>
  Math.round([...values].sort((a, b) => a - b)[values.length >> 1]!)

try {
  const first = await browser.newPage()
  await first.goto(`${server.url}/?user=alice`)
  await first.getByTestId("start").click({ timeout: 60_000 })
  await first.getByTestId("todo").first().waitFor()
  await first.getByTestId("pending-count").waitFor({ state: "detached" })
  await first.close()
  const cold: Array<number> = []
  const warm: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const context = await browser.newContext()
    cold.push(await shownAfter(context))
    warm.push(await shownAfter(context))
    await context.close()
  }
  console.log(`first visit: ${middle(cold)} ms (${cold.map(Math.round).join(", ")})`)
  console.log(`next visit: ${middle(warm)} ms (${warm.map(Math.round).join(", ")})`)
} finally {
  await browser.close()
  await server.stop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}

/** The code of docs/browser.md, as it stands, in a real browser. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { extract } from "../../../../test/pages.ts"
import { useBrowser } from "./support.ts"

const folder = extract("docs/browser.md", ".browser-docs", "packages/sync-testing")
writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="./page.ts"></script>')
writeFileSync(
  join(folder, "page.ts"),
  `import { buy, OutOfStock } from "./app.ts"
   import { open } from "./client.ts"
   const asked = new URLSearchParams(location.search)
   const client = open(asked.get("server")!, async () => asked.get("token")!)
   const bought = (count: number) => client.execute(buy({ item: "tea", count })).catch((error) => error instanceof OutOfStock && error.left)
   Object.assign(window, { tab: { sync: () => client.sync(), bought } })`
)

it("docs/browser.md: tabs share one client, with results and errors", { timeout: 240_000 }, async () => {
  const stage = await useBrowser(folder, (await import(join(folder, "app.ts"))).app)
  try {
    const tabs = [await stage.open({}, "ann"), await stage.open({}, "ann")]
    const run = (tab: number, code: string) => tabs[tab]!.evaluate<unknown>(`window.tab.${code}`)
    await run(0, "sync()")
    expect(await run(1, "bought(2)")).toBe(1)
    expect(await run(0, "bought(2)")).toBe(1)
    expect(await run(0, "bought(1)")).toBe(0)
  } finally {
    await stage.close()
  }
})

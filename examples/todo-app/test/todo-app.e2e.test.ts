/** The application as people use it: its own server, a production build, a real browser. */
import { describe, expect, it } from "vitest"
import { stageOf } from "./e2e/harness.ts"
import { ownListsTests } from "./e2e/own-lists.ts"
import { sharingTests } from "./e2e/sharing.ts"
import { twoClientsTests } from "./e2e/two-clients.ts"

const stage = stageOf()

describe("side by side", { timeout: 240_000 }, () => twoClientsTests(stage))
describe("one's own lists", { timeout: 240_000 }, () => ownListsTests(stage))
describe("shared lists", { timeout: 240_000 }, () => sharingTests(stage))

describe("the server", { timeout: 240_000 }, () => {
  it("compiles the page on the fly for its developers, and ends cleanly", async () => {
    const development = await stage().start("development", "--dev")
    expect(await (await fetch(development.url)).text()).toContain("/@vite/client")
    const main = await fetch(`${development.url}/src/main.tsx`)
    expect(main.headers.get("content-type")).toContain("javascript")
    expect(await main.text()).toContain("createRoot")
    expect(await development.stop()).toBe(process.platform === "win32" ? null : 0)
  })

  it("signs in only the page that it serves, and whoever has a name", async () => {
    const ask = (headers: Record<string, string>, user: unknown = "alice") =>
      fetch(`${stage().running.url}/dev/token`, { method: "POST", headers, body: JSON.stringify({ user }) })
    const json = { "content-type": "application/json" }
    expect((await ask(json)).status).toBe(200)
    expect(await (await ask(json, "Mary Ann")).json()).toMatchObject({ user: "mary-ann" })
    expect((await ask({ ...json, "sec-fetch-site": "cross-site" })).status).toBe(403)
    expect((await ask({ "content-type": "text/plain" })).status).toBe(415)
    for (const nobody of ["", "../secret", 7, null]) expect((await ask(json, nobody)).status).toBe(400)
  })

  it("serves the page's files and nothing beside them", async () => {
    const status = (path: string) => fetch(stage().running.url + path).then((response) => response.status)
    expect(await status("/")).toBe(200)
    expect(await status("/..%2fsecret")).toBe(404)
    expect(await status("/%zz")).toBe(400)
    expect(await status("/v1/health")).toBe(200)
  })
})

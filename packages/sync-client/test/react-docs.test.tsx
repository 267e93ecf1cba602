/** The code of docs/react.md, as it stands. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createSyncClient } from "@synchrotron/sync-client"
import type { Protocol, SyncApp } from "@synchrotron/sync-core"
import { describe, expect, it } from "vitest"
import { extract } from "../../../test/pages.ts"
import { bearer, databaseImage, FakeAuthority } from "./fixture.ts"
import { click, main, text, until, window } from "./page.tsx"

const folder = extract("docs/react.md", ".react-docs", "packages/sync-client")
// Below node_modules nothing says how JSX is compiled.
for (const file of readdirSync(folder).filter((name) => name.endsWith(".tsx"))) {
  const code = readFileSync(join(folder, file), "utf8")
  writeFileSync(join(folder, file), `/** @jsxRuntime automatic */\n${code}`)
}
const load = (file: string) => import(join(folder, file))

/** Todos of the guide have the ids of their records. */
class TodoAuthority extends FakeAuthority {
  override answer(request: Protocol.SyncRequest) {
    const records = request.records.map((record) => ({
      ...record,
      args: { id: record.id, ...(record.args as object) }
    }))
    return super.answer({ ...request, records })
  }
}

/** As a person types. */
const type = (selector: string, value: string) => {
  const input = window.document.querySelector(selector)!
  Object.getOwnPropertyDescriptor(window.HTMLInputElement.prototype, "value")!.set!.call(input, value)
  input.dispatchEvent(new window.Event("input", { bubbles: true }))
}

describe("docs/react.md", async () => {
  // Declares its test here.
  await load("List.test.tsx")

  it("shows on a server what is there before a database is", async () => {
    expect((await load("server.tsx")).html).toBe("<p>Loading…</p>")
  })

  it("follows a todo to its outcome, finds it, and shows a refusal", async () => {
    const { app } = (await load("app.ts")) as { app: SyncApp.SyncApp }
    const authority = new TodoAuthority()
    const client = createSyncClient({
      app,
      dataDir: "memory://",
      image: await databaseImage(),
      server: { url: "http://authority.test", token: bearer },
      fetch: authority.fetch,
      paused: true
    })
    // The guide's own test draws into the body.
    window.document.body.replaceChildren(main)
    const root = (await load("main.tsx")).start(client, main)
    await until(() => text("#found") === "0 of 0")
    const add = async (title: string) => {
      type("form input", title)
      // A person is not so fast that React has not drawn it.
      await new Promise((resolve) => setTimeout(resolve, 10))
      click("form button")
    }
    await add("Milk")
    await until(() => text("output") === "Saved on this device")
    await until(() => text("ul") === "Milk not sent yet" && text("#connection") === "Offline, 1 to send")
    await client.resume()
    await until(() => text("output") === "Saved" && text("ul") === "Milk ")
    await until(() => text("#connection") === "Online" && text("#found") === "1 of 1")
    type("section input", "B")
    await until(() => text("#found") === "0 of 1")
    await add("Milk")
    await until(() => text("output") === "There is a todo “Milk” already.")
    await add(" ".trim())
    await until(() => text("output")!.startsWith("It could not be saved: The arguments of todo.add"))
    authority.refuse = () => true
    await add("Bread")
    await until(() => text("output") === "The server refused it: refused by the test")
    await until(() => text("[role=alert]")?.startsWith("todo.add: refused by the test") === true)
    click("[role=alert] button:last-child")
    await until(() => text("[role=alert]") === undefined)
    root.unmount()
    await client.close()
  })
})

// @vitest-environment jsdom
/** The code of docs/inspector.md, as it stands. */
import { join } from "node:path"
import { createSyncClient, type PromiseClient } from "@synchrotron/sync-client"
import { expect, it } from "vitest"
import { extract } from "../../../test/pages.ts"
import { addTag, addTodo, app, FakeAuthority, token, uuid } from "./fixture.ts"

const folder = extract("docs/inspector.md", ".inspector-docs")

it("docs/inspector.md: a program inspects, and the shortcut opens and closes the panel", async () => {
  const authority = new FakeAuthority()
  const client = createSyncClient({
    app,
    dataDir: "memory://",
    server: { url: "http://authority.test", token: token("ada") },
    fetch: authority.fetch
  })
  try {
    await client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    await client.settled()
    await client.pause()
    await client.execute(addTodo({ id: uuid(2), title: "Tea" }))
    await client.execute(addTag({ id: uuid(3), name: "x" }))
    const { beforePending } = (await import(join(folder, "pendings.ts"))) as {
      beforePending: (client: PromiseClient) => Promise<unknown>
    }
    expect(await beforePending(client)).toEqual({
      pending: ["todo.add", "tag.add"],
      before: { "public.tags": 0, "public.todos": 1 }
    })

    const { start } = (await import(join(folder, "devtools.ts"))) as {
      start: (client: PromiseClient) => () => void
    }
    const end = start(client)
    const press = () =>
      window.dispatchEvent(new KeyboardEvent("keydown", { key: "Y", ctrlKey: true, shiftKey: true }))
    const panels = () => document.querySelectorAll("synchrotron-inspector").length
    press()
    await expect.poll(panels, { timeout: 50_000 }).toBe(1)
    press()
    await expect.poll(panels, { timeout: 50_000 }).toBe(0)
    end()
  } finally {
    await client.close()
  }
})

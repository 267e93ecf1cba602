/** Clients of the fixture's application that close after each test. */
import { createSyncClient } from "@synchrotron/sync-client"
import { afterEach } from "vitest"
import { app, bearer, databaseImage, FakeAuthority } from "./fixture.ts"

type Options = Parameters<typeof createSyncClient>[0]
const clients: Array<ReturnType<typeof createSyncClient>> = []

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

export const open = async (authority = new FakeAuthority(), options: Partial<Options> = {}) => {
  const client = createSyncClient({
    app,
    dataDir: "memory://",
    image: await databaseImage(),
    server: { url: "http://authority.test", token: bearer },
    fetch: authority.fetch,
    pollMs: 0,
    ...options
  })
  clients.push(client)
  return { authority, client }
}

/** Waits until the condition holds; fails with what it said last after five seconds. */
export const until = async (condition: () => boolean | Promise<boolean>) => {
  const deadline = Date.now() + 5000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`it never came to be: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

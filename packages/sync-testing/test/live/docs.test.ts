/** The code of docs/feed.md, as it stands. */
import { join } from "node:path"
import type { PromiseClient } from "@synchrotron/sync-client"
import { describe, expect, it } from "vitest"
import { extract } from "../../../../test/pages.ts"
import { token } from "../../../sync-server/test/http/support.ts"
import { app } from "../../../sync-server/test/shape/fixture.ts"
import { insert, join_, makePlace, serve, write } from "../../../sync-server/test/shape/support.ts"

describe("docs/feed.md", () => {
  const folder = extract("docs/feed.md", ".feed-docs", "packages/sync-testing")

  it("opens a client to which changes come live", async () => {
    const { isLive, open } = (await import(join(folder, "live.ts"))) as {
      open: (application: typeof app, url: string, getToken: () => Promise<string>) => PromiseClient
      isLive: (client: PromiseClient) => boolean
    }
    const place = await makePlace("embedded")
    const server = await serve(place)
    await write(server, join_("ann"))
    const client = open(app, server.url.replace("/v1/shape", ""), () => token("ann"))
    await expect.poll(() => isLive(client), { timeout: 20_000 }).toBe(true)
    await write(server, insert("a"))
    await expect.poll(() => client.query("SELECT id FROM notes"), { timeout: 20_000 }).toEqual([{ id: "a" }])
    await client.close()
    await server.close()
  })
})

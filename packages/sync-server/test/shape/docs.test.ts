/** The code of docs/electric.md, as it stands. */
import { join } from "node:path"
import type { Shape } from "@electric-sql/client"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { extract } from "../../../../test/pages.ts"
import { token } from "../http/support.ts"
import { insert, join_, makePlace, type Server, serve, write } from "./support.ts"

describe("docs/electric.md", () => {
  const folder = extract("docs/electric.md", ".electric-docs", "packages/sync-server")
  let server: Server
  let base: string
  beforeAll(async () => {
    server = await serve(await makePlace("embedded"))
    base = server.url.replace("/v1/shape", "")
    await write(server, join_("ann"), join_("ann", "blue"), insert("a"), insert("b", { team: "blue" }))
  })
  afterAll(() => server.close())

  it("follows a shape", async () => {
    const { followNotes } = (await import(join(folder, "shape.ts"))) as {
      followNotes: (server: string, getToken: () => Promise<string>) => Shape
    }
    const shape = followNotes(base, () => token("ann"))
    expect((await shape.rows).map((row) => row.id).sort()).toEqual(["a", "b"])
    shape.unsubscribeAll()
  })

  it("queries a collection", async () => {
    const { teamNotes } = (await import(join(folder, "collection.ts"))) as {
      teamNotes: (
        server: string,
        getToken: () => Promise<string>,
        team: string
      ) => {
        toArrayWhenReady: () => Promise<ReadonlyArray<{ id: string }>>
        toArray: ReadonlyArray<{ id: string }>
      }
    }
    const notes = teamNotes(base, () => token("ann"), "red")
    expect((await notes.toArrayWhenReady()).map((note) => note.id)).toEqual(["a"])
    await write(server, insert("c"))
    await expect.poll(() => notes.toArray.map((note) => note.id), { timeout: 20_000 }).toEqual(["a", "c"])
  })
})

/** The client's live path: real HTTP, Electric's client, both databases, by events and by long polls. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import {
  databases,
  insert,
  join_,
  leave,
  makePlace,
  type Place,
  type Server,
  serve,
  write
} from "../../../sync-server/test/shape/support.ts"
import { aWhile, bodyOf, type LiveClient, openClient } from "./support.ts"

describe.each(databases)("clients of a server on %s", (kind) => {
  let place: Place
  let server: Server
  const clients: Array<LiveClient> = []
  const open = async (...args: Parameters<typeof openClient>) => {
    const client = await openClient(...args)
    clients.push(client)
    return client
  }
  beforeAll(async () => {
    place = await makePlace(kind)
    server = await serve(place)
    await write(server, join_("ann"), join_("bob"), join_("bob", "blue"))
  })
  afterEach(async () => {
    for (const { client } of clients.splice(0)) await client.close()
    await write(server, "DELETE FROM notes", "DELETE FROM members WHERE user_id = 'ann'", join_("ann"))
  })
  afterAll(async () => {
    await server.close()
    await place.remove()
  })

  describe.each(["sse", "long-poll"] as const)("by %s", (mode) => {
    it("I1: rows of others come without a further sync", async () => {
      await write(server, insert("a"))
      const ann = await open(server, { mode })
      await ann.live()
      await ann.has("a")
      await aWhile()
      const before = ann.posts()
      await write(server, insert("b"), insert("c", { team: "blue" }))
      await ann.has("a", "b")
      await write(server, "UPDATE notes SET text = 'new' WHERE id = 'a'")
      await vi.waitFor(async () =>
        expect(await ann.client.query("SELECT text FROM notes WHERE id = 'a'")).toEqual([{ text: "new" }])
      )
      const seq = await write(server, "DELETE FROM notes WHERE id = 'a'")
      await ann.has("b")
      expect(ann.client.status.get()).toMatchObject({ seq, live: true })
      expect(ann.posts()).toBe(before)
      expect(ann.shapes.some(({ search }) => search.get("live_sse") === "true")).toBe(mode === "sse")
    })

    it("I6: what policies hide never crosses the wire", async () => {
      const ann = await open(server, { mode })
      await ann.live()
      await write(server, insert("h", { text: "secret one", hidden: true }))
      await write(server, insert("h2", { text: "secret two", hidden: true }), insert("open"))
      await ann.has("open")
      await write(
        server,
        "UPDATE notes SET hidden = true, text = 'secret three' WHERE id = 'open'",
        insert("more")
      )
      await ann.has("more")
      expect(ann.bodies()).not.toContain("secret")
    })

    it("I6: rows of a lost audience go, and those of a gained one come", async () => {
      await write(server, insert("a"), insert("b", { team: "blue" }))
      const ann = await open(server, { mode })
      await ann.live()
      await ann.has("a")
      await write(server, join_("ann", "blue"))
      await ann.has("a", "b")
      await write(server, leave("ann"))
      await ann.has("b")
      await write(server, insert("c", { text: `too late ${mode}` }), insert("d", { team: "blue" }))
      await ann.has("b", "d")
      expect(ann.bodies()).not.toContain(`too late ${mode}`)
      await write(server, join_("ann"), leave("ann", "blue"))
      await ann.has("a", "c")
    })
  })

  it("I1: while a record is pending, what comes live is left to the sync that sends it", async () => {
    let held = true
    const release: Array<() => void> = []
    const ann = await open(server, {
      intercept: (url, init) =>
        url.pathname.endsWith("/sync") && held && bodyOf(init).includes("mine")
          ? new Promise<void>((resolve) => release.push(resolve)).then(() => fetch(url, init))
          : undefined
    })
    await ann.live()
    const outcome = ann.client.execute(ann.write("INSERT INTO notes (id, team) VALUES ('mine', 'red')"))
    await outcome
    await write(server, insert("theirs"))
    await vi.waitFor(() => expect(release).toHaveLength(1))
    await aWhile()
    expect(await ann.client.query("SELECT id FROM notes")).toEqual([{ id: "mine" }])
    held = false
    release[0]!()
    // Policies refuse the write to all but root.
    await ann.has("theirs")
    expect(await outcome.outcome()).toMatchObject({ _tag: "rejected" })
  })

  it("I1: a client's own commit asks for no second sync", async () => {
    const root = await open(server, { user: "root" })
    await root.live()
    // What came up has asked for a sync.
    await root.client.sync()
    await aWhile()
    const before = root.posts()
    await root.client.execute(root.write(insert("a")))
    // Not `settled`, which asks for a sync itself.
    await root.live()
    await aWhile()
    expect(root.posts()).toBe(before + 1)
  })

  it("I9: a pause, and a close, leave no request open", async () => {
    const ann = await open(server)
    await ann.live()
    await vi.waitFor(() => expect(ann.open()).toBe(1))
    await ann.client.pause()
    await vi.waitFor(() => expect(ann.open()).toBe(0))
    expect(ann.client.status.get()).toMatchObject({ phase: "paused", live: false })
    await write(server, insert("a"))
    await aWhile()
    expect(await ann.client.query("SELECT id FROM notes")).toEqual([])
    await ann.client.resume()
    await ann.live()
    await ann.has("a")
    await ann.client.close()
    await vi.waitFor(() => expect(ann.open()).toBe(0))
  })

  it("asks for another token when the server refuses one, and again later", async () => {
    const { token } = await import("../../../sync-server/test/http/support.ts")
    let refusals = 0
    const ann = await open(server, {
      token: async () => (refusals-- > 0 ? "stale" : token("ann"))
    })
    await ann.live()
    refusals = 1
    await ann.client.pause()
    await ann.client.resume()
    await ann.live()
    await write(server, insert("a"))
    await ann.has("a")
  })

  it("polls where the server has no feed, and says so", async () => {
    const ann = await open(server, {
      pollMs: 50,
      intercept: (url) =>
        url.pathname.endsWith("/shape") ? Promise.resolve(Response.json({}, { status: 404 })) : undefined
    })
    await write(server, insert("a"))
    await ann.has("a")
    expect(ann.client.status.get().live).toBe(false)
  })

  it("I1: messages that are lost are made up for by one sync", async () => {
    let losing = false
    const ann = await open(server, {
      mode: "long-poll",
      intercept: (url, init) =>
        url.searchParams.get("live") === "true"
          ? fetch(url, init).then(async (response) => {
              if (!losing) return response
              const kept = ((await response.json()) as Array<{ key?: string }>).filter(
                ({ key }) => key === undefined
              )
              return Response.json(kept, response)
            })
          : undefined
    })
    await ann.live()
    await aWhile()
    const before = ann.posts()
    losing = true
    await write(server, insert("lost"))
    await aWhile()
    losing = false
    await write(server, insert("b"))
    await ann.has("b", "lost")
    expect(ann.posts()).toBe(before + 1)
  })
})

describe.each(databases)("a server on %s that restarts", (kind) => {
  it("I1: is followed on, with what happened meanwhile", async () => {
    const place = await makePlace(kind, "kept")
    let server = await serve(place)
    await write(server, join_("ann"), insert("a"))
    const ann = await openClient(server)
    try {
      await ann.live()
      await ann.has("a")
      const { port } = server
      await server.close()
      await vi.waitFor(() => expect(ann.client.status.get().live).toBe(false), { timeout: 20_000 })
      server = await serve(place, {}, port)
      await write(server, insert("b"))
      await ann.has("a", "b")
      await ann.live()
      await write(server, insert("c"))
      await ann.has("a", "b", "c")
    } finally {
      await ann.client.close()
      await server.close()
      await place.remove()
    }
  })
})

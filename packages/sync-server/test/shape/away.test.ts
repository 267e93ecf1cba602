/** Clients that were away, servers that were, and servers that go. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import {
  databases,
  type Follower,
  follow,
  insert,
  join_,
  leave,
  makePlace,
  type Place,
  type Server,
  serve,
  write
} from "./support.ts"

describe.each(databases)("on %s", (kind) => {
  let place: Place
  let server: Server
  let ann: Follower | undefined
  beforeAll(async () => {
    place = await makePlace(kind, "kept")
    server = await serve(place)
  })
  beforeEach(async () => {
    await write(server, "DELETE FROM notes", "DELETE FROM members", join_("ann"), insert("a"), insert("b"))
  })
  afterEach(() => ann?.stop())
  afterAll(async () => {
    await server.close()
    await place.remove()
  })

  it.each([
    ["long poll", false],
    ["events", true]
  ])("I1: a client by %s goes on after the server was started again", async (_, sse) => {
    ann = await follow(server, { sse })
    await ann.has("a", "b")
    await server.close()
    server = await serve(place, {}, server.port)
    await write(server, insert("c"), "DELETE FROM notes WHERE id = 'a'")
    await ann.has("b", "c")
    expect(ann.requests.filter(({ search }) => search.get("offset") === "-1")).toHaveLength(1)
  })

  it("I1: a client that was away goes on from its offset", async () => {
    ann = await follow(server)
    await ann.has("a", "b")
    const { handle, lastOffset: offset } = ann.shape
    ann.stop()
    await write(
      server,
      "DELETE FROM notes WHERE id = 'a'",
      "UPDATE notes SET text = 'new' WHERE id = 'b'",
      insert("c")
    )
    ann = await follow(server, { handle: handle!, offset })
    await ann.has("b", "c")
    expect(ann.operations.slice(0, 4).sort()).toEqual(["delete", "insert", "insert", "up-to-date"])
  })

  it("I6: a client that was away when it lost an audience begins anew", async () => {
    ann = await follow(server)
    await ann.has("a", "b")
    const { handle, lastOffset: offset } = ann.shape
    ann.stop()
    await write(server, leave("ann"), join_("ann", "blue"), insert("c", { team: "blue" }))
    ann = await follow(server, { handle: handle!, offset })
    await ann.has("c")
    expect(ann.requests[0]!.status).toBe(409)
    expect(ann.bodies()).not.toContain('"id":"b"')
  })

  it("a stopping server ends what waits, and does not wait for it", async () => {
    const first = await server.get({ table: "notes", offset: "-1" })
    const live = {
      table: "notes",
      offset: first.headers.get("electric-offset")!,
      handle: first.headers.get("electric-handle")!,
      live: "true"
    }
    const poll = server.get(live)
    const stream = await server.get({ ...live, live_sse: "true" })
    const events = stream.text()
    const begunMs = Date.now()
    await server.close()
    expect(Date.now() - begunMs).toBeLessThan(5000)
    const answer = await poll
    expect(answer.status).toBe(200)
    expect(await answer.text()).toMatch(/^\[\{"headers":\{"control":"up-to-date".*\}\]$/)
    expect(await events).toContain("up-to-date")
    server = await serve(place)
  })
})

/** What a client of Electric sees of a table, by long poll and by events, on both databases. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
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

describe.each(databases)("shapes of a server on %s", (kind) => {
  let place: Place
  let server: Server
  const followers: Array<Follower> = []
  const start = async (...args: Parameters<typeof follow>) => {
    const follower = await follow(...args)
    followers.push(follower)
    return follower
  }
  beforeAll(async () => {
    place = await makePlace(kind)
    server = await serve(place)
    await write(server, join_("ann"), join_("bob"), join_("bob", "blue"))
  })
  afterEach(async () => {
    for (const follower of followers.splice(0)) follower.stop()
    await write(server, "DELETE FROM notes")
  })
  afterAll(async () => {
    await server.close()
    await place.remove()
  })

  describe.each([
    ["long poll", false],
    ["events", true]
  ])("by %s", (_, sse) => {
    it("I1: inserts, updates and deletes arrive", async () => {
      await write(server, insert("a"))
      const ann = await start(server, { sse })
      await ann.has("a")
      await write(server, insert("b"), insert("c", { team: "blue" }))
      await ann.has("a", "b")
      await write(server, "UPDATE notes SET text = 'new' WHERE id = 'a'")
      await expect
        .poll(() => ann.shape.currentValue.get('"public"."notes"/"a"')?.text, { timeout: 20_000 })
        .toBe("new")
      await write(server, "DELETE FROM notes WHERE id = 'a'")
      await ann.has("b")
      expect(ann.requests.some(({ search }) => search.get("live_sse") === "true")).toBe(sse)
      expect(ann.requests.every(({ status }) => status === 200)).toBe(true)
    })

    it("I6: what policies hide never crosses the wire", async () => {
      await write(server, insert("open"), insert("h1", { text: "secret one", hidden: true }))
      const ann = await start(server, { sse })
      await ann.has("open")
      await write(server, insert("h2", { text: "secret two", hidden: true }), insert("more"))
      await ann.has("open", "more")
      await write(server, "UPDATE notes SET hidden = true, text = 'secret three' WHERE id = 'open'")
      await ann.has("more")
      await write(
        server,
        "UPDATE notes SET hidden = false, text = 'shown' WHERE id = 'h1'",
        insert("other", { team: "blue", text: "secret four" })
      )
      await ann.has("more", "h1")
      expect(ann.bodies()).toContain("shown")
      expect(ann.bodies()).not.toContain("secret")
    })

    it("I6: a gained audience is loaded and a lost one goes, while the client waits", async () => {
      await write(server, insert("a"), insert("b", { team: "blue" }))
      const ann = await start(server, { sse })
      await ann.has("a")
      await write(server, join_("ann", "blue"))
      await ann.has("a", "b")
      await write(server, leave("ann"))
      await ann.has("b")
      await write(server, insert("c", { text: "too late" }), insert("d", { team: "blue" }))
      await ann.has("b", "d")
      expect(ann.bodies()).not.toContain("too late")
      await write(server, join_("ann"), leave("ann", "blue"))
      await ann.has("a", "c")
    })
  })
})

/** The feed as bare HTTP, on both databases: what it tells whom, and what it refuses. */
import { request as httpRequest, type IncomingMessage } from "node:http"
import { Live } from "@synchrotron/sync-core"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { token } from "../http/support.ts"
import { app } from "../shape/fixture.ts"
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
} from "../shape/support.ts"

const stallMsMax = 500

interface Told {
  readonly seq: string
  readonly from: string
  readonly answer: string | null
}

describe.each(databases)("the feed of a server on %s", (kind) => {
  let place: Place
  let server: Server
  const client = crypto.randomUUID()
  beforeAll(async () => {
    place = await makePlace(kind)
    server = await serve(place, { answerRows: 5, answerBytes: 10_000, stallMsMax })
    await write(server, join_("ann"), join_("bob"))
  })
  beforeEach(() => write(server, "DELETE FROM notes"))
  afterAll(async () => {
    await server.close()
    await place.remove()
  })

  const ask = (more: Record<string, string>, user = "ann") =>
    server.get({ table: Live.feedTable, client, schema: app.schemaHash, ...more }, user)
  /** Where a follower is who begins now. */
  const now = async (user = "ann") => {
    const response = await ask({ offset: "now" }, user)
    expect(response.status).toBe(200)
    await response.text()
    return {
      handle: response.headers.get("electric-handle")!,
      offset: response.headers.get("electric-offset")!
    }
  }
  const next = async (at: { readonly handle: string; readonly offset: string }, user = "ann") => {
    const response = await ask(at, user)
    expect(response.status).toBe(200)
    const messages = (await response.json()) as ReadonlyArray<{ readonly value?: Told }>
    return {
      told: messages.flatMap(({ value }) => value ?? []),
      offset: response.headers.get("electric-offset")!
    }
  }

  it("I1: tells what a sync from there would bring, once for all commits since", async () => {
    const at = await now()
    await write(server, insert("a"), insert("b"))
    const seq = await write(
      server,
      "UPDATE notes SET text = 'new' WHERE id = 'a'",
      "DELETE FROM notes WHERE id = 'b'"
    )
    const { offset, told } = await next(at)
    expect(offset).toBe(`${seq}_0`)
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({ seq: String(seq), from: at.offset.split("_")[0] })
    expect(JSON.parse(told[0]!.answer!)).toMatchObject({
      seq,
      audiences: ["team:red"],
      next: null,
      verdicts: [],
      notices: []
    })
    expect(told[0]!.answer).toContain("new")
    expect((await next({ ...at, offset })).told).toEqual([])
  })

  it("I1: goes on from where it was while nothing was told", async () => {
    const at = await now()
    await write(server, insert("x", { team: "blue" }))
    expect(await next(at)).toEqual({ told: [], offset: at.offset })
  })

  it("I9: only says that there is something when it is too much", async () => {
    const at = await now()
    await write(server, ...["1", "2", "3", "4", "5", "6"].map((id) => insert(id)))
    expect((await next(at)).told).toMatchObject([{ answer: null }])
    const later = await now()
    await write(server, insert("large", { text: "x".repeat(20_000) }))
    expect((await next(later)).told).toMatchObject([{ answer: null }])
  })

  it("I6: has no row that its user may not see", async () => {
    const at = await now()
    await write(
      server,
      insert("h", { text: "secret", hidden: true }),
      insert("o", { team: "blue", text: "secret" })
    )
    expect(JSON.stringify((await next(at)).told)).not.toContain("secret")
  })

  it("I6: is another one when the audiences are others", async () => {
    const at = await now()
    await write(server, join_("ann", "green"), insert("g", { team: "green", text: "secret" }))
    const response = await ask(at)
    expect(await response.json()).toMatchObject([
      { headers: { control: "must-refetch" } },
      { headers: { control: "up-to-date" } }
    ])
    await write(server, leave("ann", "green"))
  })

  it("I6: is for the client's own user", async () => {
    const { handle, offset } = await now()
    expect(await (await ask({ handle, offset }, "bob")).text()).toContain("must-refetch")
    const body = {
      protocol: 2,
      app: app.name,
      schema: app.schemaHash,
      clientId: client,
      clientTimeMs: Date.now(),
      cursors: {},
      records: [],
      after: null
    }
    await fetch(server.url.replace("/shape", "/sync"), {
      method: "POST",
      headers: { authorization: `Bearer ${await token("ann")}` },
      body: JSON.stringify(body)
    })
    expect((await ask({ offset: "now" }, "bob")).status).toBe(400)
    expect((await ask({ offset: "now" })).status).toBe(200)
  })

  it("refuses a client of another schema, and what is no client", async () => {
    for (const wrong of [{ schema: "other" }, { client: "me" }]) {
      const response = await ask({ offset: "now", ...wrong })
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ _tag: "InvalidRequest", message: expect.any(String) })
    }
  })

  it("I9: hangs up on a client that does not read", async () => {
    const search = new URLSearchParams({ table: "notes", offset: "-1" })
    const first = await fetch(`${server.url}?${search}`, {
      headers: { authorization: `Bearer ${await token("ann")}` }
    })
    await first.text()
    const query = new URLSearchParams({
      table: "notes",
      offset: first.headers.get("electric-offset")!,
      handle: first.headers.get("electric-handle")!,
      live: "true",
      live_sse: "true"
    })
    const bearer = await token("ann")
    const response = await new Promise<IncomingMessage>((resolve, reject) =>
      httpRequest(`${server.url}?${query}`, { headers: { authorization: `Bearer ${bearer}` } }, resolve)
        .on("error", reject)
        .end()
    )
    response.on("error", () => {})
    response.pause()
    // More than the buffers of both sockets hold.
    for (const id of ["a", "b", "c", "d", "e"])
      await write(
        server,
        `INSERT INTO notes (id, team, text) SELECT '${id}' || i, 'red', repeat('y', 500000) FROM generate_series(1, 10) AS i`
      )
    await new Promise((resolve) => setTimeout(resolve, 2 * stallMsMax))
    const closed = new Promise<void>((resolve) => response.on("close", () => resolve()))
    response.resume()
    await closed
    expect(response.complete).toBe(false)
  })
})

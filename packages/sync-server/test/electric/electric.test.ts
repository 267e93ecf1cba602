/** The gatekeeper before a stand-in for Electric, over a real Postgres. */
import pg from "pg"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { app } from "../shape/fixture.ts"
import {
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
} from "../shape/support.ts"
import { type StandIn, startStandIn } from "./standin.ts"

const secret = "the secret that only server and Electric know"
const password = "electric of the tests"
const feed = "synchrotron.feed"

let place: Place
let admin: pg.Client
let asElectric: string
let electric: StandIn
let server: Server
const followers: Array<Follower> = []

beforeAll(async () => {
  place = await makePlace("postgres")
  if (place.database._tag !== "postgres") throw new Error("expected a Postgres")
  const url = new URL(String(place.database.url))
  admin = new pg.Client({ connectionString: url.href })
  await admin.connect()
  // Roles belong to all databases of the test run, and another test's may have granted something to this one.
  await admin.query("CREATE ROLE synchrotron_electric").catch(() => {})
  await admin.query(`ALTER ROLE synchrotron_electric LOGIN REPLICATION PASSWORD '${password}'`)
  url.username = "synchrotron_electric"
  url.password = encodeURIComponent(password)
  asElectric = url.href
  electric = await startStandIn({ databaseUrl: asElectric, secret, holdMs: 5000 })
  server = await serve(place, { sessionsMax: 50 }, 0, { url: electric.url, secret, answerMsMax: 8000 })
})
afterEach(async () => {
  for (const follower of followers.splice(0)) follower.stop()
  electric.mode = "serve"
  await expect.poll(electric.waiting, { timeout: 20_000 }).toBe(0)
  await write(server, "DELETE FROM notes", "DELETE FROM members")
})
afterAll(async () => {
  await server.close()
  await electric.close()
  await admin.query("DROP OWNED BY synchrotron_electric")
  await admin.query("DROP ROLE synchrotron_electric").catch(() => {})
  await admin.end()
  await place.remove()
})

const start = async (user: string, sse: boolean) => {
  const follower = await follow(server, { user, sse, table: feed, offset: "now" })
  followers.push(follower)
  await expect.poll(() => follower.requests.length, { timeout: 20_000 }).toBeGreaterThan(0)
  return follower
}
/** The commits that came over the wire. */
const seqs = (follower: Follower) =>
  [...follower.bodies().matchAll(/"seq":"(\d+)"/g)].map(([, seq]) => Number(seq))
const hears = (follower: Follower, seq: number) =>
  expect.poll(() => seqs(follower), { timeout: 20_000 }).toContain(seq)
/** The answer to a request from the start, as where to go on. */
const begin = async (user = "ann") => {
  const answer = await server.get({ table: feed, offset: "now" }, user)
  expect(answer.status, await answer.clone().text()).toBe(200)
  return {
    table: feed,
    offset: answer.headers.get("electric-offset")!,
    handle: answer.headers.get("electric-handle")!
  }
}

describe.each([
  ["long poll", false],
  ["events", true]
])("the feed by %s", (_, sse) => {
  it("I1: tells Electric's client of each commit in its audiences, and I6: of no other", async () => {
    await write(server, join_("ann"), join_("bob", "blue"))
    const ann = await start("ann", sse)
    const bob = await start("bob", sse)
    await hears(ann, await write(server, insert("a")))
    await hears(ann, await write(server, insert("b")))
    const blue = await write(server, insert("c", { team: "blue" }))
    await hears(bob, blue)
    expect(seqs(ann)).not.toContain(blue)
    expect(bob.bodies()).not.toContain("team:red")
    // Written without the engine.
    await admin.query("INSERT INTO notes (id, team) VALUES ('d', 'red')")
    const [realm] = (await admin.query("SELECT seq::int FROM synchrotron.realm")).rows
    await hears(ann, realm.seq)
    expect(ann.bodies() + bob.bodies()).not.toMatch(/"text"|"hidden"|notes/)
  })

  it("I6: begins anew as soon as the audiences are others", async () => {
    await write(server, join_("ann"))
    const ann = await start("ann", sse)
    await hears(ann, await write(server, insert("a")))
    await write(server, join_("ann", "blue"))
    await expect.poll(() => ann.requests.some(({ status }) => status === 409), { timeout: 20_000 }).toBe(true)
    await hears(ann, await write(server, insert("b", { team: "blue" })))
    await write(server, leave("ann", "red"))
    await expect
      .poll(() => ann.requests.filter(({ status }) => status === 409).length, { timeout: 20_000 })
      .toBeGreaterThan(1)
    const asksFor = () =>
      [...electric.asked.at(-1)!.search]
        .filter(([name]) => name.startsWith("params["))
        .map(([, value]) => value)
    await expect.poll(asksFor, { timeout: 20_000 }).toEqual(["team:blue"])
  })
})

describe("a forwarded request", () => {
  it("I7: asks for the shape that the server decides on, whatever the client says", async () => {
    await write(server, join_("ann"), join_("ann", "it''s"))
    const { handle, offset } = await begin()
    const asked = electric.asked.length
    const answer = await server.get({
      table: feed,
      offset,
      handle,
      cursor: "17",
      log: "full",
      expired_handle: handle,
      columns: "audience,seq,secrets",
      where: "true",
      params: '{"1":"team:blue"}',
      "params[1]": "team:blue",
      "params[3]": "team:blue",
      replica: "full",
      secret: "guessed",
      subset__where: "true",
      client: "6f1c0000-0000-4000-8000-0000000000e2"
    })
    expect(answer.status).toBe(200)
    expect(electric.asked).toHaveLength(asked + 1)
    const { headers, search } = electric.asked.at(-1)!
    const own = handle.slice(handle.indexOf("-") + 1)
    expect(Object.fromEntries(search)).toEqual({
      table: feed,
      columns: "audience,seq",
      where: "audience IN ($1, $2)",
      "params[1]": "team:it's",
      "params[2]": "team:red",
      secret,
      offset,
      handle: own,
      expired_handle: own,
      cursor: "17",
      log: "full"
    })
    expect(headers.authorization).toBeUndefined()
    expect(headers["accept-encoding"]).toBe("identity")
  })

  it("shares a shape between those who hold the same audiences", async () => {
    await write(server, join_("ann"), join_("ann", "blue"), join_("bob", "blue"), join_("bob"))
    const [ann, bob] = [await begin("ann"), await begin("bob")]
    expect(bob.handle).toBe(ann.handle)
    await write(server, leave("bob"))
    expect((await begin("bob")).handle).not.toBe(ann.handle)
  })

  it("is answered with Electric's headers, and for no cache", async () => {
    await write(server, join_("ann"))
    const answer = await server.get({ table: feed, offset: "-1" })
    expect(answer.headers.get("cache-control")).toBe("no-store")
    expect(answer.headers.get("electric-offset")).toMatch(/^\d+_0$/)
    expect(answer.headers.has("electric-up-to-date")).toBe(true)
    expect(JSON.parse(answer.headers.get("electric-schema")!)).toHaveProperty("seq")
    expect(await answer.json()).toMatchObject([{ value: { audience: "team:red" } }, { headers: {} }])
  })

  it("needs a token, and none of a user who holds nothing reaches further", async () => {
    const asked = electric.asked.length
    expect((await server.get({ table: feed, offset: "now" }, null)).status).toBe(401)
    expect(electric.asked).toHaveLength(asked)
    await write(server, insert("a"))
    const nobody = await server.get({ table: feed, offset: "-1" }, "nobody")
    expect(await nobody.json()).toEqual([{ headers: expect.objectContaining({ control: "up-to-date" }) }])
  })

  it("I6: does not go on with the handle of another set of audiences", async () => {
    await write(server, join_("ann"), join_("bob", "blue"))
    const { handle, offset } = await begin("bob")
    const asked = electric.asked.length
    for (const given of [handle, handle.replace(/^\w+/, "0000000000000000"), "3-1700000000000000"]) {
      const answer = await server.get({ table: feed, offset, handle: given })
      expect(answer.status).toBe(409)
      expect(await answer.json()).toEqual([{ headers: { control: "must-refetch" } }])
      expect(answer.headers.get("electric-handle")).not.toBe(given)
    }
    expect(electric.asked).toHaveLength(asked)
  })

  it("I6: ends while it waits when the audiences change, and not at a commit in those that are held", async () => {
    await write(server, join_("ann"))
    const at = await begin()
    const waiting = server.get({ ...at, live: "true" })
    const events = await server.get({ ...at, live: "true", live_sse: "true" })
    await expect.poll(electric.waiting).toBe(2)
    await write(server, join_("ann", "blue"))
    // Electric itself would have answered that there is nothing.
    expect((await waiting).status).toBe(409)
    expect(await events.text()).toMatch(/up-to-date/)
    await expect.poll(electric.waiting).toBe(0)
    expect(electric.asked.slice(-2).map(({ aborted }) => aborted)).toEqual([true, true])
    const now = await begin()
    const next = server.get({ ...now, live: "true" })
    await expect.poll(electric.waiting).toBe(1)
    const seq = await write(server, insert("a", { team: "blue" }))
    expect(JSON.stringify(await (await next).json())).toContain(`"seq":"${seq}"`)
  })

  it("leaves the application's tables to the server's own endpoint", async () => {
    await write(server, join_("ann"), insert("a"))
    const asked = electric.asked.length
    const answer = await server.get({ table: "notes", offset: "-1" })
    expect(JSON.stringify(await answer.json())).toContain('"id":"a"')
    expect(electric.asked).toHaveLength(asked)
  })

  it("I9: is for the server itself when the user has too many audiences for a URL", async () => {
    await write(server, "INSERT INTO members SELECT 'team ' || i, 'ann' FROM generate_series(1, 1000) AS i")
    const asked = electric.asked.length
    const answer = await server.get({
      table: feed,
      offset: "now",
      client: "6f1c0000-0000-4000-8000-0000000000e3",
      schema: app.schemaHash
    })
    expect(answer.status, await answer.clone().text()).toBe(200)
    expect(electric.asked).toHaveLength(asked)
    await write(server, "DELETE FROM members")
    const fewer = { table: feed, offset: answer.headers.get("electric-offset")! }
    const refetch = await server.get({ ...fewer, handle: answer.headers.get("electric-handle")! })
    expect(refetch.status).toBe(409)
  })

  it("ends at Electric when the client leaves", async () => {
    await write(server, join_("ann"))
    const at = await begin()
    for (const more of [{}, { live_sse: "true" }]) {
      const controller = new AbortController()
      const asked = electric.asked.length
      const answer = server.get({ ...at, live: "true", ...more }, "ann", controller.signal)
      await expect.poll(() => electric.asked.length, { timeout: 20_000 }).toBe(asked + 1)
      if ("live_sse" in more) await (await answer).body!.getReader().read()
      controller.abort()
      await answer.catch(() => {})
      await expect.poll(() => electric.asked.at(-1)!.aborted, { timeout: 4000 }).toBe(true)
    }
  })

  it("passes events on as they come", async () => {
    await write(server, join_("ann"))
    const answer = await server.get({ ...(await begin()), live: "true", live_sse: "true" })
    expect(answer.headers.get("content-type")).toBe("text/event-stream")
    expect(answer.headers.get("x-accel-buffering")).toBe("no")
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toContain("up-to-date")
    // The stream goes on, and this event is here.
    const seq = await write(server, insert("a"))
    expect((await reader.read()).value).toContain(`"seq":"${seq}"`)
    await reader.cancel()
  })
})

describe("without an Electric that answers", () => {
  const statusOf = async (parameters: Record<string, string> = {}) => {
    const answer = await server.get({ table: feed, offset: "now", ...parameters })
    const text = await answer.text()
    expect(text).not.toContain("only server and Electric")
    return { status: answer.status, after: answer.headers.get("retry-after"), body: JSON.parse(text) }
  }

  it.each([503, 500, 429, 401, 400])("%s of it is 503 Unavailable here", async (mode) => {
    electric.mode = mode
    expect(await statusOf()).toEqual({
      status: 503,
      after: "7",
      body: { _tag: "Unavailable", message: expect.any(String), retryAfterMs: 7000 }
    })
  })

  it("a redirect, which would carry the secret elsewhere, is not followed", async () => {
    electric.mode = 302
    const asked = electric.asked.length
    expect(await statusOf()).toMatchObject({ status: 503, body: { _tag: "Unavailable" } })
    expect(electric.asked).toHaveLength(asked + 1)
  })

  it("an offset that it does not know begins anew", async () => {
    await write(server, join_("ann"))
    const { handle, offset } = await begin()
    electric.mode = 400
    expect((await statusOf({ handle, offset })).status).toBe(409)
  })

  it("silence is 503 after a while", async () => {
    electric.mode = "silent"
    const impatient = await serve(place, {}, 0, { url: electric.url, secret, answerMsMax: 300 })
    const answer = await impatient.get({ table: feed, offset: "now" })
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ _tag: "Unavailable" })
    await impatient.close()
  })

  it("what breaks off is no answer, and neither is what nobody gives", async () => {
    electric.mode = "half"
    const broken = statusOf()
    await expect.poll(electric.waiting).toBe(1)
    await electric.close()
    expect(await broken).toMatchObject({ status: 503, body: { _tag: "Unavailable" } })
    expect(await statusOf()).toMatchObject({ status: 503, body: { _tag: "Unavailable" } })
    electric = await startStandIn({ databaseUrl: asElectric, secret, holdMs: 5000 })
    await server.close()
    server = await serve(place, { sessionsMax: 50 }, 0, { url: electric.url, secret, answerMsMax: 8000 })
  })

  it("a stopping server waits for none of its answers", async () => {
    await write(server, join_("ann"))
    const at = await begin()
    const poll = server.get({ ...at, live: "true" })
    const events = (await server.get({ ...at, live: "true", live_sse: "true" })).text()
    await expect.poll(electric.waiting).toBe(2)
    await server.close()
    expect((await poll).status).toBe(503)
    expect(await events).toContain("up-to-date")
    server = await serve(place, { sessionsMax: 50 }, 0, { url: electric.url, secret, answerMsMax: 8000 })
  })
})

describe("the database before an Electric", () => {
  it("I6: lets Electric's role read the feed, and nothing of the application or of the engine", async () => {
    await write(server, join_("ann"), insert("a"))
    const client = new pg.Client({ connectionString: asElectric })
    await client.connect()
    try {
      expect((await client.query("SELECT audience FROM synchrotron.feed")).rows).toContainEqual({
        audience: "team:red"
      })
      for (const table of ["notes", "members", "synchrotron.row_versions", "synchrotron.records"])
        await expect(client.query(`SELECT FROM ${table}`), table).rejects.toThrow(/permission denied/)
      await expect(client.query("UPDATE synchrotron.feed SET seq = 0")).rejects.toThrow(/permission denied/)
    } finally {
      await client.end()
    }
    const { rows } = await admin.query(
      "SELECT schemaname || '.' || tablename AS name FROM pg_publication_tables WHERE pubname = 'electric_publication_default'"
    )
    expect(rows).toEqual([{ name: feed }])
  })

  it("I9: keeps one row for each audience, however many commits there are", async () => {
    for (let i = 0; i < 5; i++) await write(server, insert(`many${i}`), insert(`blue${i}`, { team: "blue" }))
    const { rows } = await admin.query("SELECT audience FROM synchrotron.feed ORDER BY 1")
    const audiences = rows.map(({ audience }) => audience)
    expect(audiences).toEqual([...new Set(audiences)])
    expect(audiences).toEqual(expect.arrayContaining(["team:blue", "team:red"]))
  })

  it("keeps no feed until a server stands before an Electric", async () => {
    const other = await makePlace("postgres")
    const plain = await serve(other)
    try {
      const first = await write(plain, insert("a"))
      const client = new pg.Client({
        connectionString: other.database._tag === "postgres" ? String(other.database.url) : ""
      })
      await client.connect()
      expect((await client.query("SELECT FROM synchrotron.feed")).rowCount).toBe(0)
      const gatekeeper = await serve(other, {}, 0, { url: electric.url, secret })
      // Also what the server without one commits.
      const seq = await write(plain, insert("b"))
      expect((await client.query("SELECT audience, seq::int FROM synchrotron.feed")).rows).toEqual([
        { audience: "team:red", seq }
      ])
      expect(seq).toBeGreaterThan(first)
      await client.end()
      await gatekeeper.close()
    } finally {
      await plain.close()
      await other.remove()
    }
  })

  it("must be one that Electric can read", async () => {
    const start = serve(await makePlace("embedded"), {}, 0, { url: electric.url, secret })
    await expect(start).rejects.toThrow(/DATABASE_URL/)
    await expect(serve(place, {}, 0, { url: "electric" })).rejects.toThrow(/is no URL/)
  })
})

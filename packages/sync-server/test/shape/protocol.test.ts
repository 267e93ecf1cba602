/** The endpoint as its requests and answers are on the wire. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { databases, insert, join_, makePlace, type Place, type Server, serve, write } from "./support.ts"

type Messages = ReadonlyArray<{
  readonly key?: string
  readonly value?: Record<string, string | null>
  readonly headers: Record<string, unknown>
}>

const messagesOf = async (answer: Response): Promise<Messages> => (await answer.json()) as Messages
const operationsOf = (messages: Messages) =>
  messages.map(({ headers, value }) => `${headers.operation ?? headers.control} ${value?.id ?? ""}`.trim())

describe.each(databases)("GET /v1/shape on %s", (kind) => {
  let place: Place
  let server: Server
  beforeAll(async () => {
    place = await makePlace(kind)
    server = await serve(place, {
      holdMs: 300,
      keepAliveMs: 100,
      streamMs: 800,
      chunkRows: 100,
      chunkChars: 20_000,
      sessionsMax: 2
    })
    await write(server, join_("ann"), join_("bob"), insert("a"))
  })
  afterAll(async () => {
    await server.close()
    await place.remove()
  })

  /** All answers from the start until one is up to date. */
  const load = async (parameters: Record<string, string> = {}) => {
    const messages: Array<Messages[number]> = []
    const offsets: Array<string> = []
    let handle: string | null = null
    for (let offset = "-1"; ; ) {
      const answer: Response = await server.get({
        table: "notes",
        offset,
        ...(handle === null ? {} : { handle }),
        ...parameters
      })
      expect(answer.status, await answer.clone().text()).toBe(200)
      handle = answer.headers.get("electric-handle")!
      offset = answer.headers.get("electric-offset")!
      expect(offsets).not.toContain(offset)
      offsets.push(offset)
      const more = await messagesOf(answer)
      messages.push(...more)
      if (answer.headers.has("electric-up-to-date")) return { messages, offset, offsets, handle }
    }
  }

  it("answers with text forms, types, an offset and a handle", async () => {
    const seq = await write(
      server,
      `UPDATE notes SET text = 'say "hi"', n = 9007199254740993, cost = 5, data = '{"a": 1e400}', tags = '{a,NULL}' WHERE id = 'a'`
    )
    const answer = await server.get({ table: "notes", offset: "-1" })
    expect(answer.headers.get("electric-offset")).toBe(`${seq}_0`)
    expect(answer.headers.get("cache-control")).toBe("no-store")
    expect(JSON.parse(answer.headers.get("electric-schema")!)).toEqual({
      id: { type: "text", not_null: true, pk_index: 0 },
      team: { type: "text", not_null: true },
      text: { type: "text" },
      hidden: { type: "bool", not_null: true },
      n: { type: "int8" },
      cost: { type: "int8" },
      data: { type: "jsonb" },
      tags: { type: "text", dims: 1 }
    })
    const [row, end] = await messagesOf(answer)
    expect(row).toEqual({
      key: '"public"."notes"/"a"',
      value: {
        id: "a",
        team: "red",
        text: 'say "hi"',
        hidden: "false",
        n: "9007199254740993",
        cost: "5",
        data: `{"a": 1${"0".repeat(400)}}`,
        tags: "{a,NULL}"
      },
      headers: { operation: "insert", relation: ["public", "notes"], lsn: String(seq) }
    })
    expect(end).toEqual({ headers: { control: "up-to-date", global_last_seen_lsn: String(seq) } })
  })

  it("knows a table by its names, and its key of two columns", async () => {
    for (const table of ["members", "public.members", '"public"."members"']) {
      const messages = await messagesOf(await server.get({ table, offset: "-1" }))
      expect(messages.map((message) => message.key)).toContain('"public"."members"/"red"/"ann"')
    }
  })

  it("sends the columns that are asked for", async () => {
    const { messages } = await load({ columns: 'id,"text"' })
    expect(Object.keys(messages[0]!.value!)).toEqual(["id", "text"])
    const other = await load()
    expect(
      (await server.get({ table: "notes", offset: other.offset, handle: other.handle, columns: "id" })).status
    ).toBe(409)
  })

  it.each([
    ["no table", {}, /table: /],
    ["an unknown table", { table: "secrets" }, /public\.secrets is not a synced table/],
    ["a bad offset", { table: "notes", offset: "yesterday" }, /offset: /],
    [
      "an offset beyond all numbers",
      { table: "notes", offset: "9999999999999999_9999999999999999999", handle: "x" },
      /offset: /
    ],
    ["an offset without a handle", { table: "notes", offset: "1_0" }, /handle: send/],
    ["live from the start", { table: "notes", live: "true" }, /live: begin with offset=-1/],
    ["a condition", { table: "notes", where: "true" }, /where is not supported.*policy/],
    ["parameters of a condition", { table: "notes", "params[1]": "1" }, /params\[1\] is not supported/],
    ["a subset", { table: "notes", subset__limit: "1" }, /subset__limit is not supported.*eager/],
    ["an unknown column", { table: "notes", columns: "id,secret" }, /has no column secret/],
    ["columns without the key", { table: "notes", columns: "text" }, /columns: add id/]
  ])("refuses %s, and says what to do", async (_, parameters, message) => {
    const answer = await server.get({ offset: "-1", ...parameters })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toEqual({ _tag: "InvalidRequest", message: expect.stringMatching(message) })
  })

  it("lets parameters be that it does not know", async () => {
    await load({ replica: "full", log: "full", "cache-buster": "x", expired_handle: "y", mine: "z" })
  })

  it("I7: wants a token", async () => {
    const answer = await server.get({ table: "notes", offset: "-1" }, null)
    expect(answer.status).toBe(401)
    expect(answer.headers.get("access-control-allow-origin")).toBe("*")
  })

  it("I6: has one handle for one user, and none again", async () => {
    const first = await load()
    const again = await load()
    expect(again.handle).not.toBe(first.handle)
    const anew = await server.get({ table: "notes", offset: "-1", handle: first.handle })
    expect(anew.headers.get("electric-handle")).not.toBe(first.handle)
    for (const [handle, user] of [
      [first.handle, "bob"],
      ["forged", "ann"],
      [first.handle.replace(/^./, (c) => (c === "0" ? "1" : "0")), "ann"]
    ] as const) {
      const answer = await server.get({ table: "notes", offset: first.offset, handle }, user)
      expect(answer.status).toBe(409)
      expect(await answer.json()).toEqual([{ headers: { control: "must-refetch" } }])
      expect(answer.headers.get("electric-handle")).not.toBe(handle)
    }
    const ahead = await server.get({ table: "notes", offset: "999999_0", handle: first.handle })
    expect(ahead.status).toBe(409)
  })

  it("starts from now when only changes are wanted", async () => {
    for (const parameters of [{ offset: "now" }, { offset: "-1", log: "changes_only" }]) {
      const answer = await server.get({ table: "notes", ...parameters })
      expect(operationsOf(await messagesOf(answer))).toEqual(["up-to-date"])
      expect(answer.headers.get("electric-offset")).toMatch(/^[1-9]\d*_0$/)
    }
  })

  it("says what changed since an offset, and what is gone", async () => {
    await write(server, insert("b"), insert("c"))
    const { handle, offset } = await load()
    await write(server, "UPDATE notes SET n = 1 WHERE id = 'b'", "DELETE FROM notes WHERE id = 'c'")
    const messages = await messagesOf(await server.get({ table: "notes", offset, handle }))
    expect(operationsOf(messages).sort()).toEqual(["delete c", "insert b", "up-to-date"])
    expect(messages.find(({ headers }) => headers.operation === "delete")!.value).toEqual({ id: "c" })
    expect(operationsOf((await load()).messages)).not.toContain("delete c")
  })

  it("I9: loads thousands of rows of one commit in bounded answers", async () => {
    await write(
      server,
      "INSERT INTO notes (id, team, text) SELECT 'many' || i, 'red', 'x' FROM generate_series(1, 3000) AS i"
    )
    const { messages, offsets } = await load()
    const ids = messages.flatMap(({ value }) => (value?.id?.startsWith("many") ? [value.id] : []))
    expect(new Set(ids).size).toBe(3000)
    expect(ids).toHaveLength(3000)
    expect(offsets.length).toBeGreaterThanOrEqual(30)
    await write(server, "DELETE FROM notes WHERE id LIKE 'many%'")
  })

  it("I9: ends an answer when its rows are long", async () => {
    await write(
      server,
      "INSERT INTO notes (id, team, text) SELECT 'long' || i, 'red', repeat('x', 9000) FROM generate_series(1, 9) AS i"
    )
    const { messages, offsets } = await load()
    expect(offsets.length).toBeGreaterThanOrEqual(3)
    expect(messages.filter(({ value }) => value?.id?.startsWith("long"))).toHaveLength(9)
    await write(server, "DELETE FROM notes WHERE id LIKE 'long%'")
  })

  it("I1: what changes between two answers of a first load is in the later ones", async () => {
    await write(
      server,
      "INSERT INTO notes (id, team) SELECT 'x' || i, 'red' FROM generate_series(1, 250) AS i"
    )
    const first = await server.get({ table: "notes", offset: "-1" })
    const sent = (await messagesOf(first)).flatMap(({ value }) => value?.id ?? [])
    const [gone, changed] = sent.filter((id) => id.startsWith("x"))
    await write(
      server,
      `DELETE FROM notes WHERE id = '${gone}'`,
      `UPDATE notes SET n = 7 WHERE id = '${changed}'`
    )
    const handle = first.headers.get("electric-handle")!
    const messages: Array<Messages[number]> = []
    for (let offset = first.headers.get("electric-offset")!; ; ) {
      const answer = await server.get({ table: "notes", offset, handle })
      messages.push(...(await messagesOf(answer)))
      offset = answer.headers.get("electric-offset")!
      if (answer.headers.has("electric-up-to-date")) break
    }
    expect(operationsOf(messages)).toContain(`delete ${gone}`)
    expect(messages.find(({ value }) => value?.id === changed)!.value!.n).toBe("7")
    await write(server, "DELETE FROM notes WHERE id LIKE 'x%'")
  })

  it("holds a long poll, and then says that nothing happened", async () => {
    const { handle, offset } = await load()
    const live = { table: "notes", offset, handle, live: "true" }
    const first = await server.get(live)
    expect(operationsOf(await messagesOf(first))).toEqual(["up-to-date"])
    const cursor = first.headers.get("electric-cursor")!
    const second = await server.get({ ...live, cursor })
    expect(Number(second.headers.get("electric-cursor"))).toBeGreaterThan(Number(cursor))
    expect(second.headers.get("electric-handle")).toBe(handle)
  })

  it("keeps a stream alive with comments, and ends it", async () => {
    const { handle, offset } = await load()
    const answer = await server.get({ table: "notes", offset, handle, live: "true", live_sse: "true" })
    expect(answer.headers.get("content-type")).toBe("text/event-stream")
    expect(answer.headers.has("electric-cursor")).toBe(true)
    const text = await answer.text()
    expect(text).toMatch(/^data: \{"headers":\{"control":"up-to-date".*\}\n\n(: keep-alive\n\n)+$/)
  })

  it("I9: refuses more sessions than it has room for, and says when to come back", async () => {
    const { handle, offset } = await load()
    const live = { table: "notes", offset, handle, live: "true" }
    const answers = await Promise.all([1, 2, 3].map(() => server.get(live)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 503])
    const refused = answers.find(({ status }) => status === 503)!
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0)
    expect((await server.get(live)).status).toBe(200)
  })

  it("I9: has the place again of a client that hung up while it waited", async () => {
    const { handle, offset } = await load()
    const live = { table: "notes", offset, handle, live: "true" }
    const leave = async (more: Record<string, string>) => {
      const controller = new AbortController()
      const answer = server.get({ ...live, ...more }, "ann", controller.signal)
      // It waits in the hub by now, or is on its way there.
      await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 50))])
      controller.abort()
      await answer.catch(() => {})
    }
    for (let i = 0; i < 4; i++) for (const more of [{}, { live_sse: "true" }]) await leave(more)
    await expect.poll(async () => (await server.get(live)).status, { timeout: 10_000 }).toBe(200)
  })
})

/** Sync over other transports: the code of docs/streams.md as it stands, and the messages themselves. */
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { PromiseClient } from "@synchrotron/sync-client"
import { Duplex, Protocol, type SyncApp } from "@synchrotron/sync-core"
import { type ServerDatabase, SyncServer, tokens } from "@synchrotron/sync-server"
import { Option, Schema } from "effect"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import type { WebSocketServer } from "ws"
import { extract } from "../../../test/pages.ts"
import { createDatabase } from "../../../test/postgres.ts"
import { inc, kitchenApp } from "./kitchen.ts"

const secret = "a secret of the tests of streams, long enough"
const tokenOf = (userId: string) => tokens.signDevelopmentToken({ secret, userId })
const principal = { userId: "mirror", claims: {} }

interface Page {
  readonly serveSockets: (server: Server, sync: Pick<SyncServer.Mounted, "connect">) => WebSocketServer
  readonly openClient: (
    app: SyncApp.SyncApp,
    url: string,
    userId: string,
    token: () => Promise<string>
  ) => PromiseClient
  readonly invalidate: (
    sync: Pick<SyncServer.Mounted, "streams">,
    principal: { readonly userId: string; readonly claims: object },
    place: { request: Protocol.SyncRequest },
    drop: (tables: ReadonlyArray<string>, seq: number) => boolean
  ) => Promise<void>
}
const folder = extract("docs/streams.md", ".streams-docs", "packages/sync-testing")

const clientIds = new Map<string, string>()
const request = (name: string, overrides: Partial<Protocol.SyncRequest> = {}): Protocol.SyncRequest => {
  if (!clientIds.has(name)) clientIds.set(name, crypto.randomUUID())
  return Schema.decodeUnknownSync(Protocol.SyncRequest)({
    protocol: Protocol.protocolVersion,
    app: kitchenApp.name,
    schema: kitchenApp.schemaHash,
    clientId: clientIds.get(name),
    clientTimeMs: Date.now(),
    cursors: {},
    records: [],
    after: null,
    ...overrides
  })
}
let stamps = 0
const recordOf = (name: string, id: string, n: number) => ({
  id: crypto.randomUUID(),
  name: "counter.inc",
  version: 1,
  args: { id, n },
  hlc: `${Date.now().toString(16).padStart(12, "0")}-${(stamps++).toString(16).padStart(4, "0")}-${request(name).clientId}`,
  digest: null
})

describe.each(["embedded", "postgres"] as const)("over %s", (kind) => {
  let page: Page
  let database: ServerDatabase.Database
  let remove: () => Promise<void>
  let sync: SyncServer.Mounted
  let http: Server
  let sockets: WebSocketServer
  let url: string
  /** The first lines of what clients have sent, by connection. */
  const connections: Array<Array<Duplex.RequestHead>> = []
  const clients: Array<PromiseClient> = []

  const readHead = Duplex.reader(Duplex.RequestHead)
  const start = async (port = 0) => {
    sync = await SyncServer.makeHandler({
      app: kitchenApp,
      database,
      jwtSecret: secret,
      live: { sessionsMax: 20 },
      chunkRowsMax: 3
    })
    http = createServer()
    sockets = page.serveSockets(http, {
      connect: (send) => {
        const connection = sync.connect(send)
        const heads: Array<Duplex.RequestHead> = []
        connections.push(heads)
        return {
          ...connection,
          receive: (message) => {
            heads.push(...Option.toArray(Option.map(readHead(message), ({ head }) => head)))
            connection.receive(message)
          }
        }
      }
    })
    http.listen(port, "127.0.0.1")
    await once(http, "listening")
    return (http.address() as AddressInfo).port
  }
  const stop = async () => {
    for (const socket of sockets.clients) socket.terminate()
    http.close()
    await sync.close()
  }
  const open = (userId: string) => {
    const client = page.openClient(kitchenApp, url, userId, () => tokenOf(userId))
    clients.push(client)
    return client
  }
  /** What an answer holds, whether it is text already or not. */
  const textOf = (value: unknown) => JSON.stringify(value).replaceAll("\\", "")
  /** Where a client is that has everything. */
  const upToDate = async (userId: string): Promise<Partial<Protocol.SyncRequest>> => {
    for (let at = request(userId); ; ) {
      const answer = await sync.streams.inbound({ userId, claims: {} }, at)
      at = Duplex.next(at, answer)
      if (answer.next === null) return { cursors: at.cursors, seq: at.seq! }
    }
  }
  const n = async (client: PromiseClient, id: string) =>
    (await client.query<{ n: number }>("SELECT n FROM counters WHERE id = $1", [id]))[0]?.n
  const shows = (client: PromiseClient, id: string, value: number) =>
    expect.poll(() => n(client, id), { timeout: 30_000, interval: 10 }).toBe(value)

  beforeAll(async () => {
    page = {
      ...(await import(join(folder, "socket-server.ts"))),
      ...(await import(join(folder, "socket-client.ts"))),
      ...(await import(join(folder, "invalidate.ts")))
    }
    if (kind === "postgres") {
      const { drop, url } = await createDatabase(inject("postgresUrl"), "streams")
      database = { _tag: "postgres", url }
      remove = drop
    } else {
      const directory = mkdtempSync(join(tmpdir(), "synchrotron-streams-"))
      database = { _tag: "embedded", dataDir: join(directory, "store") }
      remove = async () => rmSync(directory, { recursive: true, force: true })
    }
    url = `ws://127.0.0.1:${await start()}/sync`
  })
  afterAll(async () => {
    for (const client of clients) await client.close()
    await stop()
    await remove()
  })

  it("I1: rows arrive at the commit, without a round trip more", async () => {
    const [ann, bob] = [open("ann"), open("bob")]
    await ann.execute(inc({ id: "live", n: 1 }))
    await ann.settled()
    await bob.sync()
    await shows(bob, "live", 1)
    const asked = () => connections.flat().filter(({ wait }) => wait !== true).length
    const isWaiting = () => connections.every((heads) => heads.at(-1)?.wait === true)
    // What came up asks for one sync, soon.
    let before = -1
    while (before !== asked() || !isWaiting()) {
      before = asked()
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    await ann.execute(inc({ id: "live", n: 1 }))
    await ann.settled()
    await shows(bob, "live", 2)
    // Ann's record took one; what Bob has came by the request that waited.
    expect(asked()).toBe(before + 1)
    expect(bob.status.get()).toMatchObject({ online: true, error: null })
  })

  it("I4, I1: connections that break amid traffic lose and double nothing", async () => {
    const writers = [open("cid"), open("dan")]
    let acknowledged = 0
    const breaking = setInterval(() => {
      for (const socket of sockets.clients) socket.terminate()
    }, 300)
    await Promise.all(
      writers.map(async (writer) => {
        for (let i = 0; i < 12; i++) {
          await writer.execute(inc({ id: "broken", n: 1 }))
          acknowledged++
          if (i % 4 === 3) await new Promise((resolve) => setTimeout(resolve, 200))
        }
      })
    )
    clearInterval(breaking)
    expect(acknowledged).toBe(24)
    for (const writer of writers) await writer.settled()
    for (const writer of writers) await shows(writer, "broken", 24)
  })

  it("I4: goes on at a server that was started again, from where it was", async () => {
    const eve = open("eve")
    await eve.execute(inc({ id: "again", n: 1 }))
    await eve.settled()
    const { port } = new URL(url)
    await stop()
    await eve.execute(inc({ id: "again", n: 1 }))
    expect(await n(eve, "again")).toBe(2)
    await start(Number(port))
    await eve.settled()
    await sync.streams.inbound(
      { userId: "fay", claims: {} },
      request("fay", { records: [recordOf("fay", "again", 5)] } as never)
    )
    await shows(eve, "again", 7)
  })

  it("I4: records that are sent again are judged once, with the same verdicts", async () => {
    const fay = { userId: "fay", claims: {} }
    const same = request("fay", {
      ...(await upToDate("fay")),
      records: [recordOf("fay", "twice", 1), recordOf("fay", "twice", 1)]
    } as never)
    const first = await sync.streams.inbound(fay, same)
    const second = await sync.streams.inbound(fay, same)
    expect(first.verdicts).toHaveLength(2)
    expect(second.verdicts).toEqual(first.verdicts)
    expect(textOf(second.tables)).toMatch(/"n": ?"2"/)
  })

  it("a stream that was broken off goes on where its consumer was", async () => {
    const place = { request: request("mirror") }
    const all: Array<string> = []
    await page.invalidate(sync, principal, place, (tables) => {
      all.push(...tables)
      return place.request.position !== undefined && all.length > 1
    })
    // In chunks.
    expect(all).toEqual(["public.counters", "public.counters"])
    place.request = request("mirror", await upToDate("mirror"))
    const gus = { userId: "gus", claims: {} }
    const write = (n: number) =>
      sync.streams.inbound(gus, request("gus", { records: [recordOf("gus", "mirrored", n)] } as never))
    await write(1)
    await write(1)
    const answers: Array<Protocol.SyncResponse> = []
    for await (const answer of sync.streams.outbound(principal, place.request)) {
      answers.push(answer)
      place.request = Duplex.next(place.request, answer)
      if (answers.length === 1) await write(5)
      else break
    }
    // Only what is new, the two that were there as one.
    expect(answers.map(({ tables }) => tables.length)).toEqual([1, 1])
    expect(textOf(answers[0]!.tables)).toMatch(/"n": ?"2"/)
    expect(textOf(answers[1]!.tables)).toMatch(/"n": ?"7"/)
    expect(textOf(answers)).not.toMatch(/"twice"/)
    await write(1)
    let seq = 0
    await page.invalidate(sync, principal, place, (_, at) => {
      seq = at
      return true
    })
    expect(seq).toBe(answers[1]!.seq + 1)
  })

  describe("a connection", () => {
    const answers = Duplex.reader(Duplex.AnswerHead)
    const connect = (to = sync) => {
      const sent: Array<{ id: number; ok: boolean; body: { _tag?: string; message?: string } & object }> = []
      const connection = to.connect((message) => {
        const { body, head } = Option.getOrThrow(answers(message))
        sent.push({ ...head, body: JSON.parse(body) })
      })
      const answered = async (id: number) => {
        await expect.poll(() => sent.some((one) => one.id === id), { timeout: 10_000 }).toBe(true)
        return sent.find((one) => one.id === id)!
      }
      return { ...connection, sent, answered }
    }
    const message = async (
      id: number,
      { user = "ida", wait, ...more }: { user?: string; wait?: boolean } & Partial<Protocol.SyncRequest> = {}
    ) =>
      Duplex.write(
        { id, token: await tokenOf(user), ...(wait === undefined ? {} : { wait }) },
        JSON.stringify(request(user, more))
      )
    it("I7: believes no request without a token of its own", async () => {
      const { answered, receive } = connect()
      receive(await message(1))
      expect(await answered(1)).toMatchObject({ ok: true, body: { audiences: ["all"] } })
      receive(Duplex.write({ id: 2, token: "forged" }, JSON.stringify(request("ida"))))
      expect(await answered(2)).toMatchObject({ ok: false, body: { _tag: "Unauthorized" } })
      // Another user's client.
      receive(Duplex.write({ id: 3, token: await tokenOf("jim") }, JSON.stringify(request("ida"))))
      expect(await answered(3)).toMatchObject({ ok: false, body: { _tag: "ClientMismatch" } })
    })

    it("I9: refuses what is no message, too large, or too much, and goes on", async () => {
      const { answered, receive, sent } = connect()
      receive("hello")
      expect(await answered(0)).toMatchObject({ ok: false, body: { _tag: "InvalidRequest" } })
      receive("x".repeat(9 * 1024 * 1024))
      await expect.poll(() => sent.length).toBe(2)
      expect(sent[1]!.body.message).toMatch(/larger/)
      receive(Duplex.write({ id: 5, token: await tokenOf("ida") }, '{"protocol":1}'))
      expect(await answered(5)).toMatchObject({ body: { _tag: "SchemaMismatch" } })
      receive(await message(6, { wait: true, records: [recordOf("ida", "x", 1)] as never }))
      expect(await answered(6)).toMatchObject({ body: { _tag: "InvalidRequest" } })
      const many = await Promise.all(Array.from({ length: 12 }, (_, i) => message(100 + i)))
      for (const one of many) receive(one)
      await expect.poll(() => sent.filter(({ id }) => id >= 100).length, { timeout: 10_000 }).toBe(12)
      const refused = sent.filter(({ id, ok }) => id >= 100 && !ok)
      expect(refused).toHaveLength(4)
      expect(refused[0]!.body._tag).toBe("Unavailable")
    })

    it("waits for one request at a time, and gives its place free when it ends", async () => {
      const at = await upToDate("ida")
      for (let i = 0; i < 30; i++) {
        const { close, receive } = connect()
        receive(await message(1, { ...at, wait: true }))
        receive(await message(2, { ...at, wait: true }))
        await close()
      }
      const { answered, close, receive, sent } = connect()
      receive(await message(1, { ...at, wait: true }))
      receive(await message(2, { ...at, wait: true }))
      const kim = { userId: "kim", claims: {} }
      await sync.streams.inbound(kim, request("kim", { records: [recordOf("kim", "woken", 1)] } as never))
      expect(await answered(2)).toMatchObject({ ok: true, body: { tables: [{ table: "public.counters" }] } })
      expect(sent).toHaveLength(1)
      await close()
    })
  })
})

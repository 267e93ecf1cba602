/**
 * Two server processes on one Postgres, and clients before them as behind a balancer: each request goes to the next
 * process in turn. One that refuses the connection is passed over, as balancers do, since it has heard nothing; what is
 * under way when a process dies fails, and the client's own retry is the fail-over.
 */
import { fileURLToPath } from "node:url"
import { Shape, ShapeStream, type ShapeStreamInterface } from "@electric-sql/client"
import { createSyncClient, type PromiseClient } from "@synchrotron/sync-client"
import { tokens } from "@synchrotron/sync-server"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { createDatabase, type TestDatabase } from "../../../test/postgres.ts"
import { launch, ready, type ServerProcess } from "../../../test/server-process.ts"
import { inc, kitchenApp } from "./kitchen.ts"

const secret = "a secret of the tests with several hosts"
const tokenOf = (userId: string) => tokens.signDevelopmentToken({ secret, userId })
const appPath = fileURLToPath(new URL("./hosts/app.ts", import.meta.url))

interface Host {
  readonly process: ServerProcess
  readonly url: string
}

const serve = async (database: TestDatabase): Promise<Host> => {
  const process = launch(["serve", "--port", "0"], {
    env: { SYNCHROTRON_APP: appPath, SYNCHROTRON_JWT_SECRET: secret, DATABASE_URL: database.url }
  })
  const [, port] = await process.until(ready)
  return { process, url: `http://127.0.0.1:${port}` }
}

const balancer = (hosts: ReadonlyArray<Host>) => {
  const served = new Map<Host, number>()
  const underWay = new Map<Host, number>()
  let turn = 0
  const to = async (input: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> => {
    const { pathname, search } = new URL(String(input instanceof Request ? input.url : input))
    for (let tries = 1; ; tries++) {
      const host = hosts[turn++ % hosts.length]!
      underWay.set(host, (underWay.get(host) ?? 0) + 1)
      try {
        const response = await fetch(host.url + pathname + search, init)
        served.set(host, (served.get(host) ?? 0) + 1)
        return response
      } catch (error) {
        const { code } = (error as { cause?: { code?: string } }).cause ?? {}
        if (code !== "ECONNREFUSED" || tries === hosts.length) throw error
      } finally {
        underWay.set(host, underWay.get(host)! - 1)
      }
    }
  }
  return {
    fetch: to as typeof fetch,
    /** Answers that a host began. */
    served: (host: Host) => served.get(host) ?? 0,
    /** Requests that wait for a host's answer to begin. */
    underWay: (host: Host) => underWay.get(host) ?? 0
  }
}

/** Counters as Electric's client has them. */
const follow = (fetchClient: typeof fetch) => {
  const controller = new AbortController()
  const stream = new ShapeStream({
    url: "http://hosts/v1/shape",
    params: { table: "counters" },
    headers: { authorization: async () => `Bearer ${await tokenOf("reader")}` },
    signal: controller.signal,
    backoffOptions: { initialDelay: 20, maxDelay: 200, multiplier: 1.5 },
    fetchClient
  })
  // Its types are not made for exactOptionalPropertyTypes.
  const shape = new Shape(stream as ShapeStreamInterface)
  return {
    shows: (id: string, n: number) =>
      expect
        .poll(() => shape.currentRows.find((row) => row.id === id)?.n, { timeout: 60_000, interval: 20 })
        .toBe(n),
    stop: () => controller.abort()
  }
}

describe("two processes on one Postgres", () => {
  let database: TestDatabase
  let admin: pg.Client
  let a: Host
  let b: Host
  const clients: Array<PromiseClient> = []
  const followers: Array<ReturnType<typeof follow>> = []
  const open = async (userId: string, fetch: typeof globalThis.fetch) => {
    const client = createSyncClient({
      app: kitchenApp,
      dataDir: "memory://",
      userId,
      server: { url: "http://hosts", token: () => tokenOf(userId) },
      fetch
    })
    clients.push(client)
    await client.ready
    return client
  }
  const start = (fetch: typeof globalThis.fetch) => {
    const follower = follow(fetch)
    followers.push(follower)
    return follower
  }
  const counters = async () => (await admin.query("SELECT id, n FROM counters ORDER BY id")).rows

  beforeAll(async () => {
    database = await createDatabase(inject("postgresUrl"), "hosts")
    // Both prepare the empty database, at the same time.
    ;[a, b] = await Promise.all([serve(database), serve(database)])
    admin = new pg.Client({ connectionString: database.url })
    await admin.connect()
  }, 180_000)
  afterAll(async () => {
    for (const follower of followers) follower.stop()
    for (const client of clients) await client.close()
    await admin.end()
    for (const { process } of [a, b]) {
      process.child.kill("SIGKILL")
      await process.exit
    }
    await database.drop()
  })

  it("I1: what one process commits, shapes and clients of the other have", async () => {
    const first = await open("u1", balancer([a]).fetch)
    const second = await open("u2", balancer([b]).fetch)
    const shape = start(balancer([a]).fetch)
    for (const client of [first, second]) {
      client.execute(inc({ id: "apart", n: 1 }))
      await client.settled()
    }
    await shape.shows("apart", 2)
    await admin.query("UPDATE counters SET n = n + 10 WHERE id = 'apart'")
    await shape.shows("apart", 12)
    for (const client of [first, second]) {
      await client.sync()
      expect(await client.query("SELECT n FROM counters")).toEqual([{ n: 12 }])
    }
  }, 120_000)

  it("I4: kill -9 of one amid traffic loses and doubles nothing, and clients and shapes go on at the other", async () => {
    const between = balancer([a, b])
    const writers = [await open("u3", between.fetch), await open("u4", between.fetch)]
    const shape = start(between.fetch)
    let acknowledged = 0
    let outside = 0
    const act = async (writer: PromiseClient) => {
      await writer.execute(inc({ id: "shared", n: 1 }))
      acknowledged++
    }
    const touch = () => admin.query("INSERT INTO counters (id, n) VALUES ($1, 1)", [`outside ${outside++}`])
    for (const writer of writers) {
      await act(writer)
      await writer.settled()
    }
    expect(between.served(a)).toBeGreaterThan(0)
    expect(between.served(b)).toBeGreaterThan(0)

    // Each client always has a request on its way or about to go.
    const traffic = Promise.all(
      writers.map(async (writer) => {
        for (let i = 0; i < 40; i++) {
          await act(writer)
          if (i % 8 === 7) await touch()
          if (i % 4 === 3) await writer.settled()
        }
        await writer.settled()
      })
    )
    const busy = () => acknowledged > 30 && between.underWay(a) > 0
    await expect.poll(busy, { timeout: 60_000, interval: 1 }).toBe(true)
    a.process.child.kill("SIGKILL")
    await a.process.exit
    const [servedA, servedB] = [between.served(a), between.served(b)]
    expect(acknowledged).toBeLessThan(80)
    await traffic

    expect(between.served(a)).toBe(servedA)
    expect(between.served(b)).toBeGreaterThan(servedB)
    expect(acknowledged).toBe(82)
    expect(await counters()).toContainEqual({ id: "shared", n: 82 })
    const { rows } = await admin.query(
      "SELECT count(*)::int AS records, count(DISTINCT id)::int AS ids FROM synchrotron.records WHERE name = 'counter.inc' AND args LIKE '%shared%'"
    )
    expect(rows).toEqual([{ records: 82, ids: 82 }])
    await shape.shows("shared", 82)
    await shape.shows(`outside ${outside - 1}`, 1)
    for (const writer of writers) {
      await expect
        .poll(
          () =>
            writer.sync().then(
              () => true,
              () => false
            ),
          { timeout: 60_000 }
        )
        .toBe(true)
      expect(await writer.query("SELECT id, n FROM counters ORDER BY id")).toEqual(await counters())
      expect(await writer.rejected.list()).toEqual([])
    }
  }, 240_000)

  it("I4: a process that comes back takes its part, and what was sent to the dead one is judged once", async () => {
    a = await serve(database)
    const between = balancer([a, b])
    const writer = await open("u5", between.fetch)
    const shape = start(between.fetch)
    await writer.pause()
    for (let i = 0; i < 10; i++) await writer.execute(inc({ id: "late", n: 1 }))
    // Late arrivals for what the others have confirmed meanwhile, at the process that did not confirm it.
    const other = await open("u6", balancer([b]).fetch)
    await other.execute(inc({ id: "late", n: 100 }))
    await other.settled()
    await writer.resume()
    await writer.settled()
    await shape.shows("late", 110)
    await other.sync()
    for (const client of [writer, other])
      expect(await client.query("SELECT id, n FROM counters ORDER BY id")).toEqual(await counters())
    expect(between.served(a)).toBeGreaterThan(0)
  }, 120_000)
})

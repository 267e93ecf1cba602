/** Clients whose live path goes through the gatekeeper to a stand-in for Electric. */
import { HttpServer } from "@effect/platform"
import { createSyncClient, type PromiseClient } from "@synchrotron/sync-client"
import { SyncServer, tokens } from "@synchrotron/sync-server"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { createDatabase, type TestDatabase } from "../../../test/postgres.ts"
import { type StandIn, startStandIn } from "../../sync-server/test/electric/standin.ts"
import { inc, kitchenApp } from "./kitchen.ts"

const secret = "a secret of the tests with an Electric"

describe.each(["sse", "long-poll"] as const)("clients behind an Electric by %s", (live) => {
  let database: TestDatabase
  let electric: StandIn
  let url: string
  const scope = Effect.runSync(Scope.make())
  const clients: Array<PromiseClient> = []

  beforeAll(async () => {
    database = await createDatabase(inject("postgresUrl"), "electric")
    electric = await startStandIn({ databaseUrl: database.url, secret, holdMs: 5000 })
    const context = await Effect.runPromise(
      Layer.build(
        SyncServer.layer({
          app: kitchenApp,
          database: { _tag: "postgres", url: database.url },
          jwtSecret: secret,
          port: 0,
          electric: { url: electric.url, secret }
        })
      ).pipe(Scope.extend(scope))
    )
    const { address } = Context.get(context, HttpServer.HttpServer)
    url = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
  })
  afterAll(async () => {
    for (const client of clients) await client.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await electric.close()
    await database.drop()
  })

  const open = (userId: string) => {
    const client = createSyncClient({
      app: kitchenApp,
      dataDir: "memory://",
      userId,
      live,
      // While the live path is up, a minute at least.
      pollMs: 1000,
      server: { url, token: () => tokens.signDevelopmentToken({ secret, userId }) }
    })
    clients.push(client)
    return client
  }
  const isLive = (client: PromiseClient, value: boolean) =>
    expect.poll(() => client.status.get().live, { timeout: 60_000 }).toBe(value)
  const shows = (client: PromiseClient, n: number) =>
    expect
      .poll(() => client.query("SELECT n FROM counters WHERE id = 'x'"), { timeout: 30_000 })
      .toEqual([{ n }])

  it("I1: hear of commits, fetch them, and go on without it", async () => {
    const [ann, bob] = [open("ann"), open("bob")]
    await Promise.all([isLive(ann, true), isLive(bob, true)])
    for (let n = 1; n <= 3; n++) {
      await ann.execute(inc({ id: "x", n: 1 }))
      await ann.settled()
      await shows(bob, n)
    }
    expect(bob.status.get()).toMatchObject({ live: true, error: null })
    expect(electric.asked.some(({ search }) => search.get("live") === "true")).toBe(true)
    electric.mode = 503
    electric.hangUp()
    await isLive(bob, false)
    await ann.execute(inc({ id: "x", n: 1 }))
    await ann.settled()
    await shows(bob, 4)
    electric.mode = "serve"
    await isLive(bob, true)
  }, 120_000)
})

/** The whole server in this process: database, authority, tokens and HTTP. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpServer } from "@effect/platform"
import { SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Auth, SyncServer } from "@synchrotron/sync-server"
import { Effect, Layer, Redacted } from "effect"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { createDatabase, type TestDatabase } from "../../../../test/postgres.ts"
import app from "./fixtures/app.ts"
import { record, request, secret, token } from "./support.ts"

const noteRequest = (n: number) =>
  request({
    app: app.name,
    schema: app.schemaHash,
    records: [
      record(n, {
        name: "note.add",
        args: { id: `00000000-0000-4000-9000-00000000000${n}`, text: `note ${n}` }
      })
    ]
  })

const post = async (body: unknown, bearer?: string) =>
  new Request("http://localhost/v1/sync", {
    method: "POST",
    headers: { authorization: `Bearer ${bearer ?? (await token())}` },
    body: JSON.stringify(body)
  })

const scratch = mkdtempSync(join(tmpdir(), "synchrotron-server-"))
let postgres: TestDatabase
beforeAll(async () => {
  postgres = await createDatabase(inject("postgresUrl"), "http")
})
afterAll(async () => {
  rmSync(scratch, { recursive: true, force: true })
  await postgres.drop()
})

const databases: ReadonlyArray<readonly [string, () => SyncServer.Database]> = [
  ["embedded", () => ({ _tag: "embedded", dataDir: join(scratch, "store") })],
  ["postgres", () => ({ _tag: "postgres", url: postgres.url })]
]

describe.each(databases)("a server with the %s database", (_, database) => {
  it("executes, remembers, and closes", async () => {
    const options = { app, database: database(), jwtSecret: secret }
    const first = await SyncServer.makeHandler(options)
    const answer = await first.handler(await post(noteRequest(1)))
    expect(answer.status, await answer.clone().text()).toBe(200)
    expect(await answer.json()).toMatchObject({ seq: 1, audiences: ["user:ann"] })
    const stranger = await first.handler(await post(noteRequest(1), await token("bob")))
    expect(stranger.status).toBe(403)
    expect(await stranger.json()).toMatchObject({ _tag: "ClientMismatch" })
    await first.close()
    await first.close()
    const late = await first.handler(await post(noteRequest(2)))
    expect(late.status).toBe(503)
    expect(await late.json()).toMatchObject({ _tag: "Unavailable" })

    const second = await SyncServer.makeHandler(options)
    const rows = await (await second.handler(await post(noteRequest(2)))).json()
    expect(rows).toMatchObject({ seq: 2, tables: [{ table: "public.notes", count: 2 }] })
    await second.close()
  })

  it("listens as a layer", async () => {
    const program = Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      const port = address._tag === "TcpAddress" ? address.port : 0
      return yield* Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}/v1/health`)).json())
    })
    const layer = SyncServer.layer({ app, database: database(), jwtSecret: Redacted.make(secret), port: 0 })
    expect(await Effect.runPromise(Effect.provide(program, layer))).toMatchObject({ status: "ok" })
  })
})

describe("makeHandler", () => {
  const memory = { _tag: "embedded", dataDir: "memory://" } as const

  it("rejects with the error that says what to do, and leaves nothing open", async () => {
    await expect(
      SyncServer.makeHandler({ app, database: memory, jwtSecret: "short" })
    ).rejects.toBeInstanceOf(Auth.SecretTooShort)

    const unsynced = SyncApp.make({
      name: "serial",
      migrations: [{ id: "001", sql: "create table t (id serial primary key)" }],
      tables: [SyncTable.make("t", { audience: "'all'" })],
      actions: [],
      audiences: "select 'all'"
    })
    const database = { _tag: "embedded", dataDir: join(scratch, "refused") } as const
    await expect(
      SyncServer.makeHandler({ app: unsynced, database, jwtSecret: secret })
    ).rejects.toMatchObject({ _tag: "TablesUnsupported", message: expect.stringContaining("public.t.id") })

    const open = await SyncServer.makeHandler({ app, database, jwtSecret: secret })
    await expect(SyncServer.makeHandler({ app, database, jwtSecret: secret })).rejects.toMatchObject({
      _tag: "PgliteLocked"
    })
    await open.close()
  })

  it("takes an authenticator of the application's own", async () => {
    const authenticator = Layer.succeed(Auth.Authenticator, {
      authenticate: (bearer) => Effect.succeed({ userId: Redacted.value(bearer), claims: {} })
    })
    const { handler, close } = await SyncServer.makeHandler({ app, database: memory, authenticator })
    const answer = await handler(await post(noteRequest(1), "cid"))
    expect(await answer.json()).toMatchObject({ audiences: ["user:cid"] })
    await close()
  })
})

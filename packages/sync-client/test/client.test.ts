import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ReadOnlyQuery } from "@synchrotron/sync-client"
import type { RecordId } from "@synchrotron/sync-core"
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest"
import { claimsOf } from "../src/Jwt.ts"
import { addTag, addTodo, bearer, databaseImage, FakeAuthority, TitleTaken, token, uuid } from "./fixture.ts"
import { open, until } from "./support.ts"

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sync-client-"))
  await databaseImage()
})
afterAll(() => rm(directory, { recursive: true, force: true }))

describe("createSyncClient", () => {
  it("executes at once, sends, and tells the outcome", async () => {
    const { authority, client } = await open()
    const execution = client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    const length = await execution
    expectTypeOf(length).toEqualTypeOf<number>()
    expect(length).toBe(4)
    expect(await execution.outcome()).toEqual({ _tag: "applied" })
    await client.settled()
    expect(client.status.get()).toMatchObject({
      phase: "idle",
      pending: 0,
      error: null,
      firstSyncDone: true,
      seq: 1
    })
    expect(authority.rows.size).toBe(1)
    expect(await client.query("SELECT title FROM todos")).toEqual([{ title: "Milk" }])
  })

  it("rejects with the action's own error, and leaves nothing", async () => {
    const { client } = await open()
    const error = await client
      .execute(addTodo({ id: uuid(1), title: "taken" }))
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(TitleTaken)
    expect(error).toMatchObject({ _tag: "TitleTaken", title: "taken" })
    expect(client.status.get().pending).toBe(0)
  })

  it("refuses queries that write", async () => {
    const { client } = await open()
    for (const sql of [
      "INSERT INTO todos VALUES (gen_random_uuid(), 'x')",
      "CREATE TABLE x ()",
      "WITH x AS (DELETE FROM todos RETURNING *) SELECT * FROM x"
    ]) {
      const error = (await client.query(sql).catch((error: unknown) => error)) as ReadOnlyQuery
      expect(error).toMatchObject({ _tag: "ReadOnlyQuery", sql })
    }
    await expect(client.query("COMMIT; CREATE TABLE x ()")).rejects.toMatchObject({ _tag: "SqlError" })
    expect(await client.query("SELECT $1::int + 1 AS n", [1])).toEqual([{ n: 2 }])
  })

  it("runs batches: all or nothing, or each for itself", async () => {
    const { authority, client } = await open()
    const values = await client.execute([
      addTodo({ id: uuid(1), title: "a" }),
      addTag({ id: uuid(2), name: "t" })
    ])
    expect(values[0]).toBe(1)
    expect(client.status.get().pending).toBe(1)
    const failed = client.execute([
      addTodo({ id: uuid(3), title: "b" }),
      addTodo({ id: uuid(4), title: "taken" })
    ])
    await expect(failed).rejects.toBeInstanceOf(TitleTaken)
    const results = await client.execute(
      [addTodo({ id: uuid(5), title: "taken" }), addTodo({ id: uuid(6), title: "cc" })],
      { transaction: false }
    )
    expect(results).toMatchObject([
      { _tag: "Failure", error: { _tag: "TitleTaken" } },
      { _tag: "Success", value: 2 }
    ])
    await client.settled()
    expect(await client.query("SELECT title FROM todos ORDER BY title")).toEqual([
      { title: "a" },
      { title: "cc" }
    ])
    expect(authority.rows.size).toBe(3)
  })

  it("keeps refused records until they are retried or dismissed", async () => {
    const { authority, client } = await open()
    authority.refuse = ({ name }) => name === "todo.add"
    const execution = client.execute(addTodo({ id: uuid(1), title: "a" }))
    expect(await execution.outcome()).toMatchObject({ _tag: "rejected", error: { class: "denied" } })
    await client.execute(addTag({ id: uuid(2), name: "t" }))
    await client.settled()
    const id = await execution.recordId()
    expect(client.status.get()).toMatchObject({ pending: 0, rejected: 1 })
    expect(client.rejected.get()).toEqual(await client.rejected.list())
    expect(client.rejected.get()).toMatchObject([{ id, name: "todo.add", outcome: "rejected" }])
    expect(await client.query("SELECT 1 FROM todos")).toEqual([])
    expect(await client.outcome(id)).toMatchObject({ _tag: "rejected" })

    authority.refuse = () => false
    const again = client.rejected.retry(id)
    expect(await again).toBe(1)
    expect(client.status.get()).toMatchObject({ rejected: 0 })
    expect(await again.outcome()).toEqual({ _tag: "applied" })
    await expect(client.rejected.dismiss(id)).rejects.toMatchObject({ _tag: "RecordNotFound" })

    authority.refuse = () => true
    await client.execute(addTodo({ id: uuid(3), title: "b" })).outcome()
    await until(() => client.status.get().rejected === 1)
    await client.rejected.dismiss(client.rejected.get()[0]!.id)
    expect(client.rejected.get()).toEqual([])
    expect(client.status.get().rejected).toBe(0)
  })

  it("tells the outcome of a record that nobody remembers", async () => {
    const { client } = await open()
    await expect(client.outcome(uuid(99) as RecordId)).rejects.toMatchObject({ _tag: "OutcomeForgotten" })
  })

  it("works offline, keeps what was done over a restart, and sends it then", async () => {
    const authority = new FakeAuthority()
    const dataDir = join(directory, "restart")
    authority.intercept = () => Promise.reject(new Error("no network"))
    const { client: before } = await open(authority, { dataDir })
    await before.execute(addTodo({ id: uuid(1), title: "a" }))
    await until(() => before.status.get().phase === "waiting")
    expect(before.status.get()).toMatchObject({ online: false, pending: 1, error: { tag: "Offline" } })
    await expect(before.sync()).rejects.toMatchObject({ _tag: "Offline" })
    await before.close()
    await expect(before.execute(addTodo({ id: uuid(2), title: "b" }))).rejects.toMatchObject({
      _tag: "ClientClosed"
    })

    const { client: after } = await open(authority, { dataDir })
    await after.ready
    expect(after.status.get()).toMatchObject({ pending: 1, firstSyncDone: false })
    expect(await after.query("SELECT title FROM todos")).toEqual([{ title: "a" }])
    const [record] = await after.pending()
    const outcome = after.outcome(record!.id)
    authority.intercept = undefined
    await after.sync()
    expect(await outcome).toEqual({ _tag: "applied" })
    expect(after.status.get()).toMatchObject({ pending: 0, online: true, error: null, firstSyncDone: true })
    await after.close()

    const { client: other } = await open(authority, {
      dataDir,
      server: { url: "http://authority.test", token: token("grace") }
    })
    await expect(other).rejects.toMatchObject({ _tag: "DatabaseOfOther" })
    await expect(other.query("SELECT 1")).rejects.toMatchObject({ _tag: "DatabaseOfOther" })
    await other.close()
  })

  it("sends nothing while paused", async () => {
    const { authority, client } = await open(undefined, { paused: true })
    const execution = client.execute(addTodo({ id: uuid(1), title: "a" }))
    await execution
    expect(client.status.get()).toMatchObject({ phase: "paused", pending: 1 })
    await expect(client.sync()).rejects.toMatchObject({ _tag: "SyncPaused" })
    expect(authority.requests).toEqual([])
    const settled = client.settled()
    await client.resume()
    await settled
    expect(await execution.outcome()).toEqual({ _tag: "applied" })
    await client.pause()
    await client.execute(addTodo({ id: uuid(2), title: "b" }))
    expect(authority.requests.length).toBe(1)
  })

  it("knows the user from the token or from the option", async () => {
    const { client: anonymous } = await open(undefined, {
      server: { url: "http://authority.test", token: "opaque" }
    })
    await expect(anonymous).rejects.toMatchObject({ _tag: "UserUnknown" })
    let asked = 0
    const { client } = await open(undefined, {
      paused: true,
      userId: "ada",
      server: {
        url: "http://authority.test",
        token: () => {
          asked++
          throw new Error("offline")
        }
      }
    })
    await client
    expect(asked).toBe(0)
    expect(claimsOf(bearer)).toEqual({ sub: "ada", role: "tester" })
    expect(claimsOf("a.b")).toBeUndefined()
    expect(claimsOf(`e30.${Buffer.from('{"sub":"Zoë ✓"}').toString("base64url")}.`)).toEqual({ sub: "Zoë ✓" })
  })

  it("counts pending records exactly while actions and syncs cross", async () => {
    const { client } = await open(undefined, { pollMs: 1 })
    await client
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          client.execute(addTodo({ id: uuid(round * 100 + i), title: "x" }))
        )
      )
    }
    await client.pause()
    expect(client.status.get().pending).toBe((await client.pending()).length)
    await client.resume()
    await client.settled()
    expect(await client.pending()).toEqual([])
    expect(client.status.get().pending).toBe(0)
  })

  it("ends what was begun when it is closed", async () => {
    const { client } = await open(undefined, { paused: true })
    const execution = client.execute(addTodo({ id: uuid(1), title: "a" }))
    const closed = expect(client.settled()).rejects.toMatchObject({ _tag: "ClientClosed" })
    const judged = expect(execution.outcome()).rejects.toMatchObject({ _tag: "ClientClosed" })
    await execution
    // Both wait for the authority now.
    await client.query("SELECT 1")
    await Promise.all([client.close(), client.close()])
    await closed
    await judged
  })
})

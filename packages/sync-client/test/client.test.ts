import { createSyncClient, type ReadOnlyQuery } from "@synchrotron/sync-client"
import { afterEach, describe, expect, it } from "vitest"
import { addTag, addTodo, app, bearer, databaseImage, FakeAuthority, TitleTaken, uuid } from "./fixture.ts"

type Client = ReturnType<typeof createSyncClient>
const clients: Array<Client> = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

const open = async (
  authority = new FakeAuthority(),
  options: Partial<Parameters<typeof createSyncClient>[0]> = {}
) => {
  const client = createSyncClient({
    app,
    dataDir: "memory://",
    image: await databaseImage(),
    server: { url: "http://authority.test", token: bearer },
    fetch: authority.fetch,
    pollMs: 0,
    ...options
  })
  clients.push(client)
  return { authority, client }
}

describe("createSyncClient", () => {
  it("executes at once, sends, and tells the outcome", async () => {
    const { authority, client } = await open()
    const execution = client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    const length: number = await execution
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
})

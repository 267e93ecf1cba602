/** Local databases that are there and cannot be used, and where new ones go. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createSyncClient, destroyStore, type PromiseClient, StoreUnusable } from "@synchrotron/sync-client"
import { SyncApp } from "@synchrotron/sync-core"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { choose } from "../src/store/choose.ts"
import { isFull } from "../src/store/isFull.ts"
import { next } from "../src/tabs/keep.ts"
import { addTodo, app, bearer, databaseImage, FakeAuthority, uuid } from "./fixture.ts"

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "store-"))
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

const newer = SyncApp.make({
  ...app,
  migrations: [...app.migrations, { id: "999", sql: "CREATE TABLE later (id uuid PRIMARY KEY)" }],
  actions: [addTodo]
})
/** Rejects when it cannot be opened. */
const open = async (version: SyncApp.SyncApp): Promise<PromiseClient> =>
  createSyncClient({
    app: version,
    dataDir: join(folder, "db"),
    image: await databaseImage(),
    server: { url: "http://authority.test", token: bearer },
    fetch: new FakeAuthority().fetch,
    paused: true
  })
const failure = (client: Promise<unknown>) =>
  client.then(
    () => undefined,
    (error: unknown) => error
  )

describe("I4: a store that cannot be used is left as it is", () => {
  it("when a newer version wrote it, and says what was not sent", async () => {
    const before = await open(newer)
    await before.execute(addTodo({ id: uuid(1), title: "Milk" }))
    await before.close()
    const error = await failure(open(app))
    expect(error).toBeInstanceOf(StoreUnusable)
    expect(error).toMatchObject({
      reason: "too-new",
      unsent: [{ name: "todo.add", args: { title: "Milk" } }],
      cause: { _tag: "DatabaseTooNew" }
    })
    const again = await open(newer)
    expect((await again.pending()).length).toBe(1)
    await again.close()
  })

  it("when a migration is refused: it is not damaged, and the next release opens it", async () => {
    const before = await open(app)
    await before.execute(addTodo({ id: uuid(1), title: "Milk" }))
    await before.close()
    const refused = SyncApp.make({
      ...app,
      migrations: [...app.migrations, { id: "999", sql: "ALTER TABLE nothing ADD due date" }],
      actions: [addTodo]
    })
    expect(await failure(open(refused))).toMatchObject({ _tag: "SqlError", cause: { code: "42P01" } })
    const again = await open(app)
    expect((await again.pending()).length).toBe(1)
    await again.close()
  })

  it("and not deleted while a client has it open", async () => {
    const client = await open(app)
    expect(await failure(destroyStore(join(folder, "db")))).toMatchObject({ _tag: "DatabaseInUse" })
    await client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    await client.close()
  })

  it("when it is damaged, until it is deleted", async () => {
    const before = await open(app)
    await before.close()
    await writeFile(join(folder, "db", "global", "pg_control"), "ruined")
    expect(await failure(open(app))).toMatchObject({
      _tag: "StoreUnusable",
      reason: "damaged",
      unsent: null
    })
    await destroyStore(join(folder, "db"))
    const again = await open(app)
    expect(await again.query("SELECT id FROM todos")).toEqual([])
    await again.close()
  })
})

describe("a database that is only named", () => {
  it("stays where it is, and goes where commits are fast when it is new", () => {
    const found = { canOpfs: true, inOpfs: false, inIndexedDb: false }
    expect(choose(found)).toBe("opfs-ahp")
    expect(choose({ ...found, canOpfs: false })).toBe("idb")
    expect(choose({ ...found, inIndexedDb: true })).toBe("idb")
    // Not another, empty one beside it.
    expect(choose({ ...found, canOpfs: false, inOpfs: true })).toBe("opfs-ahp")
    expect(choose({ ...found, inOpfs: true, inIndexedDb: true })).toBe("opfs-ahp")
  })
})

describe("a full storage", () => {
  it("is known by what says so, however deep", () => {
    const quota = Object.assign(new Error("the quota"), { name: "QuotaExceededError" })
    expect(isFull(new Error("no", { cause: quota }))).toBe(true)
    expect(isFull(new Error('could not extend file "base/5/1": Success'))).toBe(true)
    expect(isFull(new Error("duplicate key"))).toBe(false)
    expect(isFull(null)).toBe(false)
  })
})

describe("what follows the end of a worker", () => {
  const fresh = { restarts: 0, unloaded: false }
  it.each([
    ["Done", { _tag: "Closed" } as const, fresh],
    ["GiveUp", { _tag: "Failed", error: new Error("no") } as const, fresh],
    ["Again", { _tag: "Died", reason: "x" } as const, { ...fresh, restarts: 3 }],
    ["GiveUp", { _tag: "Died", reason: "x" } as const, { ...fresh, restarts: 4 }],
    ["InTurn", { _tag: "NotLoaded", reason: "x" } as const, fresh],
    ["GiveUp", { _tag: "NotLoaded", reason: "x" } as const, { ...fresh, unloaded: true }]
  ])("%s", (then, life, before) => {
    expect(next(life, before)._tag).toBe(then)
  })
})

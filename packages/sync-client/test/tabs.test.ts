/** Tabs that share a database: in Node, where a leader can be killed at each of its messages. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Limits, type ReadOnlyQuery } from "@synchrotron/sync-client"
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import fc from "fast-check"
import { afterEach, describe, expect, it } from "vitest"
import { delta, patch } from "../src/tabs/Delta.ts"
import { decoder, encode } from "../src/tabs/errors.ts"
import { FakeBrowser, FakeTab } from "./fake-browser.ts"
import {
  addTag,
  addTodo,
  app,
  bearer,
  databaseImage,
  FakeAuthority,
  renameTodo,
  TitleTaken,
  uuid
} from "./fixture.ts"

/** A new leader opens the database first, which takes seconds on a busy machine. */
const until = (condition: () => boolean) =>
  expect.poll(condition, { timeout: 50_000, interval: 5 }).toBe(true)

const tabs: Array<FakeTab> = []
afterEach(async () => {
  for (const tab of tabs.splice(0)) if (tab.alive) await tab.client.close()
})

type Options = ConstructorParameters<typeof FakeTab>[1]

const openTab = async (browser: FakeBrowser, authority: FakeAuthority, options: Partial<Options> = {}) => {
  const tab = new FakeTab(browser, {
    app,
    store: "store",
    dataDir: "memory://",
    image: await databaseImage(),
    server: { url: "http://authority.test", token: bearer },
    fetch: authority.fetch,
    pollMs: 0,
    userId: "ada",
    errors: [TitleTaken],
    ...options
  })
  tabs.push(tab)
  return tab
}

const openTabs = async (count: number) => {
  const browser = new FakeBrowser()
  const authority = new FakeAuthority()
  const opened: Array<FakeTab> = []
  for (let i = 0; i < count; i++) opened.push(await openTab(browser, authority))
  return { authority, browser, tabs: opened }
}

const caught = (promise: PromiseLike<unknown>) =>
  promise.then(
    () => "resolved",
    (error: unknown) => error
  )

describe("tabs", () => {
  it("share one database and one session: what one does, all show", async () => {
    const { authority, tabs } = await openTabs(3)
    const [first, second, third] = tabs as [FakeTab, FakeTab, FakeTab]
    const live = third.client.liveQuery<{ title: string }>("SELECT title FROM todos ORDER BY title")
    const execution = second.client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    expect(await execution).toBe(4)
    expect(await execution.outcome()).toEqual({ _tag: "applied" })
    await until(() => live.get().rows.length === 1)
    expect(await first.client.query("SELECT title FROM todos")).toEqual([{ title: "Milk" }])
    const both = second.client.execute([
      addTodo({ id: uuid(2), title: "Tea" }),
      addTag({ id: uuid(3), name: "x" })
    ])
    expect(await both).toEqual([3, undefined])
    await third.client.settled()
    expect(third.client.status.get()).toMatchObject({ pending: 0, firstSyncDone: true })
    expect(new Set(authority.requests.map(({ clientId }) => clientId)).size).toBe(1)
    expect(tabs.filter(({ leads }) => leads).length).toBe(1)
  })

  it("send operations of a batch in one message, and answer each for itself", async () => {
    const { authority, tabs } = await openTabs(2)
    const { client } = tabs[1]!
    await client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    await client.settled()
    const sent = tabs[1]!.messagesSent
    const each = await client.execute(
      [
        addTodo({ id: uuid(1), title: "there already" }),
        addTodo({ id: "no uuid", title: "misfit" }),
        addTodo({ id: uuid(2), title: "taken" }),
        addTodo({ id: uuid(3), title: "Tea" }),
        renameTodo({ id: uuid(3), title: "Green tea" })
      ],
      { transaction: false }
    )
    expect(tabs[1]!.messagesSent - sent).toBe(1)
    expect(each).toMatchObject([
      { _tag: "Failure", error: { _tag: "ActionCrashed" } },
      { _tag: "Failure", error: { _tag: "ArgsInvalid" } },
      { _tag: "Failure", error: { _tag: "TitleTaken", title: "taken" } },
      { _tag: "Success", value: 3 },
      { _tag: "Success" }
    ])
    await client.settled()
    const [, , , tea, renamed] = each
    const records = authority.requests.flatMap(({ records }) => records.map(({ id }) => id))
    expect(records.slice(-2)).toEqual([tea, renamed].map((one) => one._tag === "Success" && one.id))
    expect(await client.execute([], { transaction: false })).toEqual([])
  })

  it("try again at once when any of them hears that there is a network", async () => {
    const { authority, browser } = await openTabs(0)
    authority.intercept = () => Response.error()
    const options = { settings: { retryMsMin: 600_000, retryMsMax: 600_000 } }
    const [leader, tab] = [
      await openTab(browser, authority, options),
      await openTab(browser, authority, options)
    ]
    await tab.client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    await until(() => leader.leads && tab.client.status.get().phase === "waiting")
    authority.intercept = undefined
    tab.connectivity.set(false)
    tab.connectivity.set(true)
    await until(() => tab.client.status.get().pending === 0)
  })

  it("reject with errors of their classes, whichever tab ran the action", async () => {
    const { tabs } = await openTabs(2)
    for (const { client } of tabs) {
      const taken = await caught(client.execute(addTodo({ id: uuid(1), title: "taken" })))
      expect(taken).toBeInstanceOf(TitleTaken)
      expect(taken).toMatchObject({ _tag: "TitleTaken", title: "taken" })
      const misfit = await caught(client.execute(addTodo({ id: "no uuid", title: "x" })))
      expect(misfit).toMatchObject({ _tag: "ArgsInvalid", action: "todo.add" })
      const written = (await caught(client.query("DELETE FROM todos"))) as ReadOnlyQuery
      expect(written).toMatchObject({ _tag: "ReadOnlyQuery", sql: "DELETE FROM todos" })
      const wrong = await caught(client.query("SELECT nothing"))
      expect(wrong).toMatchObject({ _tag: "SqlError", cause: { code: "42703" } })
      const live = client.liveQuery("SELECT nothing")
      await until(() => live.get().state === "error")
      expect(live.get().error).toMatchObject({ _tag: "SqlError" })
    }
  })

  it("show what changed and keep the rows that did not, through a change of the leader too", async () => {
    const { tabs } = await openTabs(2)
    const [leader, tab] = tabs as [FakeTab, FakeTab]
    for (const n of [1, 2, 3]) await tab.client.execute(addTodo({ id: uuid(n), title: `t${n}` }))
    await tab.client.settled()
    const live = tab.client.liveQuery("SELECT id, title FROM todos ORDER BY id")
    await until(() => live.get().rows.length === 3)
    let told = 0
    live.subscribe(() => told++)
    const before = live.get().rows
    await leader.client.execute(renameTodo({ id: uuid(2), title: "new" }))
    await until(() => live.get().rows !== before)
    const after = live.get().rows
    expect([after[0] === before[0], after[1] === before[1], after[2] === before[2]]).toEqual([
      true,
      false,
      true
    ])
    expect(told).toBe(1)
    // The database of this test is in memory, so the next leader has what the server has.
    await tab.client.settled()
    leader.kill()
    await until(() => tab.leads && tab.client.status.get().firstSyncDone)
    await tab.client.sync()
    await until(() => live.get().rows.length === 3)
    expect(live.get().rows).toEqual(after)
  })

  it("are refused when they are another user's or of another version, and say so", async () => {
    const { authority, browser, tabs } = await openTabs(1)
    await tabs[0]!.client.ready
    const other = await openTab(browser, authority, { userId: "bob" })
    expect(await caught(other.client.ready)).toMatchObject({
      _tag: "DatabaseOfOther",
      owner: "ada of fixture",
      requested: "bob of fixture"
    })
    expect(await caught(other.client.query("SELECT 1"))).toMatchObject({ _tag: "DatabaseOfOther" })
    const older = SyncApp.make({ ...app, actions: [addTodo], tables: app.tables })
    const old = await openTab(browser, authority, { app: older })
    expect(await caught(old.client.ready)).toMatchObject({ _tag: "TabsDiffer" })
  })

  it("end what was begun before they close, and begin nothing after", async () => {
    const { tabs } = await openTabs(2)
    // The leader last: it closes the database.
    for (const { client } of [...tabs].reverse()) {
      const begun = [1, 2, 3].map(() => client.execute(addTodo({ id: crypto.randomUUID(), title: "Milk" })))
      const rows = client.query("SELECT title FROM todos")
      const closed = client.close()
      expect(await caught(client.execute(addTodo({ id: uuid(9), title: "late" })))).toMatchObject({
        _tag: "ClientClosed"
      })
      await closed
      expect(await Promise.all(begun)).toEqual([4, 4, 4])
      expect((await rows).length % 3).toBe(0)
      expect(await caught(client.query("SELECT 1"))).toMatchObject({ _tag: "ClientClosed" })
    }
  })

  it("say nothing on channels that are closed, when views end after their client", async () => {
    const { tabs } = await openTabs(1)
    const { client } = tabs[0]!
    const live = client.liveQuery("SELECT title FROM todos", [], { lazy: true })
    const leave = live.subscribe(() => {})
    await until(() => live.get().state === "rows")
    await client.close()
    leave()
    const late = client.liveQuery("SELECT 1").subscribe(() => {})
    late()
    // An error in a timer would fail the run.
    await new Promise((resolve) => setTimeout(resolve, 2 * Limits.liveQueryLingerMs))
    expect(live.get()).toMatchObject({ state: "error", error: { _tag: "ClientClosed" } })
  })

  it("pause and resume the one session, from any tab", async () => {
    const { tabs } = await openTabs(2)
    const [leader, tab] = tabs as [FakeTab, FakeTab]
    expect(await tab.client.pause()).toBeUndefined()
    await until(() => leader.client.status.get().phase === "paused")
    await leader.client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    expect(await caught(leader.client.sync())).toMatchObject({ _tag: "SyncPaused" })
    expect((await tab.client.pending()).map(({ name }) => name)).toEqual(["todo.add"])
    expect(await leader.client.resume()).toBeUndefined()
    await tab.client.settled()
    await until(() => tab.client.status.get().pending === 0)
  })

  it("retry and dismiss refused records from any tab", async () => {
    const { authority, tabs } = await openTabs(2)
    const [, tab] = tabs as [FakeTab, FakeTab]
    authority.refuse = () => true
    const execution = tab.client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    expect(await execution.outcome()).toMatchObject({ _tag: "rejected" })
    await until(() => tab.client.rejected.get().length === 1)
    authority.refuse = () => false
    const retried = tab.client.rejected.retry(tab.client.rejected.get()[0]!.id)
    await retried
    expect(await retried.outcome()).toEqual({ _tag: "applied" })
    await until(() => tab.client.rejected.get().length === 0)
    expect(await caught(tab.client.rejected.dismiss(await execution.recordId()))).toMatchObject({
      _tag: "RecordNotFound"
    })
  })
})

const increment = Action.make("count.increment", {
  args: Schema.Struct({}),
  run: ({ sql }) =>
    Effect.map(
      sql<{
        n: number
      }>`INSERT INTO counts (id, n) VALUES ('all', 1) ON CONFLICT (id) DO UPDATE SET n = counts.n + 1 RETURNING n`,
      ([row]) => row!.n
    ).pipe(Effect.orDie)
})

const counting = SyncApp.make({
  name: "counting",
  migrations: [{ id: "001", sql: "CREATE TABLE counts (id text PRIMARY KEY, n integer NOT NULL)" }],
  tables: [SyncTable.make("counts", { audience: "'all'" })],
  actions: [increment],
  audiences: "SELECT 'all'"
})

describe("I4: a leader that is killed", () => {
  it("at any of its messages loses nothing, and nothing is done twice", { timeout: 240_000 }, async () => {
    const image = await databaseImage()
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 3 }),
        async (deaths) => {
          const folder = await mkdtemp(join(tmpdir(), "tabs-"))
          const browser = new FakeBrowser()
          const open = () =>
            openTab(browser, new FakeAuthority(), {
              app: counting,
              store: folder,
              dataDir: join(folder, "db"),
              image,
              paused: true
            })
          // The last one survives all others.
          const all: Array<FakeTab> = []
          for (let i = 0; i <= deaths.length; i++) all.push(await open())
          const survivor = all.at(-1)!
          for (const [i, messages] of deaths.entries()) all[i]!.messagesLeft = messages
          const batches = await Promise.all(
            [1, 5, 1, 9, 1, 8].map(async (count) => {
              if (count === 1) return [await survivor.client.execute(increment({}))]
              const operations = Array.from({ length: count }, () => increment({}))
              const each = await survivor.client.execute(operations, { transaction: false })
              return each.map((one) => (one._tag === "Success" ? one.value : 0))
            })
          )
          const values = batches.flat()
          expect([...values].sort((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1))
          expect(await survivor.client.query("SELECT n FROM counts")).toEqual([{ n: 25 }])
          expect((await survivor.client.pending()).length).toBe(25)
          await survivor.client.close()
          for (const tab of all) if (tab.alive) tab.kill()
          await rm(folder, { recursive: true, force: true, maxRetries: 5 })
        }
      ),
      { numRuns: 12, seed: 5 }
    )
  })
})

describe("a database that dies", () => {
  const crash = Action.make("crash", {
    args: Schema.Struct({}),
    run: ({ sql }) => Effect.orDie(sql`SELECT endless()`)
  })
  const crashing = SyncApp.make({
    name: "crashing",
    migrations: [
      ...counting.migrations,
      {
        id: "002",
        sql: "CREATE FUNCTION endless() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN endless(); END'"
      }
    ],
    tables: [SyncTable.make("counts", { audience: "'all'" })],
    actions: [increment, crash],
    audiences: "SELECT 'all'"
  })
  const openCrashing = async () => {
    const folder = await mkdtemp(join(tmpdir(), "tabs-"))
    const browser = new FakeBrowser()
    const open = async () =>
      openTab(browser, new FakeAuthority(), {
        app: crashing,
        store: folder,
        dataDir: join(folder, "db"),
        image: await databaseImage(),
        paused: true,
        // So that an endless recursion overflows the stack of the WebAssembly.
        pglite: { startParams: ["-c", "max_stack_depth=1000kB"] }
      })
    return { tabs: [await open(), await open()] as const, folder }
  }

  it("I4: is opened again; what it died of is given up, and all else is done once", async () => {
    const { folder, tabs } = await openCrashing()
    const [, tab] = tabs
    const live = tab.client.liveQuery<{ n: number }>("SELECT n FROM counts")
    const before = Array.from({ length: 5 }, () => tab.client.execute(increment({})))
    const crashed = tab.client.execute(crash({}))
    const after = Array.from({ length: 5 }, () => tab.client.execute(increment({})))
    expect(await caught(crashed)).toMatchObject({ _tag: "DatabaseCrashed" })
    expect(await Promise.all([...before, ...after])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    await until(() => live.get().rows[0]?.n === 10)
    expect((await tab.client.pending()).length).toBe(10)
    // Of several that go together, only the one that it died of fails.
    const each = await tab.client.execute([increment({}), crash({}), increment({})], { transaction: false })
    expect(each).toMatchObject([
      { _tag: "Success", value: 11 },
      { _tag: "Failure", error: { _tag: "DatabaseCrashed" } },
      { _tag: "Success", value: 12 }
    ])
    expect((await tab.client.pending()).length).toBe(12)
    for (const { client } of tabs) await client.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  it("again and again is given up, and says why", async () => {
    const { folder, tabs } = await openCrashing()
    const live = tabs[1].client.liveQuery("SELECT endless()")
    await until(() => live.get().state === "error")
    expect(live.get().error).toMatchObject({ _tag: "DatabaseNotOpen", cause: { _tag: "WorkerFailed" } })
    expect(tabs[1].workers).toBe(1 + Limits.workerRestartsMax)
    expect(await caught(tabs[1].client.query("SELECT 1"))).toMatchObject({ _tag: "WorkerFailed" })
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })
})

describe("what travels between tabs", () => {
  it("a delta makes the new rows of the old ones, and holds new ones only", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 30 })),
        fc.uniqueArray(fc.integer({ min: 0, max: 30 })),
        (from, to) => {
          const rows = Array.from({ length: 31 }, (_, id) => ({ id }))
          const before = from.map((id) => rows[id]!)
          const after = to.map((id) => rows[id]!)
          const change = delta(before, after)
          const patched = patch(before, change)
          expect(patched.length).toBe(after.length)
          expect(patched.every((row, i) => row === after[i])).toBe(true)
          const sent = change.flatMap((part) => ("rows" in part ? part.rows : []))
          expect(sent.every((row) => !before.includes(row))).toBe(true)
        }
      )
    )
  })

  it("an error keeps its fields and its causes; what cannot be cloned is left out", () => {
    const cause = Object.assign(new Error("low"), { code: "23505", close: () => {} })
    const error = Object.assign(new Error("high", { cause }), {
      _tag: "Unheard",
      list: [1, 2n],
      run: () => {}
    })
    const decoded = decoder([])(structuredClone(encode(error)))
    expect(decoded).toBeInstanceOf(Error)
    expect(decoded).toMatchObject({ _tag: "Unheard", message: "high", list: [1, 2n] })
    expect(decoded.cause).toMatchObject({ message: "low", code: "23505" })
    expect(decoded).not.toHaveProperty("run")
    expect(decoder([])(structuredClone(encode("plain"))).message).toBe("plain")
  })
})

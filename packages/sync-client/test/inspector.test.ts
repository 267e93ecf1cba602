/** What an inspector is told and can do, of a client in the same process and over tabs. */
import { createSyncClient } from "@synchrotron/sync-client"
import { historyLimits, type Inspector, inspector } from "@synchrotron/sync-client/inspector"
import { Hlc, type RecordId } from "@synchrotron/sync-core"
import { afterEach, describe, expect, it } from "vitest"
import { keepNoting } from "../src/inspector/inspector.ts"
import type { PromiseClient } from "../src/PromiseClient.ts"
import { FakeBrowser, FakeTab } from "./fake-browser.ts"
import { addTag, addTodo, app, bearer, databaseImage, FakeAuthority, renameTodo, uuid } from "./fixture.ts"

const until = (condition: () => unknown) =>
  expect.poll(() => Boolean(condition()), { timeout: 50_000, interval: 5 }).toBe(true)

const ends: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const optionsOf = async (authority: FakeAuthority) => ({
  app,
  dataDir: "memory://",
  image: await databaseImage(),
  server: { url: "http://authority.test", token: bearer },
  fetch: authority.fetch,
  pollMs: 0,
  userId: "ada"
})
const inspected = (client: PromiseClient): Inspector => {
  const made = inspector(client)
  ends.push(made.close)
  return made
}

/** A client with the database in the same process, and one whose database another tab has. */
const places = {
  "in the page": async (authority: FakeAuthority) => {
    const client = createSyncClient(await optionsOf(authority))
    ends.push(client.close)
    return client
  },
  "over tabs": async (authority: FakeAuthority) => {
    const browser = new FakeBrowser()
    const options = { ...(await optionsOf(authority)), store: "store" }
    const tabs = [new FakeTab(browser, options), new FakeTab(browser, options)] as const
    for (const tab of tabs) ends.push(() => tab.client.close())
    await tabs[0].client.ready
    await until(() => tabs[0].leads)
    return tabs[1].client
  }
}

const byName = (made: Inspector, name: string) =>
  made.get().snapshot?.records.filter((record) => record.name === name) ?? []

describe.each(Object.entries(places))("an inspector %s", (_, open) => {
  it("shows the first patches of a record, and says how many there are, before its verdict and after", async () => {
    const client = await open(new FakeAuthority())
    await client.sync()
    const made = inspected(client)
    await until(() => made.get().snapshot !== null)
    await made.pause()
    await client.execute(Array.from({ length: 130 }, (_, n) => addTodo({ id: uuid(n), title: `t${n}` })))
    await until(() => made.get().snapshot!.records.length === 1)
    const { id } = made.get().snapshot!.records[0]!
    const shown = async () => {
      const detail = await made.record(id)
      return [made.get().snapshot!.records[0]!.patches, detail?.patches?.length, detail?.patchesTotal]
    }
    expect(await shown()).toEqual([130, 100, 130])
    await made.resume()
    await until(() => made.get().snapshot!.records[0]!.state === "confirmed")
    expect(await shown()).toEqual([130, 100, 130])
  })

  it("shows records from their execution to their verdict, with args, patches and rounds", async () => {
    const authority = new FakeAuthority()
    authority.refuse = ({ args }) => (args as { title?: string }).title === "refused"
    const client = await open(authority)
    await client.sync()
    const made = inspected(client)
    await until(() => made.get().snapshot !== null)
    await made.pause()
    const adding = client.execute(addTodo({ id: uuid(1), title: "Milk" }))
    await adding
    await client.execute(addTodo({ id: uuid(2), title: "refused" }))
    await client.execute(renameTodo({ id: uuid(9), title: "nobody" }))
    await until(() => made.get().snapshot?.records.length === 3)
    const [milk, refused, nobody] = made.get().snapshot!.records
    expect(milk).toMatchObject({
      id: await adding.recordId(),
      name: "todo.add",
      version: 1,
      state: "pending",
      own: true,
      patches: 1,
      replays: 0,
      steppable: true
    })
    expect(nobody).toMatchObject({ state: "pending", patches: 0 })
    expect(Hlc.parts(milk!.hlc).node).toBe(made.get().snapshot!.clientId)
    expect(await made.record(milk!.id)).toEqual({
      args: { value: { id: uuid(1), title: "Milk" } },
      patches: [
        {
          table: "public.todos",
          key: `["${uuid(1)}"]`,
          before: null,
          after: { id: uuid(1), title: "Milk", done: "false" }
        }
      ],
      patchesTotal: 1
    })

    await made.resume()
    await client.settled()
    await until(() => byName(made, "todo.add").every(({ state }) => state !== "pending"))
    expect(made.get().snapshot!.records.map(({ state }) => state)).toEqual([
      "confirmed",
      "rejected",
      "confirmed"
    ])
    expect(made.get().snapshot!.records[1]!.error).toMatchObject({ class: "denied" })
    expect(made.get().snapshot!.records.every(({ judgedAt }) => judgedAt !== null)).toBe(true)
    expect(await made.record(milk!.id)).toMatchObject({ args: { value: { title: "Milk" } }, patchesTotal: 1 })
    const { cursors, rounds } = made.get().snapshot!
    const round = rounds.find(({ sent }) => sent === 3)!
    expect(round).toMatchObject({
      kind: "sync",
      state: "done",
      verdicts: { applied: 2, changed: 0, rejected: 1, voided: 0 },
      path: "rows",
      error: null
    })
    expect(round.bytesUp).toBeGreaterThan(300)
    expect(round.bytesDown).toBeGreaterThan(100)
    expect(cursors).toEqual({
      seq: 2,
      audiences: [{ audience: "all", cursor: 2 }],
      audiencesTotal: 1
    })

    // The inbox.
    authority.refuse = () => false
    await made.retry(refused!.id)
    await client.settled()
    await until(() => byName(made, "todo.add").every(({ state }) => state === "confirmed"))
    expect(await client.query("SELECT title FROM todos ORDER BY title")).toEqual([
      { title: "Milk" },
      // The authority of the tests puts what it renames.
      { title: "nobody" },
      { title: "refused" }
    ])
    authority.refuse = () => true
    await client.execute(addTag({ id: uuid(5), name: "x" }))
    await client.settled()
    await until(() => byName(made, "tag.add")[0]?.state === "rejected")
    await made.dismiss(byName(made, "tag.add")[0]!.id)
    await until(() => byName(made, "tag.add").length === 0)
  })

  it("steps back, and says how far it goes", async () => {
    const authority = new FakeAuthority()
    const client = await open(authority)
    await client.execute(addTodo({ id: uuid(1), title: "first" }))
    await client.settled()
    await client.pause()
    const made = inspected(client)
    for (const title of ["second", "third"]) await client.execute(renameTodo({ id: uuid(1), title }))
    await until(() => made.get().snapshot?.records.length === 3)
    const [first, second, third] = made.get().snapshot!.records
    const titles = async (to: RecordId | null) =>
      (await made.stepBack(to)).tables
        .find(({ name }) => name === "public.todos")!
        .rows.map(({ cells }) => cells[1])
    expect(await titles(null)).toEqual(["first"])
    expect(await titles(second!.id)).toEqual(["second"])
    expect(await titles(third!.id)).toEqual(["third"])
    expect(await made.stepBack(null)).toMatchObject({
      changes: [{ was: { title: "first" }, now: { title: "third" } }],
      changesTotal: 1
    })
    expect(made.get().snapshot!.records.map(({ steppable }) => steppable)).toEqual([false, true, true])
    await expect(made.stepBack(first!.id)).rejects.toMatchObject({ _tag: "NotInJournal" })
    expect(await client.query("SELECT title FROM todos")).toEqual([{ title: "third" }])
  })

  it("delays requests and lets them fail, until it is closed", async () => {
    const authority = new FakeAuthority()
    const client = await open(authority)
    await client.sync()
    const made = inspector(client)
    await until(() => made.get().snapshot !== null)
    await made.setNetwork({ delayMs: 300 })
    const before = Date.now()
    await client.sync()
    expect(Date.now() - before).toBeGreaterThanOrEqual(300)
    await until(() => (made.get().snapshot!.rounds.at(-1)!.answeredMs ?? 0) >= 300)
    await made.setNetwork({ failing: true })
    const count = authority.requests.length
    await expect(client.sync()).rejects.toMatchObject({ _tag: "Offline" })
    expect(authority.requests.length).toBe(count)
    await until(() => made.get().snapshot!.rounds.some(({ state }) => state === "failed"))
    const failed = made.get().snapshot!.rounds.find(({ state }) => state === "failed")!
    expect(failed.error).toEqual({ tag: "Offline", message: "The inspector lets every request fail." })
    expect(made.get().snapshot!.network).toEqual({ delayMs: 300, failing: true })
    await made.setNetwork({ delayMs: Number.MAX_SAFE_INTEGER })
    await until(() => made.get().snapshot!.network.delayMs === historyLimits.delayMsMax)
    await made.close()
    await client.sync()
    expect(authority.requests.length).toBe(count + 1)
  })
})

it("keeps what is cheap while nobody inspects, and counts replays", async () => {
  const authority = new FakeAuthority()
  const client = createSyncClient({ ...(await optionsOf(authority)), paused: true })
  ends.push(client.close)
  await client.execute(addTodo({ id: uuid(1), title: "Milk" }))
  await client.resume()
  await client.settled()
  // Rows come while one is pending that used their table.
  await client.pause()
  const pending = client.execute(addTodo({ id: uuid(2), title: "Tea" }))
  await pending
  const answered = authority.answer.bind(authority)
  authority.execute("todo.add", { id: uuid(7), title: "Bread" })
  authority.answer = (request) => ({
    ...(answered({ ...request, records: [] }) as object),
    verdicts: []
  })
  await client.resume()
  await until(() => client.status.get().seq === 2)
  const made = inspected(client)
  await until(() => made.get().snapshot !== null)
  const [milk, tea] = made.get().snapshot!.records
  expect(milk).toMatchObject({ name: "todo.add", state: "confirmed", patches: null, replays: 0 })
  expect(await made.record(milk!.id)).toEqual({ args: null, patches: null, patchesTotal: 0 })
  expect(tea).toMatchObject({ state: "pending", replays: 1 })
  const { rounds } = made.get().snapshot!
  expect(rounds.some(({ path, replayed }) => path === "pending" && replayed === 1)).toBe(true)
  expect(rounds[0]).toMatchObject({ bytesUp: null, bytesDown: null })
  authority.answer = answered
})

it("goes on with the tab that takes the database over, which disturbs nothing", async () => {
  const authority = new FakeAuthority()
  const browser = new FakeBrowser()
  const options = { ...(await optionsOf(authority)), store: "store" }
  const leader = new FakeTab(browser, options)
  await leader.client.ready
  const other = new FakeTab(browser, options)
  ends.push(() => other.client.close())
  const made = inspected(other.client)
  await made.setNetwork({ failing: true })
  await until(() => made.get().snapshot?.network.failing)
  const { epoch } = made.get().snapshot!
  leader.kill()
  await until(() => made.get().snapshot!.epoch !== epoch)
  expect(made.get().snapshot!.network.failing).toBe(false)
  await other.client.sync()
  await until(() => made.get().snapshot!.rounds.some(({ state }) => state === "done"))
})

it("notes details while it is told to, though nobody looks", async () => {
  const client = createSyncClient(await optionsOf(new FakeAuthority()))
  ends.push(client.close)
  const stop = keepNoting(client)
  const adding = client.execute(addTodo({ id: uuid(1), title: "Milk" }))
  await client.settled()
  stop()
  const made = inspected(client)
  expect(await made.record(await adding.recordId())).toMatchObject({
    args: { value: { title: "Milk" } },
    patchesTotal: 1
  })
})

it("an inspector of a client that is closed, or could not be opened, says so and ends", async () => {
  const client = createSyncClient(await optionsOf(new FakeAuthority()))
  const made = inspected(client)
  await until(() => made.get().snapshot !== null)
  await client.close()
  await until(() => made.get().error !== null)
  expect(made.get().error).toMatchObject({ _tag: "ClientClosed" })
  const broken = createSyncClient({
    ...(await optionsOf(new FakeAuthority())),
    userId: undefined,
    server: { url: "http://x.test", token: "none" }
  })
  const other = inspected(broken)
  await until(() => other.get().error !== null)
  expect(other.get().error).toMatchObject({ _tag: "UserUnknown" })
})

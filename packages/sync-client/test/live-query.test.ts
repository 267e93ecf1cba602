/** Live queries on a real database: they run when they must, and tell only what changed. */
import {
  type LiveQueryHandle,
  type LiveQueryState,
  type PromiseClient,
  SyncClient
} from "@synchrotron/sync-client"
import { Action, SyncApp } from "@synchrotron/sync-core"
import { Effect, Schema, Stream } from "effect"
import { describe, expect, it } from "vitest"
import { addTag, addTodo, app, bearer, FakeAuthority, renameTodo, uuid } from "./fixture.ts"
import { open, until } from "./support.ts"

interface Todo {
  readonly id: string
  readonly title: string
}

const watch = async <Row>(live: {
  readonly get: () => LiveQueryState<Row>
  readonly subscribe: (listener: (state: LiveQueryState<Row>) => void) => () => void
}) => {
  const states: Array<LiveQueryState<Row>> = []
  live.subscribe((state) => states.push(state))
  await until(() => live.get().state !== "loading")
  return states
}

/** The text makes it a query of its own. */
const countOf = (client: PromiseClient, table: string, i: number) =>
  client.liveQuery<{ n: number }>(`SELECT count(*)::int AS n FROM ${table} WHERE ${i} = ${i}`)

/** What is shown at the end of a turn of the event loop in which anything changed, when it is not the same everywhere. */
const tornFrames = (lives: ReadonlyArray<LiveQueryHandle<{ n: number }>>): ReadonlyArray<string> => {
  const torn: Array<string> = []
  const look = () =>
    queueMicrotask(() => {
      const shown = new Set(lives.flatMap((live) => live.get().rows.map(({ n }) => n)))
      if (shown.size > 1) torn.push([...shown].join())
    })
  for (const live of lives) live.subscribe(look)
  return torn
}

const all = "SELECT id, title FROM todos ORDER BY title"

describe("liveQuery", () => {
  it("follows local actions and syncs, keeps unchanged rows, and is silent otherwise", async () => {
    const { authority, client } = await open()
    const live = client.liveQuery<Todo>(all)
    expect(live.get()).toMatchObject({ state: "loading", rows: [] })
    const states = await watch(live)
    expect(live.get()).toEqual({ state: "rows", rows: [], error: null })
    await client.execute([addTodo({ id: uuid(1), title: "a" }), addTodo({ id: uuid(2), title: "b" })])
    await live.refresh()
    const [a, b] = live.get().rows
    expect([a, b]).toMatchObject([{ title: "a" }, { title: "b" }])
    await client.execute(renameTodo({ id: uuid(2), title: "c" }))
    await live.refresh()
    expect(live.get().rows[0]).toBe(a)
    expect(live.get().rows[1]).not.toBe(b)

    // The authority confirms what is here already: rows are written, and none is another one.
    await client.settled()
    await live.refresh()
    const before = states.length
    const rows = live.get().rows
    await client.execute(addTag({ id: uuid(3), name: "unrelated" }))
    await client.execute(renameTodo({ id: uuid(2), title: "c" }))
    await client.settled()
    await live.refresh()
    expect(live.get().rows).toBe(rows)
    expect(states.length).toBe(before)

    authority.execute("todo.add", { id: uuid(4), title: "of another client" })
    await client.sync()
    await until(() => live.get().rows.length === 3)
    expect(live.get().rows[0]).toBe(a)
    live.close()
  })

  it("runs only when a table that it reads has changed", async () => {
    const { client } = await open(undefined, { paused: true })
    await client.ready
    // A sequence cannot count runs in a read-only query, so the clock tells them apart.
    const stamp = "clock_timestamp()::text AS at"
    const runs = {
      todos: client.liveQuery(`SELECT ${stamp}, count(*) FROM todos`),
      view: client.liveQuery(`SELECT ${stamp}, count(*) FROM titles`),
      subquery: client.liveQuery(
        `SELECT ${stamp} FROM tags WHERE EXISTS (SELECT FROM todos) UNION ALL SELECT ${stamp}`
      ),
      tags: client.liveQuery(`SELECT ${stamp}, count(*) FROM tags WHERE name <> $1`, ["x"]),
      nothing: client.liveQuery(`SELECT ${stamp}`),
      calling: client.liveQuery(`SELECT ${stamp}, todo_count()`),
      pruned: client.liveQuery(
        `SELECT ${stamp} FROM tags WHERE NOT $1::boolean AND EXISTS (SELECT FROM todos) UNION ALL SELECT ${stamp}`,
        [true]
      )
    }
    const barrier = client.liveQuery("SELECT 'barrier'")
    const names = Object.keys(runs) as ReadonlyArray<keyof typeof runs>
    const counts = new Map<string, number>()
    for (const name of names) {
      counts.set(name, 0)
      runs[name].subscribe(() => counts.set(name, counts.get(name)! + 1))
    }
    for (const name of names) await until(() => runs[name].get().state === "rows")
    const ran = async (operation: Action.AnyOperation) => {
      for (const name of names) counts.set(name, 0)
      await client.execute(operation)
      // The commit is announced by now; what it makes stale runs in the round of the barrier at the latest.
      await new Promise((resolve) => setTimeout(resolve, 20))
      await barrier.refresh()
      return names.filter((name) => counts.get(name)! > 0)
    }
    expect(await ran(addTodo({ id: uuid(1), title: "a" }))).toEqual(["todos", "view", "subquery", "calling"])
    expect(await ran(addTag({ id: uuid(2), name: "a" }))).toEqual(["subquery", "tags", "calling"])
  })

  it("turns a burst of commits into few runs", async () => {
    const { client } = await open(undefined, { paused: true })
    const live = client.liveQuery<{ n: number }>("SELECT count(*)::int AS n FROM todos")
    const states = await watch(live)
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => client.execute(addTodo({ id: uuid(i), title: "x" })))
    )
    await until(() => live.get().rows[0]?.n === 100)
    expect(states.length).toBeLessThan(60)
  })

  it("shows what the first sync brought before the status says that it is done", async () => {
    const authority = new FakeAuthority()
    authority.execute("todo.add", { id: uuid(1), title: "Milk" })
    const { client } = await open(authority, { paused: true })
    const live = client.liveQuery<Todo>(all)
    await watch(live)
    const shownWhenDone: Array<number> = []
    client.status.subscribe(({ firstSyncDone }) => {
      if (firstSyncDone) shownWhenDone.push(live.get().rows.length)
    })
    await client.resume()
    await client.sync()
    expect(shownWhenDone[0]).toBe(1)
  })

  it("tells all that one commit changed at once", async () => {
    const { client } = await open(undefined, { paused: true })
    await client.ready
    // So many that their running is no single turn of the event loop.
    const lives = Array.from({ length: 150 }, (_, i) => countOf(client, i % 2 === 0 ? "todos" : "tags", i))
    const torn = tornFrames(lives)
    for (let i = 1; i <= 10; i++)
      await client.execute([addTodo({ id: uuid(i), title: "x" }), addTag({ id: uuid(100 + i), name: "x" })])
    for (const live of lives) await until(() => live.get().rows[0]?.n === 10)
    expect(torn).toEqual([])
  })

  it("shows a query that is opened during a commit together with those that the commit changed", async () => {
    let begun = () => {}
    let go = () => {}
    const running = new Promise<void>((resolve) => {
      begun = resolve
    })
    const gate = new Promise<void>((resolve) => {
      go = resolve
    })
    const slow = Action.make("both.add", {
      args: Schema.Struct({}),
      run: ({ sql }) =>
        Effect.promise(() => {
          begun()
          return gate
        }).pipe(
          Effect.zipRight(sql`INSERT INTO todos (id, title) VALUES (${uuid(1)}, 'x')`),
          Effect.zipRight(sql`INSERT INTO tags (id, name) VALUES (${uuid(2)}, 'x')`),
          Effect.asVoid,
          Effect.orDie
        )
    })
    const { client } = await open(undefined, {
      paused: true,
      app: SyncApp.make({ ...app, actions: [slow] })
    })
    const lives = [countOf(client, "todos", 1)]
    await until(() => lives[0]!.get().state === "rows")
    const done = client.execute(slow({}))
    await running
    lives.push(countOf(client, "tags", 2))
    const torn = tornFrames(lives)
    // The query waits for the database by now.
    await new Promise((resolve) => setTimeout(resolve, 20))
    go()
    await done
    for (const live of lives) await until(() => live.get().rows[0]?.n === 1)
    expect(torn).toEqual([])
  })

  it("keeps a query that nobody watches any more up to date for who comes back", async () => {
    const { client } = await open(undefined, { paused: true })
    const live = client.liveQuery<{ n: number }>("SELECT count(*)::int AS n FROM todos", [], { lazy: true })
    const leave = live.subscribe(() => {})
    await until(() => live.get().state === "rows")
    leave()
    await client.execute(addTodo({ id: uuid(1), title: "x" }))
    await until(() => live.get().rows[0]?.n === 1)
  })

  it("says what is wrong, keeps the rows, and does not disturb others", async () => {
    const { client } = await open(undefined, { paused: true })
    const wrong = client.liveQuery("SELECT nonsense FROM todos")
    const writes = client.liveQuery("DELETE FROM todos")
    const right = client.liveQuery("SELECT 1 AS n")
    for (const live of [wrong, writes, right]) await watch(live)
    expect(wrong.get()).toMatchObject({ state: "error", error: { _tag: "SqlError" } })
    expect(writes.get()).toMatchObject({ state: "error", error: { _tag: "ReadOnlyQuery" } })
    expect(right.get()).toMatchObject({ state: "rows", rows: [{ n: 1 }] })
  })

  it("decodes rows by a schema, each once", async () => {
    const { client } = await open(undefined, { paused: true })
    const schema = Schema.Struct({ id: Schema.UUID, title: Schema.Uppercase })
    await client.execute([addTodo({ id: uuid(1), title: "a" }), addTodo({ id: uuid(2), title: "b" })])
    const live = client.liveQuery(all, [], { schema })
    await watch(live)
    const [a] = live.get().rows
    expect(a).toEqual({ id: uuid(1), title: "A" })
    await client.execute(renameTodo({ id: uuid(2), title: "c" }))
    await live.refresh()
    expect(live.get().rows[0]).toBe(a)
    expect(live.get().rows[1]).toMatchObject({ title: "C" })
    expect(await client.query(all, [], { schema })).toEqual(live.get().rows)
    const misfit = client.liveQuery(all, [], { schema: Schema.Struct({ title: Schema.Number }) })
    await watch(misfit)
    expect(misfit.get()).toMatchObject({ state: "error", rows: [], error: { _tag: "ParseError" } })
    // The rows that could be read last stay, as with any other error.
    const short = client.liveQuery(all, [], {
      schema: Schema.Struct({ id: Schema.UUID, title: Schema.String.pipe(Schema.maxLength(1)) })
    })
    await watch(short)
    const last = short.get().rows
    await client.execute(renameTodo({ id: uuid(2), title: "long" }))
    await until(() => short.get().state === "error")
    expect(short.get().rows).toBe(last)
  })

  it("is lazy when asked, shares one run, and ends with the client", async () => {
    const { client } = await open(undefined, { paused: true })
    await client.ready
    const lazy = client.liveQuery<Todo>(all, [], { lazy: true })
    await client.execute(addTodo({ id: uuid(1), title: "a" }))
    expect(lazy.get().state).toBe("loading")
    const other = client.liveQuery<Todo>(all)
    await watch(lazy)
    expect(lazy.get()).toBe(lazy.get())
    expect(lazy.get().rows[0]).toBe(other.get().rows[0])
    await client.close()
    expect(other.get()).toMatchObject({ state: "error", error: { _tag: "ClientClosed" } })
    await other.refresh()
  })

  it("is a stream in Effect", async () => {
    const authority = new FakeAuthority()
    const program = Effect.gen(function* () {
      const client = yield* SyncClient.SyncClient
      const seen = yield* Effect.fork(
        client.liveQuery("SELECT title FROM todos ORDER BY title").pipe(Stream.take(2), Stream.runCollect)
      )
      yield* Effect.sleep(200)
      const { outcome, value } = yield* client.submit(addTodo({ id: uuid(1), title: "a" }))
      expect(value).toBe(1)
      expect(yield* outcome).toEqual({ _tag: "applied" })
      expect([...(yield* seen)]).toEqual([[], [{ title: "a" }]])
      expect(yield* Effect.flip(client.execute(addTodo({ id: uuid(2), title: "taken" })))).toMatchObject({
        _tag: "TitleTaken"
      })
      expect(yield* client.status.get).toMatchObject({ pending: 0, phase: "idle" })
    })
    await Effect.runPromise(
      Effect.provide(
        program,
        SyncClient.layer({
          app,
          dataDir: "memory://",
          server: { url: "http://authority.test", token: bearer },
          fetch: authority.fetch
        })
      )
    )
  })
})

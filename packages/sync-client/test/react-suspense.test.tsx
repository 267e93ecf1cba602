/** Components that suspend while their rows are loading, and whose errors go to a boundary. */
import { ClientClosed, Limits, type PromiseClient } from "@synchrotron/sync-client"
import { preloadQuery, useSuspenseQuery, useSyncClient } from "@synchrotron/sync-client/react"
import { Action, SyncApp } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { Suspense, startTransition, useLayoutEffect, useState } from "react"
import { afterEach, describe, expect, it, vi } from "vitest"
import { addTag, addTodo, app, uuid } from "./fixture.ts"
import { Boundary, click, render, text, until } from "./page.tsx"
import { open } from "./support.ts"

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const count = "SELECT count(*)::int AS n FROM "

/** Keeps the database busy until `go` is called, so that no query runs. */
const busy = async () => {
  let go = () => {}
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  const wait = Action.make("wait", { args: Schema.Struct({}), run: () => Effect.promise(() => gate) })
  const { client } = await open(undefined, {
    paused: true,
    app: SyncApp.make({ ...app, actions: [addTodo, wait] })
  })
  await client.ready
  void client.execute(wait({}))
  await sleep(20)
  return { client, go }
}

/** What was asked for so that it runs before it is watched. */
const watching = (client: PromiseClient) => {
  const asked: Array<string> = []
  const watched: PromiseClient = {
    ...client,
    liveQuery: (sql, params, options) => {
      if (options?.lazy !== true) asked.push(sql)
      return client.liveQuery(sql, params, options)
    }
  }
  return { asked, client: watched }
}

let draws = 0
const Count = ({ id, of, like = "%" }: { id: string; of: string; like?: string }) => {
  draws++
  const rows = useSuspenseQuery<{ n: number }>(`${count}${of} WHERE $1 <> ''`, [like])
  return <output id={id}>{`${like} ${rows[0]!.n}`}</output>
}

const waiting = <output id="waiting" />

const Both = () => {
  draws++
  const client = useSyncClient()
  preloadQuery(client, `${count}tags`)
  const todos = useSuspenseQuery<{ n: number }>(`${count}todos`)
  const tags = useSuspenseQuery<{ n: number }>(`${count}tags`)
  return <output id="n">{`${todos[0]!.n} ${tags[0]!.n}`}</output>
}

let seen = 0
const Fallback = () => {
  useLayoutEffect(() => void seen++, [])
  return waiting
}
const Screen = () => {
  const [like, setLike] = useState("a")
  return (
    <>
      <button type="button" id="next" onClick={() => startTransition(() => setLike("b"))} />
      <button type="button" id="urgent" onClick={() => setLike("c")} />
      <Suspense fallback={<Fallback />}>
        <Count id="n" of="todos" like={like} />
      </Suspense>
    </>
  )
}

const Ratio = ({ sql }: { sql: string }) => {
  draws++
  const rows = useSuspenseQuery<{ n: number }>(sql)
  return <output id="n">{rows[0]!.n}</output>
}
const shown = (sql: string) => (
  <Boundary>
    <Suspense fallback={waiting}>
      <Ratio sql={sql} />
    </Suspense>
  </Boundary>
)

const numbers = Schema.Struct({ name: Schema.Number })
const Tags = () => <>{useSuspenseQuery("SELECT name FROM tags", [], { schema: numbers }).length}</>

afterEach(() => {
  draws = 0
  vi.restoreAllMocks()
})

describe("useSuspenseQuery", () => {
  it("waits below a Suspense, gives rows, and follows them", async () => {
    const { client, go } = await busy()
    await render(
      client,
      <Suspense fallback={waiting}>
        <Count id="n" of="todos" />
      </Suspense>
    )
    await until(() => text("#waiting") === "")
    go()
    await until(() => text("#n") === "% 0")
    // Strict Mode draws twice: the first time, when the rows are there, and perhaps once between.
    expect(draws).toBeLessThan(10)
    await client.execute(addTodo({ id: uuid(1), title: "one" }))
    await until(() => text("#n") === "% 1")
  })

  it("lets components beside each other wait at the same time, and ends when a slow one is there", async () => {
    const { client, go } = await busy()
    const { asked, client: watched } = watching(client)
    await render(
      watched,
      <Suspense fallback={waiting}>
        <Count id="a" of="todos" />
        <Count id="b" of="tags" />
      </Suspense>
    )
    // Both are asked for before either is there.
    await until(() => new Set(asked).size === 2)
    expect(text("#waiting")).toBe("")
    go()
    await until(() => text("#a") === "% 0" && text("#b") === "% 0")
    expect(draws).toBeLessThan(20)
    expect(asked.length).toBe(2)
  })

  it("waits once for two queries of one component that are preloaded", async () => {
    const { client, go } = await busy()
    const { asked, client: watched } = watching(client)
    await render(
      watched,
      <Suspense fallback={waiting}>
        <Both />
      </Suspense>
    )
    await until(() => new Set(asked).size === 2)
    go()
    await until(() => text("#n") === "0 0")
    expect(draws).toBeLessThan(10)
  })

  it("keeps the old rows on the page while a transition loads others", async () => {
    const { client } = await open(undefined, { paused: true })
    await render(client, <Screen />)
    await until(() => text("#n") === "a 0")
    seen = 0
    click("#next")
    await until(() => text("#n") === "b 0")
    expect(seen).toBe(0)
    click("#urgent")
    await until(() => text("#n") === "c 0")
    expect(seen).toBeGreaterThan(0)
  })

  it("ends a query whose component was never mounted", async () => {
    const { client, go } = await busy()
    const sql = `${count}todos WHERE $1 <> ''`
    const { unmount } = await render(
      client,
      <Suspense fallback={waiting}>
        <Count id="n" of="todos" />
      </Suspense>
    )
    await until(() => text("#waiting") === "")
    unmount()
    go()
    const probe = client.liveQuery(sql, ["%"], { lazy: true })
    await until(() => probe.get().state === "rows")
    const sinceMs = Date.now()
    // A query that nobody runs has nothing to show.
    await until(() => probe.get().state === "loading")
    expect(Date.now() - sinceMs).toBeGreaterThan(Limits.preloadMs / 2)
  })

  it("keeps what came first for a component that waits longer for another query", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {})
    const { client } = await open(undefined, { paused: true })
    // One query never comes to its end while the test says so; the other is there at once.
    let arrive = () => {}
    const late: PromiseClient = {
      ...client,
      liveQuery: (sql, params, options) => {
        const live = client.liveQuery(sql, params, options)
        if (!sql.includes("tags")) return live
        const loading = client.liveQuery("SELECT 'nobody runs it'", [], { lazy: true }).get()
        const listeners = new Set<(state: never) => void>()
        const before = arrive
        arrive = () => {
          before()
          arrived = true
          for (const listener of listeners) listener(live.get() as never)
        }
        return {
          ...live,
          get: () => (arrived ? live.get() : (loading as never)),
          subscribe: (listener) => {
            listeners.add(listener as never)
            const unsubscribe = live.subscribe(listener)
            return () => {
              listeners.delete(listener as never)
              unsubscribe()
            }
          }
        }
      }
    }
    let arrived = false
    const { asked, client: watched } = watching(late)
    await render(
      watched,
      <Suspense fallback={waiting}>
        <Count id="a" of="todos" />
        <Count id="b" of="tags" />
      </Suspense>
    )
    await until(() => asked.length === 2)
    const probe = client.liveQuery(`${count}todos WHERE $1 <> ''`, ["%"], { lazy: true })
    await until(() => probe.get().state === "rows")
    await sleep(Limits.preloadMs + 2 * Limits.liveQueryLingerMs)
    expect(probe.get().state).toBe("rows")
    arrive()
    await until(() => text("#a") === "% 0" && text("#b") === "% 0")
    expect(asked.length).toBe(2)
  })
})

describe("an error of useSuspenseQuery", () => {
  it("reaches the boundary, which can be reset when the cause is gone", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {})
    const { client } = await open(undefined, { paused: true })
    const sql = "SELECT 6 / count(*)::int AS n FROM todos"
    await render(client, shown(sql))
    await until(() => text("#error") === "SqlError")
    expect(draws).toBeLessThan(15)
    await client.execute(addTodo({ id: uuid(1), title: "one" }))
    const probe = client.liveQuery(sql, [], { lazy: true })
    await until(() => probe.get().state === "rows")
    expect(text("#error")).toBe("SqlError")
    click("#reset")
    await until(() => text("#n") === "6")
  })

  it("is run again when the boundary is reset, though nothing was committed", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {})
    const { client } = await open(undefined, { paused: true })
    // Others may watch the query, so that it goes on with its error until it is run again.
    const failed = { state: "error", rows: [], error: new ClientClosed() } as const
    let runs = 0
    const failing: PromiseClient = {
      ...client,
      liveQuery: (sql, params, options) => {
        const live = client.liveQuery(sql, params, options)
        return {
          ...live,
          get: () => (runs > 0 ? live.get() : failed),
          refresh: () => {
            runs++
            return live.refresh()
          }
        }
      }
    }
    await render(failing, shown("SELECT 6 AS n"))
    await until(() => text("#error") === "ClientClosed")
    await sleep(Limits.failureMs)
    expect(runs).toBe(0)
    draws = 0
    click("#reset")
    await until(() => text("#n") === "6")
    expect(runs).toBe(1)
    expect(draws).toBeLessThan(15)
  })

  it("of a client that is closed is shown again, and does not wait for ever", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {})
    const { client } = await open(undefined, { paused: true })
    await render(client, shown("SELECT 1 AS n"))
    await until(() => text("#n") === "1")
    await client.close()
    await until(() => text("#error") === "ClientClosed")
    await sleep(Limits.failureMs + 100)
    draws = 0
    click("#reset")
    await until(() => text("#error") === "ClientClosed" && draws > 2)
    await sleep(200)
    expect(draws).toBeLessThan(15)
  })

  it("of a row that does not fit the schema reaches the boundary too", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {})
    const { client } = await open(undefined, { paused: true })
    await client.execute(addTag({ id: uuid(1), name: "x" }))
    await render(
      client,
      <Boundary>
        <Suspense fallback={waiting}>
          <Tags />
        </Suspense>
      </Boundary>
    )
    await until(() => text("#error") === "ParseError")
  })
})

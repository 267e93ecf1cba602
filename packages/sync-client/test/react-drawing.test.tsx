/** How often components are drawn, and that what they show side by side is of one commit. */
import type { PromiseClient } from "@synchrotron/sync-client"
import { useLiveQuery, usePending, useSuspenseQuery, useSyncStatus } from "@synchrotron/sync-client/react"
import { Profiler, Suspense, startTransition, useState } from "react"
import { describe, expect, it } from "vitest"
import { addTag, addTodo, renameTodo, uuid } from "./fixture.ts"
import { click, main, render, text, until, window } from "./page.tsx"
import { open } from "./support.ts"

const drawn = new Map<string, number>()
const note = (id: string) => drawn.set(id, (drawn.get(id) ?? 0) + 1)
const counts = () => Object.fromEntries(drawn)

const Rows = ({ id, sql }: { id: string; sql: string }) => {
  note(id)
  return <output id={id}>{useLiveQuery<{ n: number }>(sql).rows[0]?.n}</output>
}

const countOf = (table: string) => `SELECT count(*)::int AS n FROM ${table}`
const both = `SELECT (${countOf("todos")}) + (${countOf("tags")}) AS n`

/** One commit, in which both tables get a row. */
const addBoth = (client: PromiseClient, i: number) =>
  client.execute([addTodo({ id: uuid(i), title: `t${i}` }), addTag({ id: uuid(1000 + i), name: "x" })])

const Slow = ({ id, sql }: { id: string; sql: string }) => {
  const rows = useSuspenseQuery<{ n: number }>(sql)
  // Long enough that React draws a transition in several turns.
  const end = performance.now() + 3
  while (performance.now() < end);
  return <output className="n">{`${id} ${rows[0]!.n}`}</output>
}

const Growing = () => {
  const [many, setMany] = useState(0)
  return (
    <>
      <button type="button" id="more" onClick={() => startTransition(() => setMany((many) => many + 6))} />
      <output className="n">{`todos ${useLiveQuery<{ n: number }>(countOf("todos")).rows[0]?.n}`}</output>
      <output className="n">{`tags ${useLiveQuery<{ n: number }>(countOf("tags")).rows[0]?.n}`}</output>
      <Suspense>
        {Array.from({ length: many }, (_, i) => (
          <Slow
            key={String(i)}
            id={`slow${i}`}
            sql={`${countOf(i % 2 === 0 ? "todos" : "tags")} WHERE ${i} = ${i}`}
          />
        ))}
      </Suspense>
    </>
  )
}

const Pending = () => {
  note("pending")
  return <output id="pending">{useSyncStatus(({ pending }) => pending)}</output>
}

const Named = () => {
  note("named")
  const { phase, someone } = useSyncStatus(({ pending, phase }) => ({ phase, someone: pending > 0 }))
  return <output id="named">{`${phase} ${someone}`}</output>
}

const seen: Array<string> = []
const sets = new Set<unknown>()
const Waiting = () => {
  const pending = usePending()
  const { rows } = useLiveQuery<{ n: number }>(countOf("todos"))
  sets.add(pending)
  seen.push(`${pending.size} ${rows[0]?.n ?? "-"}`)
  return <output id="n">{`${pending.size} ${rows[0]?.n}`}</output>
}

describe("a commit", () => {
  it("draws each component that shows what changed once, all in one pass, and no other", async () => {
    const { client } = await open(undefined, { paused: true })
    let passes = 0
    await render(
      client,
      <Profiler id="page" onRender={() => passes++}>
        <Rows id="todos" sql={countOf("todos")} />
        <Rows id="tags" sql={countOf("tags")} />
        <Rows id="both" sql={both} />
        <Rows id="again" sql={countOf("todos")} />
        <Rows id="named" sql={`${countOf("tags")} WHERE name = 'y'`} />
        <Rows id="constant" sql="SELECT 0 AS n" />
      </Profiler>,
      { strict: false }
    )
    await until(() => ["todos", "tags", "both", "named", "constant"].every((id) => text(`#${id}`) === "0"))
    for (let i = 1; i <= 5; i++) {
      drawn.clear()
      passes = 0
      await addBoth(client, i)
      await until(() => text("#both") === String(2 * i))
      expect(counts()).toEqual({ todos: 1, tags: 1, both: 1, again: 1 })
      expect(passes).toBe(1)
    }
    drawn.clear()
    await client.execute(renameTodo({ id: uuid(1), title: "other" }))
    await client.execute(addTag({ id: uuid(2000), name: "y" }))
    await until(() => text("#named") === "1")
    expect(counts()).toEqual({ tags: 1, both: 1, named: 1 })
  })

  it("is never on the page together with another one, also beside what a transition brings", async () => {
    const { client } = await open(undefined, { paused: true })
    await render(client, <Growing />, { strict: false })
    await until(() => text(".n") === "todos 0")
    // Called after each change that React makes to the page, which is before it can be painted.
    const torn: Array<string> = []
    let frames = 0
    const observer = new window.MutationObserver(() => {
      frames++
      const shown = [...main.querySelectorAll(".n")].map(({ textContent }) => textContent!)
      if (new Set(shown.map((text) => text.split(" ")[1])).size > 1) torn.push(shown.join(", "))
    })
    observer.observe(main, { subtree: true, childList: true, characterData: true, attributes: true })
    for (let i = 1; i <= 40; i++) {
      if (i % 5 === 1) click("#more")
      await addBoth(client, i)
      await new Promise((resolve) => setTimeout(resolve, (i * 7) % 30))
    }
    await until(() => main.querySelectorAll(".n").length === 2 + 8 * 6)
    await until(() =>
      [...main.querySelectorAll(".n")].every(({ textContent }) => textContent!.endsWith(" 40"))
    )
    observer.disconnect()
    expect(torn).toEqual([])
    expect(frames).toBeGreaterThan(20)
  })
})

describe("useSyncStatus", () => {
  it("draws a component that selects only when its selection has changed", async () => {
    const { client } = await open(undefined, { paused: true })
    await render(
      client,
      <>
        <Pending />
        <Named />
      </>,
      { strict: false }
    )
    await until(() => text("#named") === "paused false")
    drawn.clear()
    for (let i = 1; i <= 3; i++) await client.execute(addTodo({ id: uuid(i), title: "x" }))
    await until(() => text("#pending") === "3" && text("#named") === "paused true")
    expect(drawn.get("pending")).toBeLessThanOrEqual(3)
    expect(drawn.get("named")).toBe(1)
    drawn.clear()
    await client.resume()
    await client.settled()
    await until(() => text("#pending") === "0" && text("#named") === "idle false")
    expect(drawn.get("pending")).toBe(1)
  })
})

describe("usePending", () => {
  it("has the records that wait, in the same pass as their rows, and stays the same set otherwise", async () => {
    const { client } = await open(undefined, { paused: true })
    await render(client, <Waiting />, { strict: false })
    await until(() => text("#n") === "0 0")
    seen.length = 0
    const execution = client.execute(addTodo({ id: uuid(1), title: "x" }))
    const id = await execution.recordId()
    await until(() => text("#n") === "1 1")
    expect([...sets].some((set) => (set as ReadonlySet<string>).has(id))).toBe(true)
    await client.execute(addTodo({ id: uuid(2), title: "x" }))
    await until(() => text("#n") === "2 2")
    await client.resume()
    await client.settled()
    await until(() => text("#n") === "0 2")
    expect(seen).toEqual(["1 1", "2 2", "0 2"])
    sets.clear()
    const before = seen.length
    await client.sync()
    expect(seen.length).toBe(before)
  })
})

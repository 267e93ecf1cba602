/** The hooks in a real React, in Strict Mode, on a real client and jsdom. */
import { OutcomeForgotten, type PromiseClient } from "@synchrotron/sync-client"
import {
  noClient,
  SyncProvider,
  useAction,
  useLiveQuery,
  useRejected,
  useSyncClient,
  useSyncStatus
} from "@synchrotron/sync-client/react"
import { memo, StrictMode, useState } from "react"
import { describe, expect, it, vi } from "vitest"
import { addTodo, FakeAuthority, renameTodo, uuid } from "./fixture.ts"
import { click, main, render, text, until } from "./page.tsx"
import { open } from "./support.ts"

interface Todo {
  readonly id: string
  readonly title: string
}

const draws = new Map<string, number>()
const Item = memo(({ todo }: { readonly todo: Todo }) => {
  draws.set(todo.id, (draws.get(todo.id) ?? 0) + 1)
  return <li>{todo.title}</li>
})

const List = ({ like = "%" }: { readonly like?: string }) => {
  const { error, rows, state } = useLiveQuery<Todo>(
    "SELECT id, title FROM todos WHERE title LIKE $1 ORDER BY id",
    [like]
  )
  return (
    <section>
      <output id="list-state">{error === null ? state : error._tag}</output>
      <ul>
        {rows.map((todo) => (
          <Item key={todo.id} todo={todo} />
        ))}
      </ul>
    </section>
  )
}

const Screen = () => {
  const [like, setLike] = useState("%")
  return (
    <>
      <button type="button" id="filter" onClick={() => setLike("d%")} />
      <List like={like} />
    </>
  )
}

const Status = () => {
  const { pending, phase } = useSyncStatus()
  return <output id="status">{`${phase} ${pending}`}</output>
}

const Add = () => {
  const add = useAction(addTodo)
  const [failed, setFailed] = useState("")
  const { state } = add
  return (
    <form>
      <output id="action">
        {state.state === "confirmed"
          ? `${state.value} ${state.outcome._tag}`
          : state.state === "error"
            ? (state.error as { _tag: string })._tag
            : state.state}
      </output>
      <output id="failed">{failed}</output>
      <button type="button" id="add" onClick={() => add.run({ id: uuid(7), title: "seven" })} />
      <button
        type="button"
        id="fail"
        onClick={() => add.run({ id: uuid(8), title: "taken" }).catch((error) => setFailed(error.title))}
      />
      <button type="button" id="ignore" onClick={() => add.run({ id: uuid(9), title: "taken" })} />
      <button type="button" id="reset" onClick={add.reset} />
    </form>
  )
}

const addTwo = (first: number, second: number) => [
  addTodo({ id: uuid(first), title: "a" }),
  addTodo({ id: uuid(second), title: "bb" })
]

const Several = () => {
  const one = useAction(addTodo)
  const two = useAction(addTwo)
  const show = (state: typeof one.state | typeof two.state) =>
    state.state === "confirmed"
      ? state.outcome._tag
      : state.state === "error"
        ? state.error._tag
        : `${state.state}${state.state === "pending" && state.value !== undefined ? ` ${state.value}` : ""}`
  return (
    <div>
      <output id="runs">
        {one.runs.map(({ args, state }) => `${args[0].title} ${show(state)}`).join(", ")}
      </output>
      <output id="last">{show(one.state)}</output>
      <output id="two">{show(two.state)}</output>
      <button
        type="button"
        id="three"
        onClick={() => {
          for (const [i, title] of ["a", "taken", "b"].entries()) one.run({ id: uuid(20 + i), title })
        }}
      />
      <button type="button" id="another" onClick={() => one.run({ id: uuid(30), title: "c" })} />
      <button type="button" id="forget" onClick={one.reset} />
      <button type="button" id="pair" onClick={() => two.run(40, 41)} />
      <button type="button" id="pair-fails" onClick={() => two.run(42, 41)} />
    </div>
  )
}

const Inbox = () => {
  const { dismiss, records, retry } = useRejected()
  return (
    <div>
      <output id="rejected">{records.map(({ error }) => error.class).join()}</output>
      <button type="button" id="retry" onClick={() => retry(records[0]!.id)} />
      <button type="button" id="dismiss" onClick={() => dismiss(records[0]!.id)} />
    </div>
  )
}

const Alone = () => <>{String(useSyncClient())}</>

describe("React hooks", () => {
  it("useLiveQuery shows rows, draws only changed ones, and follows its parameters", async () => {
    const { client } = await open(undefined, { paused: true })
    await render(client, <Screen />)
    await until(() => text("#list-state") === "loading" || text("#list-state") === "rows")
    await client.execute([addTodo({ id: uuid(1), title: "one" }), addTodo({ id: uuid(2), title: "two" })])
    await until(() => text("ul") === "onetwo")
    const before = draws.get(uuid(1))
    await client.execute(renameTodo({ id: uuid(2), title: "deux" }))
    await until(() => text("ul") === "onedeux")
    expect(draws.get(uuid(1))).toBe(before)
    click("#filter")
    await until(() => text("ul") === "deux")
  })

  it("useSyncStatus and useAction follow an action to its verdict", async () => {
    const { authority, client } = await open(undefined, { paused: true })
    await render(
      client,
      <>
        <Status />
        <Add />
      </>
    )
    await until(() => text("#status") === "paused 0")
    expect(text("#action")).toBe("idle")
    click("#add")
    await until(() => text("#status") === "paused 1")
    expect(text("#action")).toBe("pending")
    await client.resume()
    await until(() => text("#action") === "5 applied")
    await until(() => text("#status") === "idle 0")
    expect(authority.rows.size).toBe(1)
    click("#fail")
    await until(() => text("#action") === "TitleTaken" && text("#failed") === "taken")
    click("#reset")
    await until(() => text("#action") === "idle")
    // Nobody handles this one's promise: the state says it, and the page hears of no unhandled rejection.
    click("#ignore")
    await until(() => text("#action") === "TitleTaken")
  })

  it("useAction follows several runs at a time, each to its own end", async () => {
    const authority = new FakeAuthority()
    const { client } = await open(authority, { paused: true })
    authority.refuse = ({ args }) => (args as { title: string }).title === "b"
    await render(client, <Several />)
    expect(await vi.waitUntil(() => text("#last"))).toBe("idle")
    click("#three")
    await until(() => text("#runs") === "a pending 1, taken TitleTaken, b pending 1")
    expect(text("#last")).toBe("pending 1")
    // What has come to its end goes when another one begins.
    click("#another")
    await until(() => text("#runs") === "a pending 1, b pending 1, c pending 1")
    await client.resume()
    await until(() => text("#runs") === "a applied, b rejected, c applied")
    click("#forget")
    await until(() => text("#runs") === "" && text("#last") === "idle")
  })

  it("useAction runs several operations as one record", async () => {
    const { authority, client } = await open(undefined, { paused: true })
    await render(client, <Several />)
    await until(() => text("#two") === "idle")
    click("#pair")
    await until(() => text("#two") === "pending 1,2")
    expect((await client.pending()).length).toBe(1)
    await client.resume()
    await until(() => text("#two") === "applied")
    expect(authority.rows.size).toBe(2)
    // The second one is there already, so the first is not done either.
    click("#pair-fails")
    await until(() => text("#two") === "ActionCrashed")
    expect(await client.query("SELECT 1 FROM todos")).toHaveLength(2)
  })

  it("useAction says that nobody knows how a record was judged, when that is so", async () => {
    const { client } = await open(undefined, { paused: true })
    const forgetful: PromiseClient = {
      ...client,
      execute: ((operation: never) =>
        Object.assign(client.execute(operation), {
          outcome: () => Promise.reject(new OutcomeForgotten({ id: "" }))
        })) as never
    }
    await render(forgetful, <Add />)
    await until(() => text("#action") === "idle")
    click("#add")
    await until(() => text("#action") === "5 forgotten")
  })

  it("begins with what a server has drawn", async () => {
    const { renderToString } = await import("react-dom/server")
    const { client } = await open(undefined, { paused: true })
    await client.execute(addTodo({ id: uuid(1), title: "one" }))
    // The rows are there before the page is taken over.
    const live = client.liveQuery("SELECT id, title FROM todos WHERE title LIKE $1 ORDER BY id", ["%"])
    await until(() => live.get().state === "rows" && client.status.get().pending === 1)
    const page = (
      <>
        <List />
        <Status />
      </>
    )
    main.innerHTML = renderToString(
      <StrictMode>
        <SyncProvider client={noClient}>{page}</SyncProvider>
      </StrictMode>
    )
    expect([text("#list-state"), text("#status")]).toEqual(["loading", "idle 0"])
    const { reported } = await render(client, page, { hydrate: true })
    await until(() => text("ul") === "one" && text("#status") === "paused 1")
    expect(reported).toEqual([])
  })

  it("useRejected shows the inbox", async () => {
    const authority = new FakeAuthority()
    authority.refuse = () => true
    const { client } = await open(authority)
    await render(client, <Inbox />)
    await client.execute(addTodo({ id: uuid(1), title: "a" })).outcome()
    await until(() => text("#rejected") === "denied")
    authority.refuse = () => false
    click("#retry")
    await until(() => text("#rejected") === "")
    await client.settled()
    authority.refuse = () => true
    await client.execute(addTodo({ id: uuid(2), title: "b" }))
    await until(() => text("#rejected") === "denied")
    click("#dismiss")
    await until(() => text("#rejected") === "")
  })

  it("shows errors of a database that does not open", async () => {
    const { client } = await open(undefined, { server: { url: "http://authority.test", token: "opaque" } })
    await render(client, <List />)
    await expect(client.ready).rejects.toMatchObject({ _tag: "UserUnknown" })
    await until(() => text("#list-state") === "DatabaseNotOpen")
  })

  it("says when the provider is missing", async () => {
    const { renderToString } = await import("react-dom/server")
    expect(() => renderToString(<Alone />)).toThrow("SyncProvider")
  })
})

/** The hooks in a real React, in Strict Mode, on a real client and jsdom. */
import type { createSyncClient } from "@synchrotron/sync-client"
import {
  SyncProvider,
  useAction,
  useLiveQuery,
  useRejected,
  useSyncClient,
  useSyncStatus
} from "@synchrotron/sync-client/react"
import { JSDOM } from "jsdom"
import { memo, type ReactNode, StrictMode, useState } from "react"
import type { Root } from "react-dom/client"
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { addTodo, FakeAuthority, renameTodo, uuid } from "./fixture.ts"
import { open, until } from "./support.ts"

const { window } = new JSDOM("<main></main>")
beforeAll(() => {
  vi.stubGlobal("window", window)
  vi.stubGlobal("document", window.document)
  vi.stubGlobal("navigator", window.navigator)
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", false)
})

let root: Root | undefined
afterEach(() => root?.unmount())

const render = async (client: ReturnType<typeof createSyncClient>, children: ReactNode) => {
  // React looks for the document when it is loaded.
  const { createRoot } = await import("react-dom/client")
  root = createRoot(window.document.querySelector("main")!)
  root.render(
    <StrictMode>
      <SyncProvider client={client}>{children}</SyncProvider>
    </StrictMode>
  )
}

const text = (selector: string) => window.document.querySelector(selector)?.textContent
const click = (selector: string) =>
  (window.document.querySelector(selector) as unknown as HTMLElement).click()

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

/** The hooks in a tab whose database another tab has, until that one is gone. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { useAction, useLiveQuery, usePending } from "@synchrotron/sync-client/react"
import { afterEach, describe, expect, it } from "vitest"
import { FakeBrowser, FakeTab } from "./fake-browser.ts"
import { addTodo, app, bearer, databaseImage, FakeAuthority, TitleTaken, uuid } from "./fixture.ts"
import { click, render, text, until } from "./page.tsx"

const folders: Array<string> = []
const tabs: Array<FakeTab> = []
afterEach(async () => {
  for (const tab of tabs.splice(0)) if (tab.alive) await tab.client.close()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const useTabs = async (count: number) => {
  const folder = await mkdtemp(join(tmpdir(), "react-tabs-"))
  folders.push(folder)
  const browser = new FakeBrowser()
  const authority = new FakeAuthority()
  const image = await databaseImage()
  const opened = Array.from(
    { length: count },
    () =>
      new FakeTab(browser, {
        app,
        store: folder,
        dataDir: join(folder, "db"),
        image,
        server: { url: "http://authority.test", token: bearer },
        fetch: authority.fetch,
        pollMs: 0,
        userId: "ada",
        errors: [TitleTaken]
      })
  )
  tabs.push(...opened)
  return { authority, tabs: opened }
}

let next = 0
const Add = () => {
  const { run, runs } = useAction(addTodo)
  const { rows } = useLiveQuery<{ n: number }>("SELECT count(*)::int AS n FROM todos")
  const pending = usePending()
  const [last] = runs.slice(-1)
  const { state } = last ?? {}
  return (
    <>
      <output id="run">
        {last?.args[0].title}{" "}
        {state?.state === "confirmed"
          ? state.outcome._tag
          : state?.state === "error" && state.error instanceof TitleTaken
            ? `is taken: ${state.error.title}`
            : state?.state}
      </output>
      <output id="rows">{`${rows[0]?.n}, ${pending.size} waiting`}</output>
      <button type="button" id="add" onClick={() => run({ id: uuid(next), title: `t${next}` })} />
      <button type="button" id="fail" onClick={() => run({ id: uuid(99), title: "taken" })} />
    </>
  )
}

describe("hooks over tabs", () => {
  it("I4: show the outcome, when the leader dies at any of its messages too", {
    timeout: 240_000
  }, async () => {
    const deaths = [0, 1, 2, 3, 4, 5, 7, 9]
    const { authority, tabs } = await useTabs(deaths.length + 1)
    const survivor = tabs.at(-1)!
    await render(survivor.client, <Add />)
    for (const [i, messages] of deaths.entries()) {
      await until(() => tabs[i]!.leads && text("#rows") === `${i}, 0 waiting`)
      next = i
      tabs[i]!.messagesLeft = messages
      click("#add")
      await until(() => [`t${i} applied`, `t${i} forgotten`].includes(text("#run") ?? ""))
      await until(() => text("#rows") === `${i + 1}, 0 waiting`)
      tabs[i]!.kill()
    }
    expect(authority.rows.size).toBe(deaths.length)
    click("#fail")
    await until(() => text("#run") === "taken is taken: taken")
  })

  it("draw what was opened together in one pass", async () => {
    const { tabs } = await useTabs(2)
    const follower = tabs[1]!
    await follower.client.ready
    const keys = ["todos", "tags", "titles"]
    const lives = keys.map((table) => follower.client.liveQuery(`SELECT count(*) FROM ${table}`))
    const loaded: Array<number> = []
    for (const live of lives)
      live.subscribe(() =>
        queueMicrotask(() => loaded.push(lives.filter((live) => live.get().state === "rows").length))
      )
    await until(() => lives.every((live) => live.get().state === "rows"))
    expect(loaded).toEqual([3, 3, 3])
  })
})

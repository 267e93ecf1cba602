/** A page with an inspector, whose database is in a worker. The test calls what stands on its window. */
import { createSharedClient } from "@synchrotron/sync-client"
import { openOnShortcut } from "@synchrotron/sync-client/inspector"
import { addTodo, app, finishTodo, renameTodo } from "./app.ts"

const asked = new URLSearchParams(location.search)

const client = createSharedClient({
  app,
  worker: () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
  dataDir: asked.get("dataDir")!,
  userId: asked.get("user")!,
  pollMs: 60_000,
  server: { url: asked.get("server")!, token: async () => asked.get("token")! }
})
openOnShortcut(client, { record: true, dock: asked.get("dock") === "side" ? "side" : "bottom" })

const list = document.querySelector("ul")!
const live = client.liveQuery<{ title: string }>("SELECT title FROM todos ORDER BY created_at, id")
live.subscribe(({ rows }) => {
  list.replaceChildren(
    ...rows.map(({ title }) => Object.assign(document.createElement("li"), { textContent: title }))
  )
})

const tab = {
  ready: () => client.ready,
  add: (id: string, title: string) => client.execute(addTodo({ id, title })),
  rename: (id: string, title: string) => client.execute(renameTodo({ id, title })),
  finish: (id: string) => client.execute(finishTodo({ id })),
  /** So many records, one after the other. */
  addMany: async (count: number) => {
    for (let n = 0; n < count; n++) await client.execute(addTodo({ id: `many-${n}`, title: `Todo ${n}` }))
  },
  sync: () => client.sync(),
  settled: () => client.settled(),
  pause: () => client.pause(),
  resume: () => client.resume(),
  phase: () => client.status.get().phase,
  shown: () => [...list.children].map(({ textContent }) => textContent)
}

declare global {
  interface Window {
    inspectedTab: typeof tab
  }
}
Object.assign(window, { tab, inspectedTab: tab })

/** A tab without a user interface: the test calls what stands on its window. */
import { createSharedClient } from "@synchrotron/sync-client"
import { app, increment, TooMany } from "./app.ts"

const asked = new URLSearchParams(location.search)

const client = createSharedClient({
  app,
  worker: () =>
    asked.has("broken")
      ? new Worker("/missing.js", { type: "module" })
      : new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
  dataDir: asked.get("dataDir")!,
  userId: asked.get("user")!,
  server: { url: asked.get("server")!, token: async () => asked.get("token")! },
  errors: [TooMany]
})
const live = client.liveQuery<{ n: number }>("SELECT n FROM counts WHERE id = 'all'")

const tab = {
  ready: () => client.ready,
  /** Executes so many at once and gives what each gave. */
  increment: (times: number) =>
    Promise.all(Array.from({ length: times }, () => client.execute(increment({ by: 1 })))),
  refused: () =>
    client.execute(increment({ by: 10 })).then(
      () => "executed",
      (error: unknown) => (error instanceof TooMany ? `at most ${error.most}` : String(error))
    ),
  failure: () =>
    client.ready.then(
      () => "opened",
      (error: Error) => error.message
    ),
  shown: () => live.get().rows[0]?.n ?? 0,
  pending: () => client.status.get().pending,
  sync: () => client.sync(),
  settled: () => client.settled(),
  close: () => client.close()
}

declare global {
  interface Window {
    tab: typeof tab
  }
}
window.tab = tab

/** A tab without a user interface: the test calls what stands on its window. */
import { createSharedClient, destroyStore, StoreUnusable } from "@synchrotron/sync-client"
import { app, crash, increment, TooMany } from "./app.ts"

const asked = new URLSearchParams(location.search)

/** Whether what the tab that leads answers is lost on its way. */
let isDeaf = false
globalThis.BroadcastChannel = class extends BroadcastChannel {
  override set onmessage(listen: (event: MessageEvent) => void) {
    super.onmessage = (event) => {
      if (!isDeaf || event.data._tag !== "Answer") listen(event)
    }
  }
}

let worker: Worker | undefined
let running: Promise<unknown> | undefined
const client = createSharedClient({
  app,
  worker: () => {
    worker = asked.has("broken")
      ? new Worker("/missing.js", { type: "module" })
      : new Worker(new URL("./worker.ts", import.meta.url), { type: "module" })
    const started = worker
    running = new Promise((resolve) => started.addEventListener("message", resolve, { once: true }))
    return worker
  },
  dataDir: asked.get("dataDir")!,
  userId: asked.get("user")!,
  server: { url: asked.get("server")!, token: async () => asked.get("token")! },
  paused: asked.has("paused"),
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
  /** Brings the database down, and gives the error. */
  crash: () =>
    client.execute(crash({})).then(
      () => "executed",
      (error: { readonly _tag?: string }) => error._tag ?? String(error)
    ),
  failure: () =>
    client.ready.then(
      () => "opened",
      (error: Error) => error.message
    ),
  /** What a store that cannot be used gives: why, and the operations that were not sent. */
  unusable: () =>
    client.ready.then(
      () => null,
      (error: unknown) =>
        error instanceof StoreUnusable ? { reason: error.reason, unsent: error.unsent } : null
    ),
  /** Executes one after the other, until one fails; gives how many did not, and the error. */
  incrementUntilFailure: async (times: number) => {
    for (let executed = 0; executed < times; executed++) {
      try {
        await client.execute(increment({ by: 1 }))
      } catch (error) {
        return { executed, failure: (error as { readonly _tag?: string })._tag ?? String(error) }
      }
    }
    return { executed: times, failure: null }
  },
  setDeaf: (next: boolean) => {
    isDeaf = next
  },
  /** Not before it runs: the browser would stop loading it, and tell nobody. */
  killWorker: async () => {
    await running
    worker?.terminate()
  },
  storage: () => client.status.get().storage,
  destroyStore: () => destroyStore(asked.get("dataDir")!),
  shown: () => live.get().rows[0]?.n ?? 0,
  pending: () => client.status.get().pending,
  resume: () => client.resume(),
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

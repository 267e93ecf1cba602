/** A tab of the application. What measures it stands on its window. */
import { createSharedClient } from "@synchrotron/sync-client"
import { SyncProvider } from "@synchrotron/sync-client/react"
import { createRoot } from "react-dom/client"
import { app, bump, put, rowSql } from "../app.ts"
import { openBare } from "./bareClient.ts"
import { askCounts } from "./count.ts"
import { type Item, List, Many, shown } from "./views.tsx"
import { watchPage } from "./watchPage.ts"

const asked = new URLSearchParams(location.search)

const client = createSharedClient({
  app,
  worker: () =>
    asked.has("relaxed")
      ? new Worker(new URL("./relaxedWorker.ts", import.meta.url), { type: "module" })
      : new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
  dataDir: asked.get("dataDir")!,
  userId: asked.get("user")!,
  server: { url: asked.get("server")!, token: async () => asked.get("token")! }
})
const firstQuery = client.query(rowSql, ["row0"]).then(() => performance.now())

const painted = () =>
  new Promise<number>((resolve) => {
    requestAnimationFrame(() => {
      const channel = new MessageChannel()
      channel.port1.onmessage = () => resolve(performance.now())
      channel.port2.postMessage(null)
    })
  })

let bare: ReturnType<typeof openBare> | undefined
let endWatch: ReturnType<typeof watchPage>

const bench = {
  ready: () => client.ready,
  loaded: () => client.sync(),
  settled: () => client.settled(),
  pause: () => client.pause(),
  pending: async () => (await client.pending()).length,
  close: () => client.close(),
  count: async () => (await client.query<{ n: number }>("SELECT count(*)::integer AS n FROM items"))[0]!.n,
  sum: async () => (await client.query<{ n: number }>("SELECT sum(n)::integer AS n FROM items"))[0]!.n,
  /** Since the navigation began. */
  firstQuery: () => firstQuery,
  firstRendered: () => shown.firstMs,
  /** From the call to the render that has the new row, to its painting, and to the promise's value. */
  addAndSee: async (id: string) => {
    const start = performance.now()
    const seen = new Promise<{ committed: number; painted: Promise<number> }>((resolve) => {
      shown.onRows = (rows: ReadonlyArray<Item>) => {
        if (rows.some((row) => row.id === id)) resolve({ committed: performance.now(), painted: painted() })
      }
    })
    const executed = client.execute(put({ id, list: 0 })).then(() => performance.now())
    const { committed, painted: later } = await seen
    shown.onRows = () => {}
    return { committed: committed - start, painted: (await later) - start, durable: (await executed) - start }
  },
  /** Executes all at once, as one record or each as its own. */
  addAll: async (ids: ReadonlyArray<string>, asOne: boolean) => {
    let messages = 0
    const { postMessage } = BroadcastChannel.prototype
    BroadcastChannel.prototype.postMessage = function (message) {
      if (message?._tag === "Ask") messages++
      postMessage.call(this, message)
    }
    const operations = ids.map((id) => put({ id, list: 1 }))
    const start = performance.now()
    await (asOne ? client.execute(operations) : client.execute(operations, { transaction: false }))
    const ms = performance.now() - start
    BroadcastChannel.prototype.postMessage = postMessage
    return { ms, messages }
  },
  bare: {
    open: async (dataDir: string, rows: number) => {
      bare = openBare()
      return (await bare.ask({ _tag: "Open", dataDir, rows, list: 0 })).rows.length
    },
    /** A transaction for each or for all, durable; then the list. */
    insert: async (ids: ReadonlyArray<string>, list: number, asOne = false) => {
      const { ms } = await bare!.ask({ _tag: "Insert", ids, list, asOne })
      return ms
    }
  },
  /** Watches each of the rows, here and by PGlite's live extension, changes one of them, and gives who was told. */
  watchRows: async (ids: ReadonlyArray<string>, changes: number) => {
    const ours = { told: 0, ms: [] as Array<number> }
    const theirs = { told: 0, ms: [] as Array<number> }
    const heard = async (
      figures: typeof ours,
      listen: (tell: (id: string) => void) => void,
      change: (id: string) => unknown
    ) => {
      let tell = (_id: string): void => {}
      listen((id) => {
        figures.told++
        tell(id)
      })
      for (let i = 0; i < changes; i++) {
        const changed = ids[(i * 7) % ids.length]!
        const start = performance.now()
        const told = new Promise<void>((resolve) => {
          tell = (id) => id === changed && resolve()
        })
        await change(changed)
        await told
        figures.ms.push(performance.now() - start)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    const handles = ids.map((id) => ({ id, live: client.liveQuery(rowSql, [id]) }))
    await Promise.all(handles.map(({ live }) => live.refresh()))
    await bare!.ask({ _tag: "Watch", ids })
    await heard(
      ours,
      (tell) => handles.map(({ id, live }) => live.subscribe(() => tell(id))),
      (id) => client.execute(bump({ id }))
    )
    await heard(
      theirs,
      (tell) => {
        bare!.onTold = tell
      },
      (id) => bare!.ask({ _tag: "Bump", id, asReplica: false })
    )
    const { told } = theirs
    await bare!.ask({ _tag: "Bump", id: ids[0]!, asReplica: true })
    await new Promise((resolve) => setTimeout(resolve, 1000))
    return { ours, theirs: { ...theirs, told }, heardReplica: theirs.told > told }
  },
  counts: askCounts,
  watch: {
    begin: () => {
      endWatch = watchPage()
    },
    end: () => endWatch()
  }
}

export type Bench = typeof bench
declare global {
  interface Window {
    bench: Bench
  }
}
window.bench = bench

createRoot(document.getElementById("root")!).render(
  <SyncProvider client={client}>{asked.get("view") === "many" ? <Many /> : <List />}</SyncProvider>
)

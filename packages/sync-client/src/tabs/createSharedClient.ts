/** A client whose database is in a worker, and is shared by all tabs of the browser. */
import type { OpeningClient } from "../createSyncClient.ts"
import { WorkerFailed } from "../Errors.ts"
import type * as SyncClient from "../SyncClient.ts"
import { type ErrorClass, encode } from "./errors.ts"
import { follow } from "./follow.ts"
import { browser } from "./Surroundings.ts"
import type { FromWorker, ToWorker } from "./worker.ts"

/** As of `createSyncClient`, without what the worker has: the database's image and options are `serveTabs`'. */
export interface SharedOptions
  extends Pick<
    SyncClient.Options,
    "app" | "claims" | "dataDir" | "live" | "paused" | "pollMs" | "server" | "userId"
  > {
  /** Starts the tab's worker, which calls `serveTabs`. */
  readonly worker: () => Worker
  /**
   * Classes of the errors that actions fail with: what `execute` rejects with is an instance of its class then. Others arrive
   * as an `Error` with the same `_tag` and fields.
   */
  readonly errors?: ReadonlyArray<ErrorClass> | undefined
}

/**
 * Opens the browser's database, or shares it with the tabs that have it open.
 *
 * ```ts
 * const client = createSharedClient({
 *   app,
 *   worker: () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
 *   dataDir: "idb://todo",
 *   userId: "ada",
 *   server: { url: "/", token: () => session.token() }
 * })
 * ```
 *
 * Everything is as with `createSyncClient`. When the tab that has the database is closed, or killed, another one goes on with
 * it: what was asked meanwhile is asked again, and executed once. All tabs are of one user and one version of the application;
 * another one's client rejects with `DatabaseOfOther` or `TabsDiffer`. Values that `execute` gives must be such as
 * `structuredClone` takes.
 */
export const createSharedClient = ({ errors, worker: start, ...options }: SharedOptions): OpeningClient => {
  const { app, server, ...given } = options
  const worker = start()
  const tell = (message: ToWorker) => worker.postMessage(message)
  let begun = false
  let closed = () => {}
  const closing = new Promise<void>((resolve) => {
    closed = resolve
  })
  const failed = new Promise<Error>((resolve) => {
    worker.onerror = ({ message }) => {
      if (begun) return
      resolve(new WorkerFailed({ reason: message || "its script could not be loaded" }))
      closed()
    }
  })
  worker.onmessage = async ({ data }: MessageEvent<FromWorker>) => {
    begun = true
    if (data._tag === "Closed") closed()
    if (data._tag !== "Token") return
    const { ask } = data
    try {
      const token = typeof server.token === "string" ? server.token : await server.token()
      tell({ _tag: "Token", ask, token })
    } catch (error) {
      tell({ _tag: "Token", ask, error: encode(error) })
    }
  }
  tell({
    _tag: "Begin",
    options: {
      ...given,
      url: new URL(server.url, location.href).href,
      token: typeof server.token === "string" ? server.token : null,
      timeoutMs: server.timeoutMs
    }
  })
  return follow({ app, store: options.dataDir, userId: options.userId, errors }, browser, {
    failed,
    close: async () => {
      tell({ _tag: "Close" })
      await closing
      worker.terminate()
    }
  })
}

/** A client whose database is in a worker, and is shared by all tabs of the browser. */
import type { OpeningClient } from "../PromiseClient.ts"
import type * as SyncClient from "../SyncClient.ts"
import { decoder, type ErrorClass, encode } from "./errors.ts"
import { follow } from "./follow.ts"
import { keep, type Life } from "./keep.ts"
import { workerLockName } from "./Messages.ts"
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
  /**
   * Whether the browser is asked not to delete the database when the device runs short of room, once something is in it that
   * the server does not have. Some browsers then ask the user. True unless given.
   */
  readonly persist?: boolean | undefined
}

/**
 * Opens the browser's database, or shares it with the tabs that have it open.
 *
 * ```ts
 * const client = createSharedClient({
 *   app,
 *   worker: () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
 *   dataDir: "todo",
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
  const { app, persist = true, server, ...given } = options
  const decodeError = decoder(errors ?? [])
  const stop = new AbortController()
  let tell: (message: ToWorker) => void = () => {}
  const live = () =>
    new Promise<Life>((resolve) => {
      const worker = start()
      const id = crypto.randomUUID()
      let begun = false
      const send = (message: ToWorker) => worker.postMessage(message)
      const end = (life: Life) => {
        worker.terminate()
        // Its lock is heard of after its last message, when another one may have begun.
        if (tell === send) tell = () => {}
        resolve(life)
      }
      tell = send
      worker.onerror = ({ message }) => {
        if (!begun) end({ _tag: "NotLoaded", reason: message || "its script could not be loaded" })
      }
      worker.onmessage = async ({ data }: MessageEvent<FromWorker>) => {
        switch (data._tag) {
          case "Begun":
            begun = true
            // Nobody frees it but the browser, when the worker is gone.
            void browser.lock(workerLockName(id), async () => end({ _tag: "Died", reason: "it was ended" }))
            return
          case "Failed":
            return end({ _tag: "Failed", error: decodeError(data.error) })
          case "Token": {
            const { ask } = data
            try {
              const token = typeof server.token === "string" ? server.token : await server.token()
              send({ _tag: "Token", ask, token })
            } catch (error) {
              send({ _tag: "Token", ask, error: encode(error) })
            }
            return
          }
          default:
            return end(data)
        }
      }
      send({
        _tag: "Begin",
        options: {
          ...given,
          worker: id,
          url: new URL(server.url, location.href).href,
          token: typeof server.token === "string" ? server.token : null,
          timeoutMs: server.timeoutMs
        }
      })
      if (stop.signal.aborted) send({ _tag: "Close" })
    })
  // Starting one may throw: a content security policy refuses it, or the claims cannot be cloned.
  const kept = keep(live, options.dataDir, browser, stop.signal).catch((error: unknown) => error)
  const client = follow({ app, store: options.dataDir, userId: options.userId, errors }, browser, {
    failed: new Promise((resolve) => {
      void kept.then((error) => {
        if (error !== undefined) resolve(error as Error)
      })
    }),
    close: async () => {
      stop.abort()
      tell({ _tag: "Close" })
      await kept
    }
  })
  if (persist) persistOnceNeeded(client.status)
  return client
}

/** Something is here that is nowhere else: from then on the browser shall not delete it to make room. */
const persistOnceNeeded = (status: OpeningClient["status"]): void => {
  const unwatch = status.subscribe(({ pending }) => {
    if (pending === 0) return
    unwatch()
    navigator.storage?.persist?.().catch(() => {})
  })
}

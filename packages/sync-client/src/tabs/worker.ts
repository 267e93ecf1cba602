/**
 * What the worker of a tab runs: it waits until it is its turn to lead, and then has the database for all tabs.
 *
 * ```ts
 * // worker.ts
 * import { serveTabs } from "@synchrotron/sync-client/worker"
 * import { app } from "./app.ts"
 *
 * serveTabs({ app })
 * ```
 */
import type { SyncApp } from "@synchrotron/sync-core"
import type * as SyncClient from "../SyncClient.ts"
import { decoder, type ErrorText, encode } from "./errors.ts"
import { type Ending, lead } from "./lead.ts"
import { leaderLockName, workerLockName } from "./Messages.ts"
import { browser } from "./Surroundings.ts"

export interface ServeOptions extends Pick<SyncClient.Options, "image" | "pglite" | "purityCheck"> {
  readonly app: SyncApp.SyncApp
}

/** What the tab tells its worker: options that can be cloned. */
export interface Beginning
  extends Pick<SyncClient.Options, "claims" | "dataDir" | "live" | "paused" | "pollMs" | "userId"> {
  /** An id of the worker. */
  readonly worker: string
  readonly url: string
  /** Null: the tab is asked for it. */
  readonly token: string | null
  readonly timeoutMs: number | undefined
}

export type ToWorker =
  | { readonly _tag: "Begin"; readonly options: Beginning }
  | { readonly _tag: "Token"; readonly ask: number; readonly token: string }
  | { readonly _tag: "Token"; readonly ask: number; readonly error: ErrorText }
  | { readonly _tag: "Close" }

export type FromWorker =
  | { readonly _tag: "Token"; readonly ask: number }
  /** It has its lock. */
  | { readonly _tag: "Begun" }
  | Exclude<Ending, { readonly _tag: "Failed" }>
  | { readonly _tag: "Failed"; readonly error: ErrorText }

/** Call it once, when the worker starts. What an action needs must be in `app`, for actions run here. */
export const serveTabs = (options: ServeOptions): void => {
  const scope = globalThis as unknown as {
    onmessage: ((event: { readonly data: ToWorker }) => void) | null
    postMessage: (message: FromWorker) => void
  }
  const decodeError = decoder([])
  const waiting = new Map<number, { resolve: (token: string) => void; reject: (error: Error) => void }>()
  let asks = 0
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const askForToken = () =>
    new Promise<string>((resolve, reject) => {
      waiting.set(++asks, { resolve, reject })
      scope.postMessage({ _tag: "Token", ask: asks })
    })
  const stopWaiting = new AbortController()
  const begin = async ({ timeoutMs, token, url, worker, ...given }: Beginning) => {
    const store = given.dataDir
    const server = { url, timeoutMs, token: token ?? askForToken }
    let ending: Ending = { _tag: "Closed" }
    await browser.lock(workerLockName(worker), async () => {
      scope.postMessage({ _tag: "Begun" })
      try {
        await browser.lock(
          leaderLockName(store),
          async () => {
            ending = await lead({ ...options, ...given, store, server }, browser, ended)
          },
          stopWaiting.signal
        )
      } catch (error) {
        if (!stopWaiting.signal.aborted) ending = { _tag: "Failed", error }
      }
      scope.postMessage(ending._tag === "Failed" ? { _tag: "Failed", error: encode(ending.error) } : ending)
    })
  }
  scope.onmessage = ({ data }) => {
    switch (data._tag) {
      case "Begin":
        void begin(data.options)
        break
      case "Token": {
        const asked = waiting.get(data.ask)
        waiting.delete(data.ask)
        if ("token" in data) asked?.resolve(data.token)
        else asked?.reject(decodeError(data.error))
        break
      }
      case "Close":
        stopWaiting.abort()
        end()
    }
  }
}

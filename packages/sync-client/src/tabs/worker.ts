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
import { decoder, type ErrorText } from "./errors.ts"
import { lead } from "./lead.ts"
import { leaderLockName } from "./Messages.ts"
import { browser } from "./Surroundings.ts"

export interface ServeOptions extends Pick<SyncClient.Options, "image" | "pglite" | "purityCheck"> {
  readonly app: SyncApp.SyncApp
}

/** What the tab tells its worker: options that can be cloned. */
export interface Beginning
  extends Pick<SyncClient.Options, "claims" | "dataDir" | "live" | "paused" | "pollMs" | "userId"> {
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
  | { readonly _tag: "Begun" | "Closed" }

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
  const begin = async ({ timeoutMs, token, url, ...given }: Beginning) => {
    const store = given.dataDir
    const server = { url, timeoutMs, token: token ?? askForToken }
    try {
      await browser.lock(
        leaderLockName(store),
        () => lead({ ...options, ...given, store, server }, browser, ended),
        stopWaiting.signal
      )
    } catch (error) {
      if (!stopWaiting.signal.aborted) throw error
    }
    scope.postMessage({ _tag: "Closed" })
  }
  scope.onmessage = ({ data }) => {
    switch (data._tag) {
      case "Begin":
        scope.postMessage({ _tag: "Begun" })
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

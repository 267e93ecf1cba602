/** What a client's session and database are doing, for programs, tests and the panel. */
import type { Inspect, RecordId } from "@synchrotron/sync-core"
import * as Observable from "../Observable.ts"
import type { ExecutionPromise, PromiseClient } from "../PromiseClient.ts"
import type { Status } from "../Status.ts"
import { historyLimits } from "./History.ts"
import type { Network, RecordDetail, Snapshot } from "./Snapshot.ts"

export interface InspectorState {
  /** Null until the database is open. */
  readonly snapshot: Snapshot | null
  readonly status: Status
  /** Why there is nothing newer; null when there is, or will be. */
  readonly error: Error | null
}

export interface Inspector extends Observable.Observable<InspectorState> {
  /** Args and patches of a record; null when it is not known any more. */
  readonly record: (id: RecordId) => Promise<RecordDetail | null>
  /**
   * The tables as they were when a record had just been executed, or before all that are pending (`null`). Nothing is changed by
   * it. Rejects with `NotInJournal` when that is not known any more.
   */
  readonly stepBack: (
    to: RecordId | null,
    options?: { readonly rowsMax?: number | undefined }
  ) => Promise<Inspect.StepBack>
  /** Executes a refused record's action again as a new record. */
  readonly retry: (id: RecordId) => ExecutionPromise<unknown>
  readonly dismiss: (id: RecordId) => Promise<void>
  readonly pause: () => Promise<void>
  readonly resume: () => Promise<void>
  readonly sync: () => Promise<void>
  /** Disturbs the session's requests; what is left out stays as it is. */
  readonly setNetwork: (network: Partial<Network>) => Promise<unknown>
  /** Ends the inspecting, and what it did to the network. The client goes on. */
  readonly close: () => Promise<void>
}

/**
 * Inspects a client, from either of `createSyncClient` and `createSharedClient`, until it is closed.
 *
 * ```ts
 * const inspected = inspector(client)
 * inspected.subscribe(({ snapshot }) => console.table(snapshot?.records))
 * ```
 */
export const inspector = (client: PromiseClient): Inspector => {
  const state = Observable.make<InspectorState>({ snapshot: null, status: client.status.get(), error: null })
  const unsubscribe = client.status.subscribe((status) => state.set({ ...state.get(), status }))
  let closed = false
  let network: Network = { delayMs: 0, failing: false }
  const follow = async () => {
    let failures = 0
    while (!closed) {
      const seen = state.get().snapshot
      try {
        const snapshot = await client.inspect({
          _tag: "Snapshot",
          seen: seen === null ? null : { epoch: seen.epoch, version: seen.version }
        })
        if (closed) return
        failures = 0
        network = snapshot.network
        state.set({ snapshot, status: client.status.get(), error: null })
      } catch (error) {
        if (closed) return
        state.set({ ...state.get(), error: error as Error })
        if (isFinal(error) || ++failures > failuresMax) return
        await new Promise((resolve) => setTimeout(resolve, retryMs))
      }
    }
  }
  void client.ready.then(follow, (error: Error) => state.set({ ...state.get(), error }))

  const setNetwork = (change: Partial<Network>) => {
    network = { ...network, ...change }
    return client.inspect({ _tag: "Network", network })
  }
  return {
    get: state.get,
    subscribe: state.subscribe,
    record: (id) => client.inspect({ _tag: "Record", id }),
    stepBack: (to, { rowsMax } = {}) => client.inspect({ _tag: "StepBack", to, rowsMax }),
    retry: client.rejected.retry,
    dismiss: client.rejected.dismiss,
    pause: client.pause,
    resume: client.resume,
    sync: client.sync,
    setNetwork,
    close: async () => {
      if (closed) return
      closed = true
      unsubscribe()
      const disturbed = network.delayMs > 0 || network.failing
      if (disturbed) await setNetwork({ delayMs: 0, failing: false }).catch(() => {})
    }
  }
}

/**
 * Has args and patches of what is confirmed noted, as while somebody inspects, at the cost of a message now and then.
 *
 * @returns ends that
 */
export const keepNoting = (client: PromiseClient): (() => void) => {
  const ask = () => void client.inspect({ _tag: "Keep" }).catch(() => {})
  ask()
  const timer = setInterval(ask, historyLimits.leaseMs / 3)
  return () => clearInterval(timer)
}

const retryMs = 1000
const failuresMax = 10
const isFinal = (error: unknown): boolean => (error as { _tag?: unknown } | null)?._tag === "ClientClosed"

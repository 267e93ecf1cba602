/** What tabs need of the browser. Tests bring their own, in which a tab can be killed at any message. */
import * as Connectivity from "../Connectivity.ts"

export interface Channel {
  readonly send: (message: unknown) => void
  readonly close: () => void
}

export interface Surroundings {
  readonly connectivity: Connectivity.Connectivity
  /** A channel to everybody else who has one of this name. */
  readonly channel: (name: string, onMessage: (message: unknown) => void) => Channel
  /**
   * Waits for a lock, runs `held` with it, and frees it when that ends, or when the tab does. `signal` ends the waiting, and
   * the promise rejects.
   */
  readonly lock: (name: string, held: () => Promise<void>, signal?: AbortSignal) => Promise<void>
}

export const browser: Surroundings = {
  connectivity: Connectivity.browser(),
  channel: (name, onMessage) => {
    const channel = new BroadcastChannel(name)
    channel.onmessage = ({ data }) => onMessage(data)
    return { send: (message) => channel.postMessage(message), close: () => channel.close() }
  },
  lock: (name, held, signal) =>
    navigator.locks.request(name, signal === undefined ? {} : { signal }, held) as Promise<void>
}

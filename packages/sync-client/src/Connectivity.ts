/** What the device says about its network. A hint: it may say online without a way to the server. */
import * as Observable from "./Observable.ts"

export type Connectivity = Observable.Observable<boolean>

/** Always online: Node, and workers without network events. */
export const always: Connectivity = { get: () => true, subscribe: () => () => {} }

/**
 * The browser's `navigator.onLine` with its events, and those of somebody who comes back to the tab: a wait is cut short then.
 * {@link always} elsewhere.
 */
export const browser = (): Connectivity => {
  const { navigator } = globalThis
  if (typeof globalThis.addEventListener !== "function" || typeof navigator?.onLine !== "boolean")
    return always
  return {
    get: () => navigator.onLine,
    subscribe: (listener) => {
      const online = () => listener(true)
      const offline = () => listener(false)
      const shown = () => {
        if (document.visibilityState === "visible") listener(navigator.onLine)
      }
      globalThis.addEventListener("online", online)
      globalThis.addEventListener("offline", offline)
      // A worker has no document.
      globalThis.document?.addEventListener("visibilitychange", shown)
      return () => {
        globalThis.removeEventListener("online", online)
        globalThis.removeEventListener("offline", offline)
        globalThis.document?.removeEventListener("visibilitychange", shown)
      }
    }
  }
}

/** One that others can tell too, by the function, that there is a network. */
export const withOthers = (own: Connectivity): Connectivity & { readonly tellOnline: () => void } => {
  const listeners = new Set<(online: boolean) => void>()
  return {
    get: own.get,
    subscribe: (listener) => {
      listeners.add(listener)
      const unsubscribe = own.subscribe(listener)
      return () => {
        listeners.delete(listener)
        unsubscribe()
      }
    },
    tellOnline: () => {
      for (const listener of listeners) listener(true)
    }
  }
}

/** A switch, for tests and for platforms with network events of their own. */
export const manual = (online = true): Observable.Store<boolean> => Observable.make(online)

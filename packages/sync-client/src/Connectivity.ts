/** What the device says about its network. A hint: it may say online without a way to the server. */
import * as Observable from "./Observable.ts"

export type Connectivity = Observable.Observable<boolean>

/** Always online: Node, and workers without network events. */
export const always: Connectivity = { get: () => true, subscribe: () => () => {} }

/** The browser's `navigator.onLine` with its events; {@link always} elsewhere. */
export const browser = (): Connectivity => {
  const { navigator } = globalThis
  if (typeof globalThis.addEventListener !== "function" || typeof navigator?.onLine !== "boolean")
    return always
  return {
    get: () => navigator.onLine,
    subscribe: (listener) => {
      const online = () => listener(true)
      const offline = () => listener(false)
      globalThis.addEventListener("online", online)
      globalThis.addEventListener("offline", offline)
      return () => {
        globalThis.removeEventListener("online", online)
        globalThis.removeEventListener("offline", offline)
      }
    }
  }
}

/** A switch, for tests and for platforms with network events of their own. */
export const manual = (online = true): Observable.Store<boolean> => Observable.make(online)

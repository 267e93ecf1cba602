import { useSyncExternalStore } from "react"
import type { Observable } from "../Observable.ts"

/** The value of an observable; draws again when it changes. `subscribe` and `get` must stay the same functions. */
export const useObservable = <A>({ get, subscribe }: Observable<A>): A =>
  useSyncExternalStore(subscribe, get, get)

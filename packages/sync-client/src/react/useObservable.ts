import { useSyncExternalStore } from "react"
import type { Observable } from "../Observable.ts"

/**
 * The value of an observable; draws again when it changes. `subscribe` and `get` must stay the same functions.
 *
 * @param onServer what it is where there is no database, and in the first drawing of a page that came from there
 */
export const useObservable = <A>({ get, subscribe }: Observable<A>, onServer: A): A =>
  useSyncExternalStore(subscribe, get, () => onServer)

import type { Status } from "../Status.ts"
import { useSyncClient } from "./SyncProvider.ts"
import { useObservable } from "./useObservable.ts"

/** What the session is doing. */
export const useSyncStatus = (): Status => useObservable(useSyncClient().status)

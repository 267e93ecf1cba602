import type { Replica } from "@synchrotron/sync-core"
import type { PromiseClient } from "../PromiseClient.ts"
import { useSyncClient } from "./SyncProvider.ts"
import { useObservable } from "./useObservable.ts"

export interface UseRejected {
  /** Records that the authority refused or voided, oldest first. */
  readonly records: ReadonlyArray<Replica.RejectedRecord>
  readonly retry: PromiseClient["rejected"]["retry"]
  readonly dismiss: PromiseClient["rejected"]["dismiss"]
}

/** The inbox of refused records. */
export const useRejected = (): UseRejected => {
  const { rejected } = useSyncClient()
  return { records: useObservable(rejected, none), retry: rejected.retry, dismiss: rejected.dismiss }
}

const none: ReadonlyArray<never> = []

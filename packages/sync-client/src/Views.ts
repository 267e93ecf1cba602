/** What views watch. It exists before the database is open, so that they need not wait for it. */
import type { Replica } from "@synchrotron/sync-core"
import { LiveQueries } from "./LiveQuery.ts"
import * as Observable from "./Observable.ts"
import * as Status from "./Status.ts"
import { same } from "./share.ts"

export type RejectedStore = Observable.Store<ReadonlyArray<Replica.RejectedRecord>>

export interface Views {
  readonly status: Status.StatusStore
  readonly rejected: RejectedStore
  readonly live: LiveQueries
}

export const makeViews = (): Views => ({
  status: Status.make(),
  rejected: Observable.make<ReadonlyArray<Replica.RejectedRecord>>([], same),
  live: new LiveQueries()
})

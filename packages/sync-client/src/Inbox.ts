/** The inbox of records that the authority refused or voided: what was lost, why, and the way on. */
import type { SqlError } from "@effect/sql"
import type { Answers, RecordId, RecordNotFound, Replica } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { ExecuteError } from "./Execute.ts"
import type * as Observable from "./Observable.ts"
import type { StatusStore } from "./Status.ts"
import type { RejectedStore } from "./Views.ts"

export interface Inbox {
  /** The refused records, oldest first; observable. */
  readonly records: Observable.Observable<ReadonlyArray<Replica.RejectedRecord>>
  /** The same, read from the database. */
  readonly list: Effect.Effect<ReadonlyArray<Replica.RejectedRecord>, SqlError.SqlError>
  /** Executes the record's action again as a new record. Fails as `execute` does, and then the record stays. */
  readonly retry: (
    id: RecordId,
    call?: Answers.Call
  ) => Effect.Effect<Replica.Executed<unknown>, ExecuteError<unknown> | RecordNotFound>
  /** Forgets the record. */
  readonly dismiss: (id: RecordId) => Effect.Effect<void, RecordNotFound | SqlError.SqlError>
}

export const make = (options: {
  readonly replica: Pick<Replica.Replica, "rejected" | "dismiss"> & { readonly retry: Inbox["retry"] }
  readonly store: RejectedStore
  readonly status: StatusStore
  readonly onRetried: (id: RecordId) => Effect.Effect<void>
}): Inbox => {
  const { onRetried, replica, status, store } = options
  const list = Effect.tap(replica.rejected, (records) =>
    Effect.sync(() => {
      store.set(records)
      status.update({ rejected: records.length })
    })
  )
  return {
    records: store,
    list,
    retry: (id, call) =>
      replica.retry(id, call).pipe(
        Effect.tap((executed) => (executed.again ? Effect.void : onRetried(executed.id))),
        Effect.uninterruptible,
        Effect.tap(() => list)
      ),
    dismiss: (id) => Effect.zipLeft(replica.dismiss(id), list)
  }
}

/**
 * Errors of the client, one class per recovery. Those of actions and databases are in sync-core's Errors.ts, those that the
 * server answers in its Protocol.ts.
 *
 * | error              | recovery                                                                            |
 * |--------------------|-------------------------------------------------------------------------------------|
 * | `Offline`          | none needed: the session tries again; nothing is lost                               |
 * | `SyncPaused`       | call `resume()`                                                                     |
 * | `ReadOnlyQuery`    | write with an action                                                                |
 * | `DatabaseInUse`    | use the tab that has the database open, or close it                                 |
 * | `DatabaseNotOpen`  | as its `cause` says                                                                 |
 * | `UserUnknown`      | pass `userId`, or a token whose payload has a `sub`                                 |
 * | `OutcomeForgotten` | the record was judged long ago and was not refused: treat it as done                |
 * | `ClientClosed`     | create a new client                                                                 |
 * | `WorkerFailed`     | as its reason says: the worker's script must be there, and call `serveTabs`         |
 * | `TabsDiffer`       | reload this tab, or the others: they run different versions of the application      |
 * | `StorageFull`      | make room: it is tried again by itself; what is there is safe                       |
 * | `StoreUnusable`    | as its reason says: reload a newer application, or keep `unsent` and delete it       |
 * | `DatabaseCrashed`  | do not repeat it: what was executed brought the local database down, twice          |
 */
import { Schema } from "effect"

/** The request did not reach the server, or its answer did not come back in time. */
export class Offline extends Schema.TaggedError<Offline>()("Offline", {
  message: Schema.String
}) {}

/** The session is paused: by `pause()`, or by the option `paused`. */
export class SyncPaused extends Schema.TaggedError<SyncPaused>()("SyncPaused", {}) {
  override get message() {
    return "Sync is paused. Call resume() first; what was executed meanwhile is kept."
  }
}

/** A query tried to write. */
export class ReadOnlyQuery extends Schema.TaggedError<ReadOnlyQuery>()("ReadOnlyQuery", {
  sql: Schema.String
}) {
  override get message() {
    return `query and liveQuery only read, and this statement writes: ${this.sql.slice(0, 200)}\nPut the write into an action and run it with execute, so that it is recorded and synced.`
  }
}

/** Another tab or worker has this database open. */
export class DatabaseInUse extends Schema.TaggedError<DatabaseInUse>()("DatabaseInUse", {
  dataDir: Schema.String
}) {
  override get message() {
    return `Another tab has the local database ${this.dataDir} open, and one tab owns it at a time. Use that tab, or close it and reload.`
  }
}

/** A live query has no database: it could not be opened. `cause` is the reason, a `SyncClient.OpenError`. */
export class DatabaseNotOpen extends Schema.TaggedError<DatabaseNotOpen>()("DatabaseNotOpen", {
  message: Schema.String,
  cause: Schema.Defect
}) {}

/** Neither the options nor the token say whose database this is. */
export class UserUnknown extends Schema.TaggedError<UserUnknown>()("UserUnknown", {
  reason: Schema.String
}) {
  override get message() {
    return `The user of this client is unknown: ${this.reason}. Pass userId, or a token that is a JWT with a sub. With userId the client also starts offline.`
  }
}

/** The record was judged so long ago that its outcome is no longer remembered; it is not among the rejected ones. */
export class OutcomeForgotten extends Schema.TaggedError<OutcomeForgotten>()("OutcomeForgotten", {
  id: Schema.String
}) {
  override get message() {
    return `The record ${this.id} is neither pending nor rejected: it was confirmed earlier than this client remembers, dismissed, or never executed here.`
  }
}

/** The client was closed. */
export class ClientClosed extends Schema.TaggedError<ClientClosed>()("ClientClosed", {}) {
  override get message() {
    return "This client is closed. Create a new one; what it had not sent yet is kept in the database."
  }
}

/** The tab that has the database open runs another version of the application. */
export class TabsDiffer extends Schema.TaggedError<TabsDiffer>()("TabsDiffer", {}) {
  override get message() {
    return "Another tab has the local database open with another version of this application. Reload that tab and this one; nothing is lost."
  }
}

/** The worker of a tab did not start, or died too often. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", {
  reason: Schema.String
}) {
  override get message() {
    return `The worker of this tab failed: ${this.reason}. Its script must be there, run as a module, and call serveTabs.`
  }
}

/** The browser's storage is full. Nothing was executed. */
export class StorageFull extends Schema.TaggedError<StorageFull>()("StorageFull", {
  usedBytes: Schema.NullOr(Schema.Number),
  quotaBytes: Schema.NullOr(Schema.Number)
}) {
  override get message() {
    return "The storage of this browser is full, so nothing new can be kept. What is there is safe and is still synced. Free some space on this device, and try again."
  }
}

/** A record that was not judged by the authority, as it is in a store that cannot be used. */
const Unsent = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  version: Schema.Number,
  args: Schema.Unknown,
  hlc: Schema.String
})

/**
 * There is a local database, and it cannot be used. It is left as it is: `unsent` has what would be lost with it, or is null
 * when it cannot be read.
 *
 * - `too-new`: a newer version of the application has written it. Load that one.
 * - `damaged`: it cannot be opened or read. Hand `unsent` to the user, then `destroyStore` and start again: all that the
 *   server has comes back.
 */
export class StoreUnusable extends Schema.TaggedError<StoreUnusable>()("StoreUnusable", {
  reason: Schema.Literal("too-new", "damaged"),
  dataDir: Schema.String,
  unsent: Schema.NullOr(Schema.Array(Unsent)),
  cause: Schema.Defect
}) {
  override get message() {
    const unsent =
      this.unsent === null
        ? "What was not sent from it cannot be read."
        : `${this.unsent.length} operations in it were not sent.`
    const wayOut =
      this.reason === "too-new"
        ? "It was written by a newer version of this application: reload to get that one."
        : "Keep `unsent`, delete it with destroyStore, and start again: what the server has comes back."
    return `The local database ${this.dataDir} cannot be used. ${unsent} ${wayOut} (${this.cause instanceof Error ? this.cause.message : String(this.cause)})`
  }
}

/** The local database died each time that this was run. It was not executed; everything else goes on. */
export class DatabaseCrashed extends Schema.TaggedError<DatabaseCrashed>()("DatabaseCrashed", {
  reason: Schema.String
}) {
  override get message() {
    return `The local database died while this was run, and did so again when it was repeated, so it was given up: ${this.reason}. Look for endless recursion in the SQL of the action or query.`
  }
}

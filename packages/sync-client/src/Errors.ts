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

/** The worker of a tab did not start. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", {
  reason: Schema.String
}) {
  override get message() {
    return `The worker of this tab did not start: ${this.reason}. Its script must be there, run as a module, and call serveTabs.`
  }
}

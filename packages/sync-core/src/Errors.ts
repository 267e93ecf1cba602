/**
 * Errors of the engine, one class per recovery. Those of the wire are in Protocol.ts, those of the clock in Hlc.ts.
 *
 * | error               | recovery                                                                          |
 * |---------------------|-----------------------------------------------------------------------------------|
 * | `ArgsInvalid`       | fix the caller: nothing ran, nothing was recorded                                 |
 * | `ActionCrashed`     | fix the action: everything it wrote was undone, nothing was recorded              |
 * | `TablesUnsupported` | change the schema as the message says, then start again                           |
 * | `DatabaseTooNew`    | update the application: the local database was written by a newer one             |
 * | `MigrationChanged`  | restore the migration as it was, and add a new one                                |
 * | `DatabaseOfOther`   | open another database: this one belongs to another user or application            |
 * | `RecordNotFound`    | the record was retried or dismissed already                                       |
 * | `NotInJournal`      | step back to a record that is pending, or to the common ancestor                  |
 * | `RowsInvalid`       | none here: it is tried again; update server or application if it stays so         |
 * | `AnswerLost`        | none needed: it was executed; read from the tables what it did                    |
 * | `Impure`            | make the action deterministic: the message shows what differed                    |
 */
import { Schema } from "effect"

/** The arguments do not fit the action's schema, or are larger than the limit. */
export class ArgsInvalid extends Schema.TaggedError<ArgsInvalid>()("ArgsInvalid", {
  action: Schema.String,
  message: Schema.String
}) {}

/** The action's code threw, or died, instead of failing with one of its own errors. */
export class ActionCrashed extends Schema.TaggedError<ActionCrashed>()("ActionCrashed", {
  action: Schema.String,
  message: Schema.String,
  cause: Schema.Defect
}) {}

/** Tables that cannot be synced as they are. Each problem names table, column and the way out. */
export class TablesUnsupported extends Schema.TaggedError<TablesUnsupported>()("TablesUnsupported", {
  problems: Schema.Array(
    Schema.Struct({
      table: Schema.String,
      column: Schema.NullOr(Schema.String),
      problem: Schema.String,
      wayOut: Schema.String
    })
  )
}) {
  override get message() {
    return this.problems
      .map((p) => `${p.table}${p.column === null ? "" : `.${p.column}`}: ${p.problem} ${p.wayOut}`)
      .join("\n")
  }
}

/** The database has migrations that this application does not know. */
export class DatabaseTooNew extends Schema.TaggedError<DatabaseTooNew>()("DatabaseTooNew", {
  unknownMigrations: Schema.Array(Schema.String)
}) {
  override get message() {
    return `The database was written by a newer version of the application (unknown migrations: ${this.unknownMigrations.join(", ")}). Update the application; the data is untouched.`
  }
}

/** A migration that was applied has another text now. */
export class MigrationChanged extends Schema.TaggedError<MigrationChanged>()("MigrationChanged", {
  id: Schema.String
}) {
  override get message() {
    return `The migration ${this.id} was applied with another text. Restore it, and put the change into a new migration.`
  }
}

/** The local database belongs to another user or application. */
export class DatabaseOfOther extends Schema.TaggedError<DatabaseOfOther>()("DatabaseOfOther", {
  owner: Schema.String,
  requested: Schema.String
}) {
  override get message() {
    return `This local database belongs to ${this.owner}, not to ${this.requested}. Open it under another name.`
  }
}

/** No rejected record has this id. */
export class RecordNotFound extends Schema.TaggedError<RecordNotFound>()("RecordNotFound", {
  id: Schema.String
}) {
  override get message() {
    return `No rejected record has the id ${this.id}; it may have been retried or dismissed.`
  }
}

/** The tables cannot be shown as of this record: the database no longer knows what it did. */
export class NotInJournal extends Schema.TaggedError<NotInJournal>()("NotInJournal", {
  id: Schema.String
}) {
  override get message() {
    return `What the record ${this.id} did is not kept any more: it was judged, and nothing before it is pending. One can step back to the records that are pending, to confirmed ones after them, and to the common ancestor before them.`
  }
}

/** Rows that came do not fit the local tables, by type or constraint. Nothing was changed, and pending records are kept. */
export class RowsInvalid extends Schema.TaggedError<RowsInvalid>()("RowsInvalid", {
  reason: Schema.String
}) {
  override get message() {
    return `Rows from the server do not fit the tables of this database: ${this.reason}. Nothing was changed, pending records are kept, and the rows are asked for again. If it stays so, the server has other tables than this application: update the older of the two.`
  }
}

/** Executing the action twice from the same state gave different patches. */
export class Impure extends Schema.TaggedError<Impure>()("Impure", {
  action: Schema.String,
  difference: Schema.String
}) {
  override get message() {
    return `The action ${this.action} is not deterministic:\n${this.difference}\nTake times, ids and random numbers from ctx or SQL, and add ORDER BY where the order of rows matters.`
  }
}

/** An execution that was asked for again had happened before, and what it gave is nothing that JSON holds. */
export class AnswerLost extends Schema.TaggedError<AnswerLost>()("AnswerLost", {
  id: Schema.String
}) {
  override get message() {
    return `The operation was executed as the record ${this.id}, and the tab that executed it was closed before it could say what it gave. Nothing is lost but this answer: read from the tables what it did.`
  }
}

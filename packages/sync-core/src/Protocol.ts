/**
 * The wire protocol, version 2. One round trip, `POST /v1/sync`, pushes pending records and pulls changes. More rows than
 * fit into one answer come in chunks: each says where it ended, and the next request goes on from there.
 *
 * | request       |                                                                                          |
 * |---------------|------------------------------------------------------------------------------------------|
 * | `protocol`    | 2; another number is answered with `SchemaMismatch`                                      |
 * | `app`, `schema` | name of the application and its schema hash                                            |
 * | `clientId`    | the local database; belongs to the first user who used it                                |
 * | `clientTimeMs`| wall clock of the client when it sent the request                                        |
 * | `seq`         | last commit applied, if any; this client's records voided after it come back in `notices` |
 * | `cursors`     | last `seq` applied, by audience; an audience that is missing is loaded from the start    |
 * | `position`    | where the last chunk ended in an audience, if there was one: `next` of its answer        |
 * | `records`     | pending records, oldest first, at most `recordsMax`                                      |
 * | `after`       | HLC; canonical records after it come back in `later`, because the client may cross them  |
 *
 * | response      |                                                                                          |
 * |---------------|------------------------------------------------------------------------------------------|
 * | `seq`         | the commit at which everything below was read; the new cursor of every held audience     |
 * | `serverTimeMs`| wall clock of the server                                                                 |
 * | `audiences`   | those the user holds now; rows of any other audience must go                             |
 * | `verdicts`    | one for each record sent, in the order sent                                              |
 * | `notices`     | this client's earlier records that were voided since `seq` of the request                |
 * | `tables`      | net row changes since the cursors: images of rows, and keys of those that are gone       |
 * | `next`        | where this chunk ended; null when all rows have come. Until then, `verdicts`, `notices`  |
 * |               | and `later` are empty, and only audiences before `next.audience` have reached `seq`      |
 * | `rowsTotal`   | how many rows all chunks will bring, more or less; in the first chunk only               |
 * | `later`       | canonical records with an HLC after `after`, in order, as far as the user may see them   |
 * | `clock`       | the latest milliseconds and counter in the canonical order; the client's clock passes it |
 *
 * For a user of many audiences their names would be most of every message, so {@link WireRequest} and {@link WireResponse},
 * which is what travels, may leave them out (see `Audiences`).
 *
 * An image maps column names to Postgres text forms, so every type survives JSON. Errors are in {@link SyncError}.
 */
import { Schema } from "effect"
import { Hlc } from "./Hlc.ts"
import { ActionName, ActionVersion, Audience, ClientId, RecordId, RowKey, Seq, TableName } from "./Ids.ts"

export const protocolVersion = 2

/** Limits of a request; the server refuses what is larger, and the client never sends it. */
export const limits = {
  /** Records in one request. */
  recordsMax: 1000,
  /** Bytes of one record's args as JSON. */
  argsBytesMax: 256 * 1024,
  /** Bytes of a request's body. */
  bodyBytesMax: 8 * 1024 * 1024,
  /** Audiences whose names every message has; those of a user who holds more are left out when both sides know them. */
  namedAudiencesMax: 100
} as const

/** Bytes of a text on the wire. */
export const jsonBytes = (json: string): number => new TextEncoder().encode(json).length

/** Whether Postgres can hold every string in a text that `JSON.stringify` wrote: none has NUL or a lone surrogate. */
export const isStorable = (json: string): boolean =>
  // Only these are escaped so, after an even number of backslashes.
  !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(json)

/** A row by column: Postgres text forms, `null` for SQL NULL. Generated columns are left out. */
export const Image = Schema.Record({ key: Schema.String, value: Schema.NullOr(Schema.String) })
export type Image = typeof Image.Type

/** One row's change by one record. `before` is null for an insert, `after` for a delete. */
export const Patch = Schema.Struct({
  table: TableName,
  key: RowKey,
  before: Schema.NullOr(Image),
  after: Schema.NullOr(Image)
})
export type Patch = typeof Patch.Type

export const PendingRecord = Schema.Struct({
  id: RecordId,
  name: ActionName,
  version: ActionVersion,
  args: Schema.Unknown,
  hlc: Hlc,
  /** Digest of the client's own patches; null when the record had no effect there. */
  digest: Schema.NullOr(Schema.String.pipe(Schema.pattern(/^[0-9a-f]{32}$/)))
})
export type PendingRecord = typeof PendingRecord.Type

const isAudience = Schema.is(Audience)
const isSeq = Schema.is(Seq)

// Not Schema.Record, which loses the key `__proto__`: an audience may be called so.
const Cursors = Schema.declare(
  (value: unknown): value is Readonly<Record<Audience, Seq>> =>
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(([audience, seq]) => isAudience(audience) && isSeq(seq)),
  {
    title: "a seq for each audience",
    jsonSchema: { type: "object", additionalProperties: { type: "integer", minimum: 0 } }
  }
)

/**
 * A place in the order of changed rows: by audience, and in each by commit, table and key, all in the order of their
 * bytes.
 */
export const Position = Schema.Struct({
  audience: Audience,
  seq: Seq,
  table: TableName,
  key: RowKey,
  /** The commit at which the first chunk of this audience was read: what is gone since then has to be told. */
  began: Seq
})
export type Position = typeof Position.Type

export const SyncRequest = Schema.Struct({
  protocol: Schema.Int,
  app: Schema.String,
  schema: Schema.String,
  clientId: ClientId,
  clientTimeMs: Schema.Number,
  seq: Schema.optional(Seq),
  cursors: Cursors,
  position: Schema.optional(Position),
  records: Schema.Array(PendingRecord).pipe(Schema.maxItems(limits.recordsMax)),
  after: Schema.NullOr(Hlc)
})
export type SyncRequest = typeof SyncRequest.Type

/** Of a set of audiences, see `Audiences.digestOf`. */
export const AudiencesDigest = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))

/** A request as it travels. */
export const WireRequest = Schema.Struct({
  ...SyncRequest.fields,
  /** null: all audiences that the user holds are at `seq`. Answered with {@link AudiencesChanged} unless they are those of `held`. */
  cursors: Schema.NullOr(Cursors),
  /** The audiences that the client believes its user to hold; when that is so, the answer leaves them out. */
  held: Schema.optional(AudiencesDigest)
})
export type WireRequest = typeof WireRequest.Type

/**
 * Why the authority refused or voided a record.
 *
 * | class            | meaning                                                          | what the application can do    |
 * |------------------|------------------------------------------------------------------|--------------------------------|
 * | `denied`         | row-level security or a missing grant                            | tell the user; dismiss         |
 * | `invalid`        | args fail the action's schema, or a value fails its type         | fix the caller; dismiss        |
 * | `constraint`     | a constraint of the database                                     | let the user correct and retry |
 * | `failed`         | the action refused by its own rule                               | let the user correct and retry |
 * | `unknown_action` | the server does not know this action or version                  | retry after the server's update|
 * | `reused_id`      | the id was used before with other content                        | dismiss                        |
 * | `conflict`       | it would have undone a write made directly on the server         | retry                          |
 * | `defect`         | the action's code crashed                                        | fix the action; retry          |
 */
export const RejectionClass = Schema.Literal(
  "denied",
  "invalid",
  "constraint",
  "failed",
  "unknown_action",
  "reused_id",
  "conflict",
  "defect"
)
export type RejectionClass = typeof RejectionClass.Type

export const Rejection = Schema.Struct({
  class: RejectionClass,
  message: Schema.String,
  /** The action's own error, when it has one that encodes to JSON. */
  detail: Schema.optional(Schema.Unknown)
})
export type Rejection = typeof Rejection.Type

/** The authority's answer to one record. `hlc` is its place in the canonical order. */
export const Verdict = Schema.Union(
  Schema.Struct({ id: RecordId, outcome: Schema.Literal("applied", "changed"), hlc: Hlc }),
  Schema.Struct({ id: RecordId, outcome: Schema.Literal("rejected", "voided"), error: Rejection })
)
export type Verdict = typeof Verdict.Type

/** A record of this client that was confirmed and has now been voided by a late arrival. */
export const Notice = Schema.Struct({
  id: RecordId,
  name: Schema.String,
  version: Schema.Int,
  args: Schema.Unknown,
  hlc: Hlc,
  error: Rejection
})
export type Notice = typeof Notice.Type

export const LaterRecord = Schema.Struct({
  id: RecordId,
  hlc: Hlc,
  userId: Schema.String,
  name: Schema.String,
  version: Schema.Int,
  /** Present only when the user may see every patch of the record: then its code can be replayed. */
  args: Schema.optional(Schema.Unknown),
  patches: Schema.Array(Patch)
})
export type LaterRecord = typeof LaterRecord.Type

/**
 * What an answer says about one table. `rows` is the JSON text of an array of {@link Image}s as the authority's Postgres
 * has made it. Only the client's Postgres reads it, and checks it with that; nobody parses it on the way.
 */
export const TableRows = Schema.Struct({
  table: TableName,
  rows: Schema.String,
  /** How many images are in `rows`. */
  count: Schema.NonNegativeInt,
  /** Rows that the client may have, and that its user does not see any more. */
  gone: Schema.Array(RowKey)
})
export type TableRows = typeof TableRows.Type

/** How many rows an answer says something about. */
export const countRows = (tables: ReadonlyArray<TableRows>): number =>
  tables.reduce((sum, { count, gone }) => sum + count + gone.length, 0)

export const SyncResponse = Schema.Struct({
  protocol: Schema.Literal(protocolVersion),
  seq: Seq,
  serverTimeMs: Schema.Number,
  audiences: Schema.Array(Audience),
  verdicts: Schema.Array(Verdict),
  notices: Schema.Array(Notice),
  tables: Schema.Array(TableRows),
  next: Schema.NullOr(Position),
  rowsTotal: Schema.optional(Schema.NonNegativeInt),
  later: Schema.Array(LaterRecord),
  clock: Schema.Struct({ ms: Schema.Int, counter: Schema.Int })
})
export type SyncResponse = typeof SyncResponse.Type

/** An answer as it travels. */
export const WireResponse = Schema.Struct({
  ...SyncResponse.fields,
  /** null: those of `held`. */
  audiences: Schema.NullOr(Schema.Array(Audience)),
  /** The audiences that were left out. */
  held: Schema.optional(AudiencesDigest)
})
export type WireResponse = typeof WireResponse.Type

/** The body is not a request, or exceeds a limit (400, 413). Final for this request: the client has a defect. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  message: Schema.String
}) {}

/** The token is missing, expired or forged (401). Get a new token; nothing is lost. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  message: Schema.String
}) {}

/** The client id belongs to another user (403). Open a database of this user's own. */
export class ClientMismatch extends Schema.TaggedError<ClientMismatch>()("ClientMismatch", {
  message: Schema.String
}) {}

/** Client and server do not speak the same protocol, application or schema (409). Update the older one. */
export class SchemaMismatch extends Schema.TaggedError<SchemaMismatch>()("SchemaMismatch", {
  message: Schema.String,
  expected: Schema.String,
  actual: Schema.String
}) {}

/** A record's stamp is ahead of the server's clock (409). The client stamps its pending records again. */
export class ClockDrift extends Schema.TaggedError<ClockDrift>()("ClockDrift", {
  message: Schema.String,
  serverTimeMs: Schema.Number
}) {}

/**
 * The client was away for longer than it is known which rows are gone, or has applied commits that the server does not
 * have, as after a backup was restored (409). It forgets its cursors, keeps its pending records, and asks again for all rows.
 */
export class CursorTooOld extends Schema.TaggedError<CursorTooOld>()("CursorTooOld", {
  message: Schema.String
}) {}

/**
 * The request leaves its cursors out, and the user holds other audiences than it says (409). The transport sends it again
 * with cursors; records in it were judged, and their verdicts come then.
 */
export class AudiencesChanged extends Schema.TaggedError<AudiencesChanged>()("AudiencesChanged", {
  message: Schema.String
}) {}

/** The server cannot answer now (503): overload, restart, lost database. Send the same request later. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  message: Schema.String,
  retryAfterMs: Schema.optional(Schema.Number)
}) {}

export const SyncError = Schema.Union(
  InvalidRequest,
  Unauthorized,
  ClientMismatch,
  SchemaMismatch,
  ClockDrift,
  CursorTooOld,
  AudiencesChanged,
  Unavailable
)
export type SyncError = typeof SyncError.Type

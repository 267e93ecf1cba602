/** Branded identifiers. A brand costs nothing at run time and keeps a cursor from being passed as a version. */
import { Context, Effect, Schema } from "effect"

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Identifies one action record everywhere and for ever; a lower-case UUID made by the client. */
export const RecordId = Schema.String.pipe(Schema.pattern(uuidPattern), Schema.brand("RecordId"))
export type RecordId = typeof RecordId.Type

/** Identifies one local database; a lower-case UUID, also the node part of the client's HLCs. */
export const ClientId = Schema.String.pipe(Schema.pattern(uuidPattern), Schema.brand("ClientId"))
export type ClientId = typeof ClientId.Type

/** Number of a commit of the authority: gap-free, starts at 1; 0 is "before everything". */
export const Seq = Schema.Int.pipe(Schema.nonNegative(), Schema.brand("Seq"))
export type Seq = typeof Seq.Type

/** A visibility label of rows, such as `list:42`; a user holds a set of them. */
export const Audience = Schema.String.pipe(Schema.brand("Audience"))
export type Audience = typeof Audience.Type

/** Schema-qualified name of a synced table, such as `public.todos`. */
export const TableName = Schema.String.pipe(Schema.maxLength(256), Schema.brand("TableName"))
export type TableName = typeof TableName.Type

/** A row's primary key: a JSON array of the key columns' Postgres text forms, in key order. */
export const RowKey = Schema.String.pipe(Schema.brand("RowKey"))
export type RowKey = typeof RowKey.Type

/** Name of an action: 1 to 200 characters, without control characters and lone surrogates, which Postgres cannot all hold. */
export const ActionName = Schema.String.pipe(Schema.pattern(/^[^\p{Cc}\p{Cs}]{1,200}$/u))

/** Version of an action; Postgres' `integer` holds it. */
export const ActionVersion = Schema.Int.pipe(Schema.between(1, 2 ** 31 - 1))

/** Where new UUIDs come from: the platform's generator, unless a simulation provides its own. */
export class Uuids extends Context.Reference<Uuids>()("@synchrotron/sync-core/Uuids", {
  defaultValue: (): { readonly next: Effect.Effect<string> } => ({
    next: Effect.sync(() => crypto.randomUUID())
  })
}) {}

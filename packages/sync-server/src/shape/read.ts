/**
 * Reads what comes after an offset, in one snapshot and as the principal: audiences route, policies decide, exactly as in
 * a pull. Rows come in the order of the log, a bounded number at a time.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import type { Audience, Principal, Protocol, RowKey, Seq, SyncApp } from "@synchrotron/sync-core"
import { Effect } from "effect"
import { asPrincipal, audiencesIn, audiencesSql } from "../authority/principal.ts"
import { placeSql } from "../authority/schema.ts"
import type { Setup } from "../authority/setup.ts"
import { digestOf, type Handle, messageKey, type Place, type ShapeRequest } from "./protocol.ts"
import type { ShapeTable } from "./tables.ts"

export interface Limits {
  /** Rows that one answer looks at; some more when several share a place. */
  readonly chunkRows: number
  /** Characters of messages after which an answer ends. */
  readonly chunkChars: number
}

/** What came after the offset, as far as one answer goes. */
export interface Chunk {
  readonly _tag: "Chunk"
  /** Digest of the shape, and the commit at which its rows were first read. */
  readonly digest: string
  readonly since: Seq
  /** Each a JSON text. */
  readonly messages: ReadonlyArray<string>
  readonly next: Place
  readonly upToDate: boolean
  /** The commit of the snapshot. */
  readonly seq: Seq
  readonly audiences: ReadonlyArray<Audience>
}

/** The handle is of another shape, or of another database: begin anew. */
export interface Refetch {
  readonly _tag: "Refetch"
  readonly digest: string
  readonly since: Seq
}

export interface Reader {
  readonly sql: SqlClient.SqlClient
  readonly setup: Setup
  readonly app: SyncApp.SyncApp
  readonly limits: Limits
}

/** What to read, of a {@link ShapeRequest} whose table and columns are known. */
export interface Wanted {
  readonly principal: Principal
  readonly table: ShapeTable
  readonly columns: ShapeRequest["columns"]
  readonly offset: ShapeRequest["offset"]
  readonly handle: Handle | null
}

export const read = (reader: Reader, wanted: Wanted): Effect.Effect<Chunk | Refetch, SqlError.SqlError> => {
  const { app, setup, sql } = reader
  const { offset, principal, table } = wanted
  return sql.withTransaction(
    Effect.gen(function* () {
      const results = (yield* sql.unsafe(
        `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;${setup.prepare}
         SELECT seq, tombstone_seq FROM synchrotron.realm;
         ${asPrincipal(setup, principal)};
         ${audiencesSql(app)};
         SET LOCAL ROLE NONE`
      )) as unknown as ReadonlyArray<ReadonlyArray<Record<string, unknown>>>
      const realm = results.at(-5)![0] as { readonly seq: Seq; readonly tombstone_seq: number }
      const { seq } = realm
      const audiences = audiencesIn(results.at(-2)!)
      const digest = digestOf({
        table: table.name,
        columns: wanted.columns,
        userId: principal.userId,
        schemaHash: app.schemaHash,
        audiences
      })
      const end: Place = { seq, place: "0" }
      if (offset === "now")
        return {
          _tag: "Chunk",
          digest,
          since: seq,
          messages: [],
          next: end,
          upToDate: true,
          seq,
          audiences
        } as const
      if (offset !== "start" && (wanted.handle?.digest !== digest || offset.seq > seq))
        return { _tag: "Refetch", digest, since: seq } as const
      const since = offset === "start" ? seq : wanted.handle!.since
      // Compaction has forgotten which rows are gone since then.
      if (offset !== "start" && Math.max(offset.seq, since) < realm.tombstone_seq)
        return { _tag: "Refetch", digest, since: seq } as const
      const changed = yield* changedAfter(reader, wanted, { audiences, since })
      const images = yield* imagesOf(reader, wanted, { audiences, keys: changed.map((row) => row.key) })
      const { messages, rows } = write(wanted, { changed, images, since, charsMax: reader.limits.chunkChars })
      const upToDate = rows === changed.length && changed.length < reader.limits.chunkRows
      return {
        _tag: "Chunk",
        digest,
        since,
        messages,
        next: upToDate ? end : { seq: changed[rows - 1]!.seq, place: changed[rows - 1]!.place },
        upToDate,
        seq,
        audiences
      } as const
    })
  )
}

interface Changed {
  readonly key: RowKey
  readonly seq: Seq
  readonly place: string
}

/** The next keys in the order of the log, each once or twice. Tombstones only of rows that the client may have had. */
const changedAfter = (
  { limits, sql }: Reader,
  { offset, table }: Wanted,
  { audiences, since }: { readonly audiences: ReadonlyArray<Audience>; readonly since: Seq }
) => {
  const after = offset === "start" || offset === "now" ? { seq: 0, place: "0" } : offset
  return sql.unsafe<Changed>(changedSql(limits.chunkRows), [
    audiences,
    table.name,
    after.seq,
    // The end of a commit is after all places in it.
    after.place === "0" ? "9223372036854775807" : after.place,
    since
  ])
}

const changedSql = (rows: number): string => `
SELECT v.key, v.seq, v.place::text AS place FROM unnest($1::text[]) AS a(audience), LATERAL (
  SELECT r.key, r.seq, ${placeSql("r.key")} AS place FROM synchrotron.row_versions AS r
  WHERE r.audience = a.audience AND r.tbl = $2 AND (r.seq, ${placeSql("r.key")}) > ($3::bigint, $4::bigint) AND (NOT r.gone OR r.seq > $5)
  ORDER BY r.seq, ${placeSql("r.key")} FETCH FIRST ${rows} ROWS WITH TIES
) AS v ORDER BY v.seq, v.place FETCH FIRST ${rows} ROWS WITH TIES`

/** The rows of these keys that the principal may see, read as the principal. */
const imagesOf = (
  { setup, sql }: Reader,
  { principal, table }: Wanted,
  { audiences, keys }: { readonly audiences: ReadonlyArray<Audience>; readonly keys: ReadonlyArray<RowKey> }
) =>
  Effect.gen(function* () {
    if (keys.length === 0) return new Map<RowKey, Protocol.Image>()
    yield* sql.unsafe(asPrincipal(setup, principal))
    const rows = yield* sql.unsafe<{ key: RowKey; image: Protocol.Image }>(
      setup.tables.get(table.name)!.readSql,
      [[...new Set(keys)], audiences]
    )
    return new Map(rows.map((row) => [row.key, row.image]))
  })

/** Messages of as many rows as fit, and how many that are. Rows that share a place stay together. */
const write = (
  { columns, table }: Wanted,
  {
    changed,
    charsMax,
    images,
    since
  }: {
    readonly changed: ReadonlyArray<Changed>
    readonly images: ReadonlyMap<RowKey, Protocol.Image>
    readonly since: Seq
    readonly charsMax: number
  }
) => {
  const messages: Array<string> = []
  const done = new Set<RowKey>()
  let chars = 0
  let rows = 0
  for (const { key, place, seq } of changed) {
    const before = changed[rows - 1]
    if (chars >= charsMax && before !== undefined && (before.seq !== seq || before.place !== place)) break
    rows++
    if (done.has(key)) continue
    const image = images.get(key)
    // What is hidden or gone matters to who may have had it.
    if (image === undefined && seq <= since) continue
    done.add(key)
    const parts = JSON.parse(key) as ReadonlyArray<string>
    const ofKey = Object.fromEntries(table.keyColumns.map((column, i) => [column, parts[i]!]))
    const message = JSON.stringify({
      key: messageKey(table.relation, parts),
      value: image === undefined ? ofKey : { ...ofKey, ...pick(image, columns) },
      headers: {
        operation: image === undefined ? "delete" : "insert",
        relation: table.relation,
        lsn: String(seq)
      }
    })
    chars += message.length
    messages.push(message)
  }
  return { messages, rows }
}

const pick = (image: Protocol.Image, columns: ReadonlyArray<string> | null): Protocol.Image =>
  columns === null ? image : Object.fromEntries(columns.map((column) => [column, image[column] ?? null]))

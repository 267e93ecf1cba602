/**
 * `GET /v1/shape`: one synced table as its user sees it, over Electric's HTTP shape protocol.
 *
 * | parameter                        |                                                                              |
 * |----------------------------------|------------------------------------------------------------------------------|
 * | `table`                          | `todos`, or `app.todos` outside of the schema `public`                       |
 * | `columns`                        | names separated by commas, quoted if needed, the key's among them; all unless given |
 * | `offset`                         | `-1`: all rows; `now`: only what comes; `<seq>_<place>`: what came after     |
 * | `handle`                         | from an earlier answer; goes with every offset but the first two             |
 * | `live`                           | `true`: wait for something new                                               |
 * | `live_sse`                       | `true`: a stream of events instead of one answer; `experimental_live_sse` is the same |
 * | `cursor`                         | `electric-cursor` of the last answer                                         |
 * | `log`                            | `changes_only`: `offset=-1` means `now`                                      |
 * | `replica`                        | any; every row is sent whole                                                 |
 * | `where`, `params`, `subset__*`   | refused: policies choose the rows                                            |
 *
 * | header of a 200           |                                                                                     |
 * |---------------------------|-------------------------------------------------------------------------------------|
 * | `electric-handle`         | `<digest>-<seq>-<nonce>`: the digest of table, columns, user, schema and audiences; the commit at which the rows were first read; what makes it new |
 * | `electric-offset`         | where the next request goes on                                                      |
 * | `electric-up-to-date`     | present when nothing is left                                                        |
 * | `electric-schema`         | types by column                                                                     |
 * | `electric-cursor`         | when live: a number that grows from answer to answer                                |
 *
 * | message                                                        |                                                   |
 * |----------------------------------------------------------------|---------------------------------------------------|
 * | `{key, value, headers: {operation: "insert", relation, lsn}}`  | the row is so now, whether it was there or not    |
 * | `{key, value, headers: {operation: "delete", relation, lsn}}`  | the row is gone, if it was there; `value` has its key |
 * | `{headers: {control: "up-to-date", global_last_seen_lsn}}`     | the rows so far are those of one commit           |
 * | `{headers: {control: "must-refetch"}}`                         | body of a 409, whose `electric-handle` is new     |
 *
 * The table `synchrotron.feed` is none of the application's: it has what tells this project's own clients of commits (see
 * sync-core's `Live`). It takes two parameters more, `client` and `schema`.
 *
 * An offset is a place in `row_versions`: a commit, and in it the place of the last row that was sent, or 0 for all of it.
 * A row that changed is always an `insert`: what the server cannot know is whether policies showed it to the user before,
 * and Electric's clients take an insert of a row that they have for an update, but drop an update of one that they do not
 * have.
 */
import { createHash } from "node:crypto"
import { type Audience, Protocol, Seq } from "@synchrotron/sync-core"
import { Effect, ParseResult, Schema } from "effect"

/** Where in the log a client is. `place` 0 is the end of the commit; else a hash that JavaScript's numbers cannot hold. */
export interface Place {
  readonly seq: Seq
  readonly place: string
}

export type Offset = "start" | "now" | Place

export interface ShapeRequest {
  readonly table: string
  readonly columns: ReadonlyArray<string> | null
  /** Of the feed alone: the client's id, and the hash of its schema. */
  readonly client: string | null
  readonly schema: string | null
  readonly offset: Offset
  readonly handle: Handle | null
  readonly live: "no" | "poll" | "stream"
  readonly cursor: number
}

export interface Handle {
  readonly digest: string
  /** Tombstones up to this commit are of rows that the client never had. */
  readonly since: Seq
  readonly text: string
}

export const schemaHeader = "electric-schema"
/** What a browser's JavaScript may read of an answer from another origin. */
export const exposedHeaders: ReadonlyArray<string> = [
  "electric-handle",
  "electric-offset",
  "electric-up-to-date",
  schemaHeader,
  "electric-cursor"
]

const Flag = Schema.optional(Schema.Literal("true", "false", ""))
const Parameters = Schema.Struct({
  table: Schema.NonEmptyString,
  columns: Schema.optional(Schema.NonEmptyString),
  client: Schema.optional(Schema.String),
  schema: Schema.optional(Schema.String),
  offset: Schema.String.pipe(Schema.pattern(/^(-1|now|\d{1,16}_\d{1,19})$/)),
  handle: Schema.optional(Schema.String),
  live: Flag,
  live_sse: Flag,
  experimental_live_sse: Flag,
  cursor: Schema.optional(Schema.String),
  log: Schema.optional(Schema.Literal("full", "changes_only"))
})
const decodeParameters = Schema.decodeUnknown(Parameters)

/** Reads the query of a request. What Electric has and this server has not is refused; anything else is let be. */
export const parse = (search: URLSearchParams): Effect.Effect<ShapeRequest, Protocol.InvalidRequest> =>
  Effect.gen(function* () {
    for (const name of search.keys()) {
      const advice = unsupported.find(({ pattern }) => pattern.test(name))?.advice
      if (advice !== undefined) return yield* invalid(`${name.slice(0, 60)} is not supported: ${advice}`)
    }
    const parameters = yield* Effect.mapError(decodeParameters(Object.fromEntries(search)), (error) => {
      const { path, message } = ParseResult.ArrayFormatter.formatErrorSync(error)[0]!
      return invalid(`${path.join(".")}: ${message.slice(0, 200)}`)
    })
    const { log, offset: given } = parameters
    const offset = given === "now" || (given === "-1" && log === "changes_only") ? "now" : parseOffset(given)
    if (offset === null) return yield* invalid(`offset: ${given} is beyond all numbers of commits.`)
    const live = parameters.live === "true"
    if (typeof offset === "string" && live)
      return yield* invalid("live: begin with offset=-1, then go on from the answer's electric-offset.")
    if (typeof offset === "object" && parameters.handle === undefined)
      return yield* invalid("handle: send the electric-handle that came with the offset.")
    const sse = parameters.live_sse === "true" || parameters.experimental_live_sse === "true"
    return {
      table: parameters.table.replaceAll('"', ""),
      client: parameters.client ?? null,
      schema: parameters.schema ?? null,
      columns: parameters.columns === undefined ? null : parseColumns(parameters.columns),
      offset,
      handle: parameters.handle === undefined ? null : parseHandle(parameters.handle),
      live: live ? (sse ? "stream" : "poll") : "no",
      cursor: Number(/^\d{1,15}$/.exec(parameters.cursor ?? "")?.[0] ?? 0)
    } satisfies ShapeRequest
  })

export const invalid = (message: string) => new Protocol.InvalidRequest({ message })

const unsupported = [
  {
    pattern: /^(where|params(\[.*)?)$/,
    advice:
      "row-level security and the user's audiences choose the rows. Leave it out, and filter on the client, or narrow the table's policy."
  },
  {
    pattern: /^subset__/,
    advice:
      "a shape is loaded as a whole. Leave it out; with TanStack DB, use syncMode 'eager' (the default) for this collection."
  }
]

const isSeq = Schema.is(Seq)

const parseOffset = (text: string): Offset | null => {
  if (text === "-1") return "start"
  const [seq, place] = text.split("_") as [string, string]
  const number = Number(seq)
  return isSeq(number) && BigInt(place) < 1n << 63n ? { seq: number, place: BigInt(place).toString() } : null
}

/** Names between commas; in quotes, two quotes are one. */
const parseColumns = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/"((?:[^"]|"")*)"|([^,"\s]+)/g)].map(
    ([, quoted, plain]) => plain ?? quoted!.replaceAll('""', '"')
  )

/** The parts of a handle; null when no server made it. */
const parseHandle = (text: string): Handle | null => {
  const [, digest, since] = /^([0-9a-f]{32})-(\d{1,16})-[0-9a-f]+$/.exec(text) ?? []
  const number = Number(since)
  return digest !== undefined && isSeq(number) ? { digest, since: number, text } : null
}

export const formatOffset = ({ place, seq }: Place): string => `${seq}_${place}`

/** A key as Electric writes it: `"public"."todos"/"1"`. */
export const messageKey = (relation: readonly [string, string], key: ReadonlyArray<string>): string =>
  `"${relation[0]}"."${relation[1]}"/${key.map((value) => `"${value.replaceAll("/", "//")}"`).join("/")}`

export const upToDate = (seq: Seq): string =>
  JSON.stringify({ headers: { control: "up-to-date", global_last_seen_lsn: String(seq) } })

export const mustRefetchMessage = JSON.stringify({ headers: { control: "must-refetch" } })

export const mustRefetch = `[${mustRefetchMessage}]`

/** What makes a shape what it is. Nothing of the token but its user is in it. */
export interface Identity {
  readonly table: string
  readonly columns: ReadonlyArray<string> | null
  readonly userId: string
  readonly schemaHash: string
  readonly audiences: ReadonlyArray<Audience>
}

export const digestOf = ({ audiences, columns, schemaHash, table, userId }: Identity): string =>
  createHash("sha256")
    .update(JSON.stringify([table, columns, userId, schemaHash, [...audiences].sort()]))
    .digest("hex")
    .slice(0, 32)

/**
 * Reads what many clients are to be told, in a few round trips for all of them together and in one snapshot. As in a pull,
 * audiences route and policies decide: the rows of each user are read as that user (I6).
 *
 *     1  the commit of the snapshot · who owns the clients
 *     2  audiences of the users of whom none are known
 *     3  keys that changed in these audiences · what was voided: with 1, when all are known
 *     4  as each of the users: audiences now · rows of these keys
 */
import type { SqlClient, SqlError } from "@effect/sql"
import {
  type Audience,
  Audiences,
  type ClientId,
  literal,
  type Principal,
  Protocol,
  type RowKey,
  type Seq,
  type TableName
} from "@synchrotron/sync-core"
import { Clock, Effect } from "effect"
import type { ChunkLimits } from "../authority/pull.ts"
import type { Setup } from "../authority/setup.ts"

export interface Reader {
  readonly sql: SqlClient.SqlClient
  readonly setup: Setup
  /** Of what is more, a client only hears that there is some. */
  readonly chunk: ChunkLimits
  /** Of more audiences a message has a digest; `Protocol.limits.namedAudiencesMax` unless given. */
  readonly namedAudiencesMax?: number
}

export interface Question {
  readonly principal: Principal
  readonly client: ClientId
  /** The commit from which the answer goes on; null: from now on. */
  readonly from: Seq | null
  /** What the principal held at `from`; null when nobody remembers. */
  readonly audiences: ReadonlyArray<Audience> | null
}

export interface Answer {
  /** The commit of the snapshot, and what the principal holds then. */
  readonly seq: Seq
  readonly audiences: ReadonlyArray<Audience>
  /** `lost`: which rows are gone since `from` is not known any more. `stranger`: the client is another user's. */
  readonly outcome: "nothing" | "told" | "too much" | "lost" | "stranger"
  /** JSON text of the `Protocol.WireResponse`, when it is told. */
  readonly text: string | null
}

interface Realm {
  readonly seq: Seq
  readonly ms: number
  readonly counter: number
  readonly tombstone_seq: number
}

interface Change {
  readonly audience: Audience
  readonly seq: Seq
  readonly tbl: TableName
  readonly key: RowKey
}

interface Voided {
  readonly client_id: ClientId
  readonly seq: Seq
  readonly id: string
  readonly name: string
  readonly version: number
  readonly args: string
  readonly hlc: string
  readonly error: string
}

type Rows = ReadonlyArray<Record<string, unknown>>

/** The answers, in the order of the questions. */
export const readAll = (
  reader: Reader,
  questions: ReadonlyArray<Question>
): Effect.Effect<ReadonlyArray<Answer>, SqlError.SqlError> => {
  const { chunk, namedAudiencesMax = Protocol.limits.namedAudiencesMax, setup, sql } = reader
  /** Statements in one round trip, with a result for each; of a first that is several, that of the last. */
  const run = (statements: ReadonlyArray<string>) =>
    Effect.map(sql.unsafe([...statements, "SELECT 1"].join(";")), (results) =>
      (results as unknown as ReadonlyArray<Rows>).slice(-1 - statements.length, -1)
    )
  return sql.withTransaction(
    Effect.gen(function* () {
      const unknown = distinct(
        questions.filter(({ audiences }) => audiences === null).map(({ principal }) => principal)
      )
      const first = yield* run([
        `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;${setup.prepare}SELECT seq, clock_ms AS ms, clock_counter AS counter, tombstone_seq FROM synchrotron.realm`,
        `SELECT client_id, user_id FROM synchrotron.clients WHERE client_id = ANY (${array(questions.map(({ client }) => client))}::uuid[])`,
        // When all audiences are known, what changed in them comes along.
        ...(unknown.size === 0 ? changedSql(questions as ReadonlyArray<Asked>, chunk) : [])
      ])
      const realm = first[0]![0] as unknown as Realm
      const owners = new Map(first[1]!.map((row) => [row.client_id, row.user_id]))
      const held = yield* readFor(
        sql,
        [...unknown.values()].map((principal) => ({ principal, held: [], keys: null }))
      )
      const known = new Map([...unknown.keys()].map((key, i) => [key, held[i]!.audiences]))
      const asked = questions.map((question) => ({
        ...question,
        user: keyOf(question.principal),
        audiences: question.audiences ?? known.get(keyOf(question.principal))!
      }))
      const since = (question: Question) => Math.min(question.from ?? realm.seq, realm.seq) as Seq
      const [changes, voided] = (unknown.size === 0
        ? first.slice(-2)
        : yield* run(changedSql(asked, chunk))) as unknown as readonly [
        ReadonlyArray<Change>,
        ReadonlyArray<Voided>
      ]
      const changesByAudience = new Map<Audience, Array<Change>>()
      for (const change of changes) {
        const known = changesByAudience.get(change.audience)
        if (known === undefined) changesByAudience.set(change.audience, [change])
        else known.push(change)
      }

      /** Keys by table; null when there are too many. */
      const keysOf = (
        held: ReadonlyArray<Audience>,
        from: Seq
      ): ReadonlyMap<TableName, Set<RowKey>> | null => {
        const keysByTable = new Map<TableName, Set<RowKey>>()
        let count = 0
        for (const audience of held)
          for (const { key, seq, tbl } of changesByAudience.get(audience) ?? []) {
            if (seq <= from || !setup.tables.has(tbl)) continue
            const keys = keysByTable.get(tbl)
            if (keys === undefined) keysByTable.set(tbl, new Set([key]))
            else keys.add(key)
            if (++count > chunk.rowsMax) return null
          }
        return keysByTable
      }
      // Sessions of one user that are as far share one reading.
      const visits = new Map<string, Visit>()
      const visitOf = (question: (typeof asked)[number]): Visit => {
        const from = since(question)
        const { audiences: held, principal, user } = question
        const name = JSON.stringify([from, user, held])
        const visit = visits.get(name) ?? {
          principal,
          from,
          held,
          keys: keysOf(held, from),
          now: { audiences: held, images: new Map() }
        }
        visits.set(name, visit)
        return visit
      }
      const visited = asked.map(visitOf)
      // Whoever is told of no row may still have lost or gained an audience.
      const toVisit = [...visits.values()].filter(({ from }) => from < realm.seq)
      for (const [i, now] of (yield* readFor(sql, toVisit)).entries()) toVisit[i]!.now = now

      const common = `"protocol":${Protocol.protocolVersion},"seq":${realm.seq},"serverTimeMs":${yield* Clock.currentTimeMillis},"clock":{"ms":${realm.ms},"counter":${realm.counter}},"verdicts":[],"later":[],"next":null`
      return asked.map((question, i): Answer => {
        const visit = visited[i]!
        const { from } = visit
        const at = { seq: realm.seq, audiences: visit.now.audiences }
        const owner = owners.get(question.client)
        if (owner !== undefined && owner !== question.principal.userId)
          return { ...at, outcome: "stranger", text: null }
        if ((question.from ?? 0) > realm.seq || (from > 0 && from < realm.tombstone_seq))
          return { ...at, outcome: "lost", text: null }
        if (visit.keys === null) return { ...at, outcome: "too much", text: null }
        visit.tablesText ??= tablesText(visit, from)
        const notices = voided.filter(
          ({ client_id, seq }) => client_id === question.client && seq > from && from > 0
        )
        if (visit.tablesText.length > chunk.bytesMax) return { ...at, outcome: "too much", text: null }
        if (visit.tablesText === "[]" && notices.length === 0)
          return { ...at, outcome: "nothing", text: null }
        visit.audiencesText ??= audiencesText(at.audiences, namedAudiencesMax)
        const text = `{${common},${visit.audiencesText},"notices":${JSON.stringify(notices.map(noticeOf))},"tables":${visit.tablesText}}`
        return { ...at, outcome: "told", text }
      })
    })
  )
}

/** Whom to read for. */
interface Reading {
  readonly principal: Principal
  /** What the principal held when these changed. */
  readonly held: ReadonlyArray<Audience>
  /** What changed; null when it is too much. */
  readonly keys: ReadonlyMap<TableName, ReadonlySet<RowKey>> | null
}

/** What there is for a principal now. */
interface Present {
  readonly audiences: ReadonlyArray<Audience>
  /** JSON texts of the rows among those that changed. */
  readonly images: ReadonlyMap<TableName, ReadonlyMap<RowKey, string>>
}

interface Visit extends Reading {
  readonly from: Seq
  now: Present
  tablesText?: string
  audiencesText?: string
}

/** What the answer says of the audiences. */
const audiencesText = (names: ReadonlyArray<Audience>, namedMax: number): string =>
  names.length <= namedMax
    ? `"audiences":${JSON.stringify(names)}`
    : `"audiences":null,"held":"${Audiences.digestOf(names)}"`

/** `tables` of the answer. What is hidden or gone matters to who may have had it. */
const tablesText = (visit: Visit, from: Seq): string => {
  const entries = [...(visit.keys ?? [])].flatMap(([table, keys]) => {
    const images: ReadonlyMap<RowKey, string> = visit.now.images.get(table) ?? new Map()
    const gone = from === 0 ? [] : [...keys].filter((key) => !images.has(key))
    if (images.size + gone.length === 0) return []
    const rows = `[${[...images.values()].join(",")}]`
    return [JSON.stringify({ table, rows, count: images.size, gone })]
  })
  return `[${entries.join(",")}]`
}

const noticeOf = ({ args, error, hlc, id, name, version }: Voided) => ({
  id,
  name,
  version,
  args: JSON.parse(args) as unknown,
  hlc,
  error: JSON.parse(error) as unknown
})

const distinct = (principals: ReadonlyArray<Principal>): ReadonlyMap<string, Principal> =>
  new Map(principals.map((principal) => [keyOf(principal), principal]))

const keyOf = ({ claims, userId }: Principal): string => JSON.stringify([userId, claims])

const array = (values: Iterable<string>): string => `ARRAY[${[...values].map(literal).join(",")}]::text[]`

/** One statement for all, whatever they are; see `readForSql`. */
const readFor = (
  sql: SqlClient.SqlClient,
  readings: ReadonlyArray<Reading>
): Effect.Effect<ReadonlyArray<Present>, SqlError.SqlError> =>
  readings.length === 0
    ? Effect.succeed([])
    : Effect.map(
        sql.unsafe<{ place: number; tbl: TableName | null; key: RowKey; image: string }>(
          "SELECT * FROM synchrotron.read_for(NULL, NULL, $1, $2, $3::jsonb)",
          [
            readings.map(({ principal }) => principal.userId),
            readings.map(({ principal }) => JSON.stringify(principal.claims)),
            JSON.stringify(
              readings.map(({ held, keys }) => ({
                held,
                tables: Object.fromEntries([...(keys ?? [])].map(([table, keys]) => [table, [...keys]]))
              }))
            )
          ]
        ),
        (rows) => {
          const found = readings.map(() => ({
            audiences: [] as ReadonlyArray<Audience>,
            images: new Map<TableName, Map<RowKey, string>>()
          }))
          for (const { image, key, place, tbl } of rows) {
            const { images } = found[place]!
            if (tbl === null) found[place]!.audiences = JSON.parse(image) as ReadonlyArray<Audience>
            else if (images.has(tbl)) images.get(tbl)!.set(key, image)
            else images.set(tbl, new Map([[key, image]]))
          }
          return found
        }
      )

interface Asked extends Question {
  readonly audiences: ReadonlyArray<Audience>
}

/**
 * Two statements: the last changes in each audience after the earliest commit from which somebody asks, and what was voided
 * of these clients. Costs O(audiences + rows), by indexes.
 */
const changedSql = (asked: ReadonlyArray<Asked>, { rowsMax }: ChunkLimits): ReadonlyArray<string> => {
  const fromByAudience = new Map<Audience, number>()
  const fromByClient = new Map<ClientId, number>()
  for (const { audiences, client, from } of asked) {
    if (from === null) continue
    fromByClient.set(client, Math.min(from, fromByClient.get(client) ?? from))
    for (const audience of audiences)
      fromByAudience.set(audience, Math.min(from, fromByAudience.get(audience) ?? from))
  }
  const pairs = (seqs: ReadonlyMap<string, number>) =>
    `${array(seqs.keys())}, ARRAY[${[...seqs.values()].join(",")}]::bigint[]`
  return [
    `SELECT a.audience, v.seq, v.tbl, v.key FROM unnest(${pairs(fromByAudience)}) AS a(audience, seq),
     LATERAL (SELECT r.seq, r.tbl, r.key FROM synchrotron.row_versions AS r WHERE r.audience = a.audience AND r.seq > a.seq
       ORDER BY r.seq DESC LIMIT ${rowsMax + 1}) AS v`,
    `SELECT r.client_id::text AS client_id, r.seq, r.id, r.name, r.version, r.args, r.hlc, r.error
     FROM unnest(${pairs(fromByClient)}) AS c(id, seq) JOIN synchrotron.records AS r
       ON r.client_id = c.id::uuid AND r.status = 'voided' AND r.seq > c.seq ORDER BY r.hlc`
  ]
}

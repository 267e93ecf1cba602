/**
 * The second half of a sync: what changed for this client, read in one snapshot. Audiences route rows to the user,
 * row-level security decides about each: everything with content is read as the principal.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import {
  type Audience,
  Audiences,
  Hlc,
  type Principal,
  Protocol,
  type RecordId,
  type RowKey,
  type Seq,
  type SyncApp,
  type TableName
} from "@synchrotron/sync-core"
import { Clock, Effect } from "effect"
import { checkHistory, clientMismatch, contentOf } from "./judge.ts"
import { isAfter } from "./place.ts"
import { asPrincipal, audiencesIn, audiencesSql } from "./principal.ts"
import type { Setup } from "./setup.ts"
import { lastStampOf } from "./window.ts"

type Sql = SqlClient.SqlClient

/** What one answer holds at most; more comes in chunks. */
export interface ChunkLimits {
  readonly rowsMax: number
  /** Of the values in them; the row that exceeds it is the last one. */
  readonly bytesMax: number
}

export interface PullOptions {
  readonly app: SyncApp.SyncApp
  readonly chunk: ChunkLimits
}

interface View {
  readonly sql: Sql
  readonly setup: Setup
  readonly chunk: ChunkLimits
  readonly request: Protocol.WireRequest
  readonly audiences: ReadonlyArray<Audience>
}

interface Realm extends Hlc.ClockState {
  readonly seq: Seq
  readonly floor_ms: number
  readonly floor_counter: number
  readonly tombstone_seq: number
}

/** Reads without a lock: a repeatable snapshot has a `seq` and exactly the rows of that commit. */
export const pull = (
  sql: Sql,
  setup: Setup,
  { app, chunk }: PullOptions,
  principal: Principal,
  request: Protocol.WireRequest
): Effect.Effect<
  Protocol.SyncResponse | "unknown client",
  Protocol.ClientMismatch | Protocol.CursorTooOld | Protocol.AudiencesChanged | SqlError.SqlError
> =>
  sql.withTransaction(
    Effect.gen(function* () {
      const results = (yield* sql.unsafe(
        `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;${setup.prepare}
         SELECT user_id FROM synchrotron.clients WHERE client_id = '${request.clientId}';
         SELECT seq, clock_ms AS ms, clock_counter AS counter, floor_ms, floor_counter, tombstone_seq FROM synchrotron.realm;
         ${asPrincipal(setup, principal)};
         ${audiencesSql(app)};
         SET LOCAL ROLE NONE`
      )) as unknown as ReadonlyArray<ReadonlyArray<Record<string, unknown>>>
      const owner = results.at(-6)![0]?.user_id
      const realm = results.at(-5)![0] as unknown as Realm
      if (owner === undefined) return "unknown client" as const
      if (owner !== principal.userId) return yield* clientMismatch
      const audiences = audiencesIn(results.at(-2)!)
      if (request.cursors === null && request.held !== Audiences.digestOf(audiences))
        return yield* audiencesChanged
      const view: View = { sql, setup, chunk, request, audiences }
      yield* checkHistory(request, realm.seq)
      yield* checkCursors(view, realm)
      const cursors = yield* touched(view, cursorsOf(view, realm.seq))
      const found = yield* changes(view, cursors)
      // A client looks at these when all rows are there.
      const fits = found.length <= chunk.rowsMax
      const answers = fits ? { verdicts: yield* verdicts(view), notices: yield* notices(view) } : none
      const records = fits ? yield* recordsAfter(view, realm) : []
      const rowsTotal = fits ? found.length : yield* countRows(view, cursors)
      // All that is read with content comes last, and the principal stays until the transaction ends.
      if (found.length > 0 || records.length > 0) yield* sql.unsafe(asPrincipal(setup, principal))
      const { read, tables } = yield* readRows(view, found.slice(0, chunk.rowsMax))
      const common = {
        protocol: Protocol.protocolVersion as typeof Protocol.protocolVersion,
        seq: realm.seq,
        serverTimeMs: yield* Clock.currentTimeMillis,
        audiences,
        tables,
        clock: { ms: realm.ms, counter: realm.counter }
      }
      if (read === found.length)
        return { ...common, ...answers, later: yield* laterRecords(view, records), next: null }
      const next = positionOf(found[read - 1]!, view, realm.seq)
      return { ...common, ...none, next, ...(request.position === undefined ? { rowsTotal } : {}) }
    })
  )

const verdicts = ({
  sql,
  request
}: View): Effect.Effect<ReadonlyArray<typeof Protocol.Verdict.Type>, SqlError.SqlError> => {
  if (request.records.length === 0) return Effect.succeed([])
  const sent = request.records.map((record) => ({
    id: record.id,
    content: contentOf(request.clientId, record)
  }))
  return Effect.map(
    sql.unsafe<{
      position: number
      id: RecordId
      hlc: Hlc.Hlc
      status: "applied" | "changed" | "voided" | "rejected"
      error: string | null
      same: boolean
    }>(
      `SELECT x.position::integer AS position, x.id, k.hlc, k.status, k.error, k.content = md5(x.content) AS same
       FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (id uuid, content text)) WITH ORDINALITY AS x(id, content, position)
       JOIN (SELECT id, hlc, status, error, content FROM synchrotron.records
             UNION ALL SELECT id, hlc, 'rejected', error, content FROM synchrotron.dead_letters) AS k ON k.id = x.id`,
      [JSON.stringify(sent)]
    ),
    (rows) => {
      const rowsByPosition = new Map(rows.map((row) => [row.position, row]))
      return request.records.flatMap((record, i): ReadonlyArray<typeof Protocol.Verdict.Type> => {
        const row = rowsByPosition.get(i + 1)
        if (row === undefined) return []
        if (!row.same) {
          const message = "Another record has this id already. The first one stands."
          return [{ id: record.id, outcome: "rejected", error: { class: "reused_id", message } }]
        }
        return row.status === "applied" || row.status === "changed"
          ? [{ id: row.id, outcome: row.status, hlc: row.hlc }]
          : [
              {
                id: row.id,
                outcome: row.status,
                error: JSON.parse(row.error!) as typeof Protocol.Rejection.Type
              }
            ]
      })
    }
  )
}

/** Records of this client that were voided after the last commit that it applied. */
const notices = ({
  sql,
  request
}: View): Effect.Effect<ReadonlyArray<typeof Protocol.Notice.Type>, SqlError.SqlError> => {
  // A client that has applied nothing yet still has all its records, and gets verdicts.
  if (request.seq === undefined || request.seq === 0) return Effect.succeed([])
  return Effect.map(
    sql.unsafe<{ id: RecordId; name: string; version: number; args: string; hlc: Hlc.Hlc; error: string }>(
      "SELECT id, name, version, args, hlc, error FROM synchrotron.records WHERE client_id = $1 AND status = 'voided' AND seq > $2 ORDER BY hlc",
      [request.clientId, request.seq]
    ),
    (rows) =>
      rows.map((row) => ({
        ...row,
        args: JSON.parse(row.args) as unknown,
        error: JSON.parse(row.error) as typeof Protocol.Rejection.Type
      }))
  )
}

/** Since compaction forgets which rows are gone, an old cursor cannot be told of all of them. */
const checkCursors = (view: View, realm: Realm) => {
  const { position } = view.request
  const from = view.audiences.flatMap((audience) => [
    cursorOf(view, audience),
    audience === position?.audience ? position.began : 0
  ])
  return from.some((seq) => seq > 0 && seq < realm.tombstone_seq)
    ? new Protocol.CursorTooOld({
        message: `The last sync was before commit ${realm.tombstone_seq}, and which rows were removed until then is not known any more. The client fetches all rows again and keeps its pending records.`
      })
    : Effect.void
}

/** The last commit of the audience that the client has applied; 0 when it does not hold the audience. */
const cursorOf = ({ request: { cursors, seq } }: View, audience: Audience): number => {
  if (cursors === null) return seq ?? 0
  // An audience may be called `constructor`, which every object has without being given it.
  return Object.hasOwn(cursors, audience) ? cursors[audience]! : 0
}

const audiencesChanged = new Protocol.AudiencesChanged({
  message: "The user holds other audiences than the client knows of. The client sends its cursors by name."
})

const none = { verdicts: [], notices: [], later: [] } as const

interface ChangedKey {
  readonly audience: Audience
  readonly seq: Seq
  readonly tbl: TableName
  readonly key: RowKey
  /** Whether the client may have had it: what is gone matters only then, and is not named otherwise. */
  readonly known: boolean
}

const positionOf = (
  { audience, key, seq, tbl }: ChangedKey,
  { request: { position } }: View,
  now: Seq
): Protocol.Position => ({
  audience,
  seq,
  table: tbl,
  key,
  began: position?.audience === audience ? position.began : now
})

/** Where to go on in each audience, for `synchrotron.changes`; those that are at the commit are left out. */
const cursorsOf = (view: View, seq: Seq) => {
  const { position } = view.request
  return view.audiences.flatMap((audience) => {
    if (audience === position?.audience)
      return [{ audience, seq: position.seq, tbl: position.table, key: position.key }]
    const cursor = cursorOf(view, audience)
    return cursor < seq ? [{ audience, seq: cursor }] : []
  })
}

/** Each audience costs a look into the index, and of many few have changed. */
const audiencesLookedAt = 100

/**
 * Those of the cursors behind which something has changed; all, when that takes as long to say. Costs O(audiences) at
 * most, and no query for a user of few.
 */
const touched = ({ request: { position }, sql }: View, cursors: ReturnType<typeof cursorsOf>) => {
  const isApplied = ({ audience, seq }: (typeof cursors)[number]) =>
    seq > 0 && audience !== position?.audience
  const since = cursors.reduce(
    (min, cursor) => (isApplied(cursor) ? Math.min(min, cursor.seq) : min),
    Infinity
  )
  if (cursors.length <= audiencesLookedAt || since === Infinity) return Effect.succeed(cursors)
  return Effect.map(
    sql.unsafe<{ audiences: ReadonlyArray<Audience> | null; count: number }>(
      `SELECT json_agg(DISTINCT v.audience) AS audiences, count(*)::integer AS count
       FROM (SELECT audience FROM synchrotron.row_versions WHERE seq > $1 ORDER BY seq LIMIT $2) AS v`,
      [since, cursors.length]
    ),
    ([found]) => {
      if (found!.count === cursors.length) return cursors
      const changed = new Set(found!.audiences)
      return cursors.filter((cursor) => !isApplied(cursor) || changed.has(cursor.audience))
    }
  )
}

/** Changed rows in order, one more than fits into a chunk. One row with a column each: a driver reads rows slowly. */
const changes = ({ chunk, sql }: View, cursors: ReturnType<typeof cursorsOf>) =>
  cursors.length === 0
    ? Effect.succeed([])
    : Effect.map(
        sql.unsafe<{ [Column in keyof ChangedKey]: ReadonlyArray<ChangedKey[Column]> | null }>(
          `SELECT ${changedColumns.map((column) => `json_agg(${column}) AS ${column}`).join(", ")} FROM synchrotron.changes($1::jsonb, $2)`,
          [JSON.stringify(cursors), chunk.rowsMax + 1]
        ),
        ([columns]) =>
          (columns!.key ?? []).map(
            (key, i): ChangedKey => ({
              audience: columns!.audience![i]!,
              seq: columns!.seq![i]!,
              tbl: columns!.tbl![i]!,
              key,
              known: columns!.known![i]!
            })
          )
      )

const changedColumns = ["audience", "seq", "tbl", "key", "known"] as const satisfies ReadonlyArray<
  keyof ChangedKey
>

/** How many there are in all; asked for with the first chunk. */
const countRows = ({ request, sql }: View, cursors: ReturnType<typeof cursorsOf>) =>
  request.position !== undefined
    ? Effect.succeed(0)
    : Effect.map(
        sql.unsafe<{ count: number }>(
          `SELECT count(*) AS count FROM jsonb_to_recordset($1::jsonb) AS c(audience text, seq bigint)
       JOIN synchrotron.row_versions AS v ON v.audience = c.audience AND v.seq > c.seq WHERE c.seq > 0 OR NOT v.gone`,
          [JSON.stringify(cursors)]
        ),
        ([row]) => Number(row!.count)
      )

/** Rows that are read before it is known how large they are. */
const rowsReadFirst = 100

/**
 * The images of these rows that the principal may see now, as JSON text, and the keys of the others that the client may
 * have. Stops when they are large enough together; `read` is how many of `changed` were looked at.
 */
const readRows = (view: View, changed: ReadonlyArray<ChangedKey>) =>
  Effect.gen(function* () {
    const wanted = onceEach(view, changed)
    const tablesByName = new Map<TableName, { rows: Array<string>; count: number; gone: Array<RowKey> }>()
    const tableOf = (name: TableName) => {
      const table = tablesByName.get(name) ?? { rows: [], count: 0, gone: [] }
      tablesByName.set(name, table)
      return table
    }
    let read = 0
    let bytes = 0
    while (read < wanted.length && bytes < view.chunk.bytesMax) {
      const bytesMax = view.chunk.bytesMax - bytes
      // No more than will fit if they are as large as those before.
      const count = read === 0 ? rowsReadFirst : Math.max(rowsReadFirst, Math.ceil((bytesMax * read) / bytes))
      const some = wanted.slice(read, read + count)
      const found = yield* readSome(view, some, bytesMax)
      const present = new Set<number>()
      let end = some.length
      for (const table of found) {
        if (table.cut !== null) end = Math.min(end, table.cut)
        if (table.rows === null) continue
        bytes += table.bytes
        tableOf(table.tbl).rows.push(table.rows)
        tableOf(table.tbl).count += table.places.length
        for (const place of table.places) present.add(place)
      }
      for (const [place, { key, known, tbl }] of some.slice(0, end).entries())
        if (known && !present.has(place)) tableOf(tbl).gone.push(key)
      read += end
    }
    const tables = [...tablesByName].map(([table, { count, gone, rows }]) => ({
      table,
      rows: `[${rows.join(",")}]`,
      count,
      gone
    }))
    return { read: read < wanted.length ? wanted[read]!.place : changed.length, tables }
  })

/** A row may have changed in two audiences. It is sent once, where it comes first; `place` is where that is. */
const onceEach = ({ setup }: View, changed: ReadonlyArray<ChangedKey>) => {
  const byName = new Map<string, { tbl: TableName; key: RowKey; known: boolean; place: number }>()
  for (const [place, { key, known, tbl }] of changed.entries()) {
    if (!setup.tables.has(tbl)) continue
    const name = `${tbl} ${key}`
    const before = byName.get(name)
    if (before === undefined) byName.set(name, { tbl, key, known, place })
    else before.known ||= known
  }
  return [...byName.values()]
}

interface Found {
  readonly tbl: TableName
  /** Images, separated by commas; null when there is none. */
  readonly rows: string | null
  /** Where they are in what was wanted. */
  readonly places: ReadonlyArray<number>
  readonly bytes: number
  /** Where the first one is that did not fit. */
  readonly cut: number | null
}

/** By table what of these rows is there, until they exceed `bytesMax`. One statement for all tables. */
const readSome = (
  { audiences, setup, sql }: View,
  wanted: ReturnType<typeof onceEach>,
  bytesMax: number
): Effect.Effect<ReadonlyArray<Found>, SqlError.SqlError> => {
  const names = [...new Set(wanted.map(({ tbl }) => tbl))]
  const params: Array<unknown> = [audiences, bytesMax]
  const found = names.map((name) => {
    const places = wanted.flatMap(({ tbl }, place) => (tbl === name ? [place] : []))
    const n = params.push(
      places.map((place) => wanted[place]!.key),
      places
    )
    return `(WITH wanted AS (SELECT * FROM unnest($${n - 1}::text[], $${n}::integer[]) AS w(key, place)) ${setup.tables.get(name)!.rowsSql})`
  })
  return sql.unsafe<Found>(
    `SELECT s.tbl, string_agg(s.image, ',') FILTER (WHERE s.before < $2::bigint) AS rows,
       json_agg(s.place) FILTER (WHERE s.before < $2::bigint) AS places,
       sum(octet_length(s.image)) FILTER (WHERE s.before < $2::bigint)::integer AS bytes,
       min(s.place) FILTER (WHERE s.before >= $2::bigint) AS cut
     FROM (
       SELECT f.*, coalesce(sum(octet_length(f.image)) OVER (ORDER BY f.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
       FROM (${found.join(" UNION ALL ")}) AS f
     ) AS s GROUP BY s.tbl`,
    params
  )
}

interface StoredRecord {
  readonly id: RecordId
  readonly hlc: Hlc.Hlc
  readonly client_id: string | null
  readonly user_id: string
  readonly name: string
  readonly version: number
  readonly args: string
  readonly patches: ReadonlyArray<Protocol.Patch> | null
}

/**
 * Canonical records that the client's pending ones may cross: none before the floor, behind which these will be placed.
 * So the client has those before in its confirmed state alone, whose patches may be gone.
 */
const recordsAfter = ({ request, sql }: View, realm: Realm) => {
  if (request.after === null || isAfter(Hlc.parts(request.after), realm)) return Effect.succeed([])
  return sql.unsafe<StoredRecord>(
    `SELECT r.id, r.hlc, r.client_id, r.user_id, r.name, r.version, r.args,
           (SELECT json_agg(json_build_object('table', p.tbl, 'key', p.key, 'before', p.before, 'after', p.after) ORDER BY p.n)
            FROM synchrotron.patches AS p WHERE p.record_id = r.id) AS patches
         FROM synchrotron.records AS r WHERE r.hlc > $1 AND r.hlc > $2 AND r.status <> 'voided' ORDER BY r.hlc`,
    [request.after, lastStampOf({ ms: realm.floor_ms, counter: realm.floor_counter })]
  )
}

/** These records, each as far as the principal may see it (I6). */
const laterRecords = (view: View, records: ReadonlyArray<StoredRecord>) =>
  Effect.gen(function* () {
    const { request, sql } = view
    const images = records.flatMap((record) =>
      (record.patches ?? []).flatMap((patch) =>
        [patch.before, patch.after].flatMap((image) =>
          image === null ? [] : [{ table: patch.table, image }]
        )
      )
    )
    const visible = new Set<Protocol.Image>()
    for (const statements of view.setup.tables.values()) {
      const mine = images.filter((image) => image.table === statements.name)
      if (mine.length === 0) continue
      const positions = yield* sql.unsafe<{ position: number }>(statements.visibleSql, [
        JSON.stringify(mine.map((m) => m.image)),
        view.audiences
      ])
      for (const { position } of positions) visible.add(mine[position - 1]!.image)
    }
    const see = (image: Protocol.Image | null) => (image !== null && visible.has(image) ? image : null)
    return records.flatMap((record): ReadonlyArray<typeof Protocol.LaterRecord.Type> => {
      const all = record.patches ?? []
      const patches = all
        .map((patch) => ({ ...patch, before: see(patch.before), after: see(patch.after) }))
        .filter((patch) => patch.before !== null || patch.after !== null)
      const own = record.client_id === request.clientId
      if (!own && patches.length === 0) return []
      const whole =
        own ||
        all.every(
          (patch) =>
            (patch.before === null || visible.has(patch.before)) &&
            (patch.after === null || visible.has(patch.after))
        )
      const { id, hlc, name, version, user_id } = record
      return [
        {
          id,
          hlc,
          userId: user_id,
          name,
          version,
          ...(whole && record.client_id !== null ? { args: JSON.parse(record.args) as unknown } : {}),
          patches
        }
      ]
    })
  })

/**
 * Reads of whole databases for checkers, set-based and past the engine's own statements: what it reads with must not be
 * judged with itself. Only `synchrotron.put_rows` is the engine's, for images that are tried on.
 */
import type { SqlClient, SqlError } from "@effect/sql"
import {
  Execution,
  identifier,
  literal,
  type Principal,
  type Protocol,
  type SyncApp
} from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { ClientView, Exchange, Read, Rows, ServerView, Tables } from "./Checker.ts"
import type { Removed } from "./log.ts"

type Sql = SqlClient.SqlClient

/** Reads through a client of `@effect/sql`; what fails is a defect. */
export const readOf =
  (sql: Sql): Read =>
  (text, params) =>
    Effect.orDie(sql.unsafe(text, params as Array<unknown>)) as Effect.Effect<Rows>

/** Reads each thing once until `forget` is called, which whoever changes the database has to do. */
export const remembering = (read: Read): { readonly read: Read; readonly forget: () => void } => {
  const known = new Map<string, Rows>()
  return {
    read: <Row extends object>(sql: string, params: ReadonlyArray<unknown> = []) => {
      const what = JSON.stringify([sql, params])
      const rows = known.get(what)
      return rows !== undefined
        ? Effect.succeed(rows as Rows<Row>)
        : Effect.tap(read<Row>(sql, params), (found) => Effect.sync(() => known.set(what, found)))
    },
    forget: () => known.clear()
  }
}

/**
 * What checkers see of the authority's database. `role`: the principals' role. `read`: how to read it, when that is
 * remembered. `removed`: what compaction has removed from its log.
 *
 * Statements are one or more of the connection's transactions, so nothing else may be running on it.
 */
export const makeServerView = (
  sql: Sql,
  app: SyncApp.SyncApp,
  role: string,
  read: Read = readOf(sql),
  removed?: () => Removed
): ServerView => {
  // The one session of a PGlite is prepared already, and must not lose its plans.
  const prepare = "pglite" in sql ? "" : `${Execution.prepare};`
  let shapes: ReadonlyArray<Trying> | null = null
  const shapesOnce = Effect.suspend(() =>
    shapes !== null
      ? Effect.succeed(shapes)
      : Effect.tap(tryingOf(read, app), (found) =>
          Effect.sync(() => {
            shapes = found
          })
        )
  )
  const being = ({ claims, userId }: Principal) =>
    `SELECT set_config('synchrotron.user_id', ${literal(userId)}, true), set_config('request.jwt.claims', ${literal(JSON.stringify(claims))}, true)`
  const becoming = `SET LOCAL ROLE ${identifier(role)}`

  const readAs = <Row extends object>(
    principal: Principal,
    text: string,
    params: ReadonlyArray<unknown> = []
  ): Effect.Effect<Rows<Row>> => {
    const become = `${prepare}${being(principal)};${becoming}`
    return params.length > 0
      ? rolledBack(sql, Effect.zipRight(sql.unsafe(become), sql.unsafe<Row>(text, params as Array<unknown>)))
      : // One message is one transaction.
        Effect.map(read(`${become};${text}`), (results) => results.at(-1) as unknown as Rows<Row>)
  }

  /** Puts images of different rows into their tables and gives those that the user sees, by table and key. */
  const trial = (
    shapesByName: ReadonlyMap<string, Trying>,
    images: ReadonlyArray<Tried>,
    emptied: boolean
  ) => {
    const byTable = new Map<string, Array<Tried>>()
    for (const image of images) byTable.set(image.table, [...(byTable.get(image.table) ?? []), image])
    const puts = [...byTable].map(
      ([table, some]) =>
        `synchrotron.put_rows(${literal(table)}, ARRAY[${some.map(({ key }) => literal(key)).join(", ")}], ARRAY[${some.map(({ image }) => literal(JSON.stringify(image))).join(", ")}]::jsonb[])`
    )
    const looks = [...byTable].map(([table, some]) => {
      const { key, table: quotedTable } = shapesByName.get(table)!
      return `SELECT ${literal(table)} || ' ' || ${key} AS name FROM ${quotedTable} AS t WHERE ${key} IN (${some.map((image) => literal(image.key)).join(", ")})`
    })
    const empties = emptied
      ? `SET LOCAL session_replication_role = replica;${[...byTable.keys()].map((table) => `DELETE FROM ${shapesByName.get(table)!.table};`).join("")}`
      : ""
    return `SAVEPOINT trial;${empties}SELECT ${puts.join(", ")};${becoming};${looks.join(" UNION ALL ")};ROLLBACK TO SAVEPOINT trial;RELEASE SAVEPOINT trial`
  }
  /** Statements of a trial when no table is emptied first, and those from its look on. */
  const [trialLength, lookFromEnd] = [6, 3]

  /** In one message; each round begins with the state that is there. `emptied`: for one round only. */
  const tryOn = (
    principal: Principal,
    shapesByName: ReadonlyMap<string, Trying>,
    rounds: ReadonlyArray<ReadonlyArray<Tried>>,
    emptied = false
  ): Effect.Effect<ReadonlyArray<ReadonlySet<string>>> =>
    rolledBack(
      sql,
      Effect.map(
        sql.unsafe(
          `${prepare}${being(principal)};${rounds.map((round) => trial(shapesByName, round, emptied)).join(";")}`
        ),
        (results) =>
          rounds.map((_, i) => {
            const looked = (results as unknown as ReadonlyArray<Rows<{ name: string }>>).at(
              (i - rounds.length + 1) * trialLength - lookFromEnd
            )!
            return new Set(looked.map(({ name }) => name))
          })
      )
    )

  return {
    read,
    ...(removed === undefined ? {} : { removed }),
    readAs,
    visible: (principal, images) =>
      images.length === 0
        ? Effect.succeed([])
        : Effect.gen(function* () {
            const shapesByName = new Map((yield* shapesOnce).map((shape) => [shape.name, shape]))
            const rounds = roundsOf(shapesByName, images)
            const seen = yield* Effect.catchAllDefect(tryOn(principal, shapesByName, rounds), () =>
              // An older image may clash with a present row: then each is tried on alone, if need be in an empty table.
              Effect.map(
                Effect.forEach(images, (image) =>
                  Effect.catchAllDefect(tryOn(principal, shapesByName, [[image]]), () =>
                    tryOn(principal, shapesByName, [[image]], true)
                  )
                ),
                (alone) => {
                  rounds.splice(0, rounds.length, ...images.map((image) => [image]))
                  return alone.map(([keys]) => keys!)
                }
              )
            )
            const visible = new Set<Tried>()
            for (const [i, round] of rounds.entries())
              for (const image of round) if (seen[i]!.has(`${image.table} ${image.key}`)) visible.add(image)
            return images.map((image) => visible.has(image))
          }),
    viewOf: (principal) => Effect.map(readAs<TableRow>(principal, viewSql(app)), toTables),
    tables:
      prepare === ""
        ? tablesOf(sql, app)
        : rolledBack(
            sql,
            Effect.zipRight(
              sql.unsafe(prepare),
              Effect.map(sql.unsafe<TableRow>(tablesSql(app)), (rows) => toTables(rows))
            )
          )
  }
}

type Tried = Parameters<ServerView["visible"]>[1][number]

interface Trying extends Shape {
  /** Whether what a user sees may depend on the rows of this table: its name stands in a policy, a function or a view. */
  readonly grants: boolean
}

const tryingOf = (read: Read, app: SyncApp.SyncApp): Effect.Effect<ReadonlyArray<Trying>> =>
  Effect.gen(function* () {
    const shapes = yield* shapesOf(read, app)
    const rows = yield* read<{ text: string | null }>(
      `SELECT pg_get_expr(p.polqual, p.polrelid) AS text FROM pg_policy AS p
       UNION ALL SELECT f.prosrc || coalesce(pg_get_function_sqlbody(f.oid), '') FROM pg_proc AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'synchrotron', 'synchrotron_det')
       UNION ALL SELECT v.definition FROM pg_views AS v WHERE v.schemaname NOT IN ('pg_catalog', 'information_schema')`
    )
    const texts = [app.audiences, ...rows.map(({ text }) => text ?? "")]
    return shapes.map((shape) => ({
      ...shape,
      grants: texts.some((text) => text.includes(split(shape.name)[1]))
    }))
  })

/**
 * Which images are tried on together: two images of a row never, and one of a table that policies look at is alone, for
 * it may grant what another needs.
 */
const roundsOf = (
  shapesByName: ReadonlyMap<string, Trying>,
  images: ReadonlyArray<Tried>
): Array<ReadonlyArray<Tried>> => {
  const alone: Array<ReadonlyArray<Tried>> = []
  const shared: Array<Array<Tried>> = []
  const counts = new Map<string, number>()
  for (const image of images) {
    if (shapesByName.get(image.table)!.grants) alone.push([image])
    else {
      const name = `${image.table} ${image.key}`
      const count = counts.get(name) ?? 0
      counts.set(name, count + 1)
      shared[count] ??= []
      shared[count].push(image)
    }
  }
  return [...alone, ...shared]
}

/** The synced tables of a database, through a session whose settings are the engine's. */
export const tablesOf = (sql: Sql, app: SyncApp.SyncApp): Effect.Effect<Tables> => tablesBy(readOf(sql), app)

export const tablesBy = (read: Read, app: SyncApp.SyncApp): Effect.Effect<Tables> =>
  Effect.map(read<TableRow>(tablesSql(app)), toTables)

interface TableRow {
  readonly tbl: string
  readonly rows: ReadonlyArray<string>
}

const toTables = (rows: ReadonlyArray<TableRow>): Tables =>
  Object.fromEntries(rows.map((row) => [row.tbl, row.rows]))

/** Name and rows of each synced table: text forms in the order of their bytes. One statement without parameters. */
export const tablesSql = (app: SyncApp.SyncApp): string => each(app, () => "")

/** Digests of the synced tables, in their order: equal when the rows are, in whatever order. */
export const digestsOf = (read: Read, app: SyncApp.SyncApp): Effect.Effect<string> =>
  Effect.map(read<{ tables: string }>(`SELECT ${digestsSql(app)} AS tables`), ([row]) => row!.tables)

const digestsSql = (app: SyncApp.SyncApp): string =>
  app.tables.map(({ name }) => digestSql(`(SELECT t::text FROM ${quoted(name)} AS t)`)).join(" || ' ' || ")

// No sorting and no long text: it is read at each commit.
const digestSql = (rows: string): string =>
  `(SELECT count(*) || '/' || coalesce(sum(hashtextextended(x.row, 0)), 0) FROM ${rows} AS x(row))`

/** The same of rows that were read before. */
export const digestsOfRows = (read: Read, app: SyncApp.SyncApp, tables: Tables): Effect.Effect<string> =>
  Effect.map(
    read<{ tables: string }>(
      `SELECT ${app.tables.map((_, i) => digestSql(`unnest($${i + 1}::text[])`)).join(" || ' ' || ")} AS tables`,
      app.tables.map(({ name }) => tables[name] ?? [])
    ),
    ([row]) => row!.tables
  )

/** What a commit left in a client's database. */
export interface ClientState {
  /** As {@link digestsOf}. */
  readonly tables: string
  /** Id, status and stamp of each record. */
  readonly records: ReadonlyArray<readonly [string, "pending" | "rejected" | "voided", string]>
  /** Cursors and commit. */
  readonly position: string
  readonly journal: number
  readonly later: number
  /** Records in the journal that are not pending. */
  readonly strays: ReadonlyArray<string>
}

/** One read for all who ask between two commits. */
export const clientStateOf = (client: ClientView, app: SyncApp.SyncApp): Effect.Effect<ClientState> =>
  Effect.map(
    client.read<ClientState>(
      `SELECT ${digestsSql(app)} AS tables,
         (SELECT coalesce(json_agg(json_build_array(r.id, r.status, r.hlc) ORDER BY r.id), '[]') FROM synchrotron.records AS r) AS records,
         (SELECT seq FROM synchrotron.replica) || ' ' || coalesce((SELECT string_agg(c.audience, ' ' ORDER BY c.audience) FROM synchrotron.cursors AS c), '') AS position,
         (SELECT count(*)::integer FROM synchrotron.patches) AS journal,
         (SELECT count(*)::integer FROM synchrotron.later_patches) AS later,
         (SELECT coalesce(json_agg(DISTINCT p.record_id), '[]') FROM synchrotron.patches AS p
          WHERE NOT EXISTS (SELECT FROM synchrotron.records AS r WHERE r.id = p.record_id AND r.status = 'pending')) AS strays`
    ),
    ([row]) => row!
  )

/** How many records of the client no answer has judged. */
export const pendingOf = (client: ClientView, app: SyncApp.SyncApp): Effect.Effect<number> =>
  Effect.map(
    clientStateOf(client, app),
    ({ records }) => records.filter(([, status]) => status === "pending").length
  )

/** {@link tablesSql} of the rows whose audience the user holds; run as the user, row-level security takes its part. */
export const viewSql = (app: SyncApp.SyncApp): string =>
  `WITH held AS MATERIALIZED (${heldSql(app)}) ${each(
    app,
    ({ audience, name }) => ` WHERE ${audienceOf(name, audience)} IN (SELECT audience FROM held)`
  )}`

/** The audiences of whoever runs it. */
export const heldSql = (app: SyncApp.SyncApp): string =>
  `SELECT a.audience FROM (${app.audiences.replace(/[\s;]+$/, "")}) AS a(audience)`

const each = (app: SyncApp.SyncApp, where: (table: SyncApp.SyncApp["tables"][number]) => string) =>
  app.tables
    .map(
      (table) =>
        `SELECT ${literal(table.name)} AS tbl, coalesce(json_agg(t::text ORDER BY t::text COLLATE "C"), '[]') AS rows FROM ${quoted(table.name)} AS t${where(table)}`
    )
    .join(" UNION ALL ")

/** The audience of the row `t`: its expression may name the table. */
export const audienceOf = (name: string, audience: string): string =>
  `(SELECT ${audience} FROM (SELECT t.*) AS ${identifier(split(name)[1])})`

/** A synced table as its catalog describes it. */
export interface Shape {
  /** As in the vocabulary: schema-qualified and unquoted. */
  readonly name: string
  /** Quoted. */
  readonly table: string
  readonly audience: string
  readonly keyColumns: ReadonlyArray<string>
  /** The key of the row `t`, as patches name it. */
  readonly key: string
  /** The image of the row `t`. */
  readonly image: string
}

export const shapesOf = (read: Read, app: SyncApp.SyncApp): Effect.Effect<ReadonlyArray<Shape>> =>
  Effect.map(
    read<{ name: string; stored: ReadonlyArray<string>; keys: ReadonlyArray<string> }>(
      `SELECT n.nspname || '.' || c.relname AS name,
         (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute AS a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS stored,
         (SELECT json_agg(a.attname ORDER BY k.position) FROM pg_index AS i
          CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
          JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
          WHERE i.indrelid = c.oid AND i.indisprimary) AS keys
       FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
       WHERE c.relkind = 'r' AND n.nspname || '.' || c.relname IN (${app.tables.map((t) => literal(t.name)).join(", ")})`
    ),
    (rows) =>
      app.tables.map(({ audience, name }) => {
        const row = rows.find((found) => found.name === name)!
        return {
          name,
          table: quoted(name),
          audience: audienceOf(name, audience),
          keyColumns: row.keys,
          key: `jsonb_build_array(${row.keys.map((c) => `t.${identifier(c)}::text`).join(", ")})::text`,
          image: imageSql(row.stored)
        }
      })
  )

// A function takes at most 100 arguments.
const imageSql = (columns: ReadonlyArray<string>): string => {
  const objects: Array<string> = []
  for (let i = 0; i < columns.length; i += 50) {
    const pairs = columns.slice(i, i + 50).map((c) => `${literal(c)}, t.${identifier(c)}::text`)
    objects.push(`jsonb_build_object(${pairs.join(", ")})`)
  }
  return `(${objects.join(" || ")})`
}

const split = (name: string): readonly [string, string] => {
  const dot = name.indexOf(".")
  return [name.slice(0, dot), name.slice(dot + 1)]
}

/** A synced table as SQL names it. */
export const quoted = (name: string): string => split(name).map(identifier).join(".")

/** Text that two equal images share. */
export const imageText = (image: Protocol.Image): string =>
  JSON.stringify(Object.entries(image).sort(([a], [b]) => (a < b ? -1 : 1)))

class Done<A> {
  readonly value: A
  constructor(value: A) {
    this.value = value
  }
}

/** Runs it in a transaction that is rolled back whatever happens. */
export const rolledBack = <A>(sql: Sql, effect: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A> =>
  sql
    .withTransaction(Effect.flatMap(effect, (value) => Effect.fail(new Done(value))))
    .pipe(Effect.catchAll((end) => (end instanceof Done ? Effect.succeed(end.value as A) : Effect.die(end))))

/** How two databases differ, for a message: a few rows of each kind. */
export const difference = (
  expected: Tables,
  actual: Tables,
  names: { readonly expected: string; readonly actual: string }
): string | null => {
  const parts: Array<string> = []
  for (const table of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const missing = without(expected[table] ?? [], actual[table] ?? [])
    const extra = without(actual[table] ?? [], expected[table] ?? [])
    if (missing.length > 0) parts.push(`${table} only ${names.expected}: ${few(missing)}`)
    if (extra.length > 0) parts.push(`${table} only ${names.actual}: ${few(extra)}`)
  }
  return parts.length === 0 ? null : parts.join("; ")
}

/** The rows of `a` that `b` has not, each as often as it is missing. */
const without = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const row of b) counts.set(row, (counts.get(row) ?? 0) + 1)
  return a.filter((row) => {
    const count = counts.get(row) ?? 0
    counts.set(row, count - 1)
    return count <= 0
  })
}

/** At most three of them, each cut to a line. */
export const few = (items: ReadonlyArray<string>): string =>
  `${items
    .slice(0, 3)
    .map((item) => (item.length > 160 ? `${item.slice(0, 160)}…` : item))
    .join(" ")}${items.length > 3 ? ` and ${items.length - 3} more` : ""}`

/** Tells answers apart: a request may be served more than once. */
export const answerKey = (exchange: Exchange, response: Protocol.SyncResponse): string =>
  `${exchange.number} ${response.seq} ${response.serverTimeMs}`

/** Whether the client shows the answer's commit now, and not what it showed before. */
export const isApplied = ({ path }: { readonly path: string }): boolean =>
  path !== "stale" && path !== "chunk" && path !== "restarted"

/** What is remembered until its answer is applied; answers that never are make room after a while. */
export class Remembered<A> {
  private readonly valuesByKey = new Map<string, A>()
  private readonly countMax: number

  constructor(countMax = 64) {
    this.countMax = countMax
  }

  set(key: string, value: A): void {
    this.valuesByKey.set(key, value)
    for (const oldest of this.valuesByKey.keys()) {
      if (this.valuesByKey.size <= this.countMax) break
      this.valuesByKey.delete(oldest)
    }
  }

  take(key: string): A | undefined {
    const value = this.valuesByKey.get(key)
    this.valuesByKey.delete(key)
    return value
  }
}

/** Whose database it is, for a message. */
export const whose = (client: ClientView): string => `${client.name} (user ${client.principal.userId})`

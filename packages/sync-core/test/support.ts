/** One database per suite, an application made of raw SQL, and the engine's steps one by one. */
import { SqlClient } from "@effect/sql"
import { type Cause, Effect, Exit, Layer, Schema, Scope } from "effect"
import { afterAll, beforeAll, inject } from "vitest"
import { testImage } from "../../../test/image.ts"
import { createDatabase, type TestDatabase } from "../../../test/postgres.ts"
import { layer as databaseLayer } from "../../sync-server/src/database.ts"
import * as Action from "../src/Action.ts"
import * as Execution from "../src/Execution.ts"
import * as Hlc from "../src/Hlc.ts"
import type { ClientId, RecordId } from "../src/Ids.ts"
import { install } from "../src/Install.ts"
import type { Principal } from "../src/Principal.ts"
import * as SyncApp from "../src/SyncApp.ts"
import * as SyncTable from "../src/SyncTable.ts"
import { clientSql, settleSql } from "../src/sql/client.ts"

export const kinds = ["pglite", "postgres"] as const
export type Kind = (typeof kinds)[number]

export interface Suite {
  readonly run: <A, E>(effect: Effect.Effect<A, E, SqlClient.SqlClient | Scope.Scope>) => Promise<A>
}

/** Boots one database for the suite around it. One connection, as a client has. */
export const useDatabase = (kind: Kind): Suite => {
  const scope = Effect.runSync(Scope.make())
  let database: TestDatabase | undefined
  let client: SqlClient.SqlClient
  beforeAll(async () => {
    if (kind === "postgres") database = await createDatabase(inject("postgresUrl"))
    const layer = databaseLayer(
      database === undefined
        ? { _tag: "embedded", dataDir: "memory://", image: testImage }
        : { _tag: "postgres", url: database.url, connectionsMax: 1 }
    )
    client = await Effect.runPromise(Effect.provide(SqlClient.SqlClient, await open(layer, scope)))
  })
  afterAll(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await database?.drop()
  })
  return {
    run: (effect) =>
      effect.pipe(Effect.scoped, Effect.provideService(SqlClient.SqlClient, client), Effect.runPromise)
  }
}

const open = <A, E>(layer: Layer.Layer<A, E>, scope: Scope.Scope) =>
  Effect.runPromise(Layer.buildWithScope(layer, scope))

/** Runs statements as they are. */
export const statements = Action.make("test.sql", {
  args: Schema.Array(Schema.String),
  run: ({ args, sql }) => Effect.forEach(args, (text) => sql.unsafe<Record<string, unknown>>(text))
})

export const appOf = (
  migration: string,
  tables: ReadonlyArray<string>,
  options: {
    readonly serverSql?: string
    readonly audience?: string
    readonly actions?: ReadonlyArray<{ readonly definition: Action.AnyAction }>
    readonly name?: string
  } = {}
): SyncApp.SyncApp =>
  SyncApp.make({
    name: options.name ?? "test",
    migrations: [
      {
        id: "001",
        sql: migration,
        ...(options.serverSql === undefined ? {} : { serverSql: options.serverSql })
      }
    ],
    tables: tables.map((name) => SyncTable.make(name, { audience: options.audience ?? "'all'" })),
    actions: [statements, ...(options.actions ?? [])],
    audiences: "SELECT 'all'"
  })

/** Leaves nothing of earlier tests in the database. */
export const clear = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql.unsafe(`DROP SCHEMA IF EXISTS synchrotron CASCADE; DROP SCHEMA IF EXISTS app CASCADE; DROP SCHEMA IF EXISTS public CASCADE;
    DROP SCHEMA IF EXISTS synchrotron_det CASCADE; CREATE SCHEMA public; RESET ALL`)
)

export interface Engine {
  readonly mode: Execution.Mode
  readonly app: SyncApp.SyncApp
}

/** A cleared database with the application installed as on a client. */
export const installClient = (app: SyncApp.SyncApp) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* clear
    const { mode } = yield* sql.withTransaction(install(sql, { app, side: "client", sideSql: clientSql }))
    yield* sql.unsafe(Execution.prepareSession)
    return { app, mode: { ...mode, role: null } } satisfies Engine
  })

export const node = "00000000-0000-4000-8000-000000000001" as ClientId
export const ada: Principal = { userId: "ada", claims: { sub: "ada", team: "red" } }

/** The n-th record of a test; the same id, time and author whenever it is made. */
export const recordOf = (n: number, operation: Action.AnyOperation): Execution.Executable => ({
  id: Execution.uuidOf(`record ${n}`) as RecordId,
  hlc: Hlc.make({ ms: Date.UTC(2024, 1, 29, 12, 0, 0, 123) + n, counter: 0 }, node),
  principal: ada,
  run: { _tag: "code", action: operation.action, args: operation.args }
})

export interface StoredPatch {
  readonly record_id: string
  readonly tbl: string
  readonly key: string
  readonly before: Readonly<Record<string, string | null>> | null
  readonly after: Readonly<Record<string, string | null>> | null
}

export const readPatches = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql.unsafe<StoredPatch>("SELECT record_id, tbl, key, before, after FROM synchrotron.patches ORDER BY n")
)

/** Executes records in one transaction; gives what each returned or how it failed, and leaves patches in the journal. */
export const execute = (engine: Engine, records: ReadonlyArray<Execution.Executable>) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql.withTransaction(Execution.sequence(sql, records, engine.mode))
  )

let serial = 0
/** Runs statements as one record that must succeed, and gives its patches. */
export const patchesOf = (engine: Engine, ...texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const record = recordOf(++serial, statements(texts))
    const [exit] = yield* execute(engine, [record])
    if (Exit.isFailure(exit!)) return yield* Effect.failCause(exit.cause as Cause.Cause<unknown>)
    return (yield* readPatches).filter((patch) => patch.record_id === record.id)
  })

/** Takes back everything in the journal, as a replica does when a record is refused. */
export const undo = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql.withTransaction(sql.unsafe(settleSql, ["[]", "[]"]))
)

/** Puts the last images of the journal, as a replica does with confirmed rows. */
export const redo = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql.withTransaction(
    sql.unsafe(
      `SELECT synchrotron.put_rows(net.tbl, array_agg(net.key), array_agg(net.after)) FROM (
         SELECT DISTINCT ON (tbl, key) tbl, key, after FROM synchrotron.patches ORDER BY tbl, key, n DESC
       ) AS net GROUP BY net.tbl`
    )
  )
)

/** The text form of all rows of the application's tables. */
export const contentOf = (app: SyncApp.SyncApp) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const content: Record<string, ReadonlyArray<string>> = {}
    for (const { name } of app.tables) {
      const rows = yield* sql.unsafe<{ row: string }>(
        `SELECT t::text AS row FROM ${quoted(name)} AS t ORDER BY t::text COLLATE "C"`
      )
      content[name] = rows.map((row) => row.row)
    }
    return content
  })

const quoted = (fullName: string): string => {
  const dot = fullName.indexOf(".")
  return [fullName.slice(0, dot), fullName.slice(dot + 1)]
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join(".")
}

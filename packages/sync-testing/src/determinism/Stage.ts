/** The databases on which records are executed again and again: authorities of the application, all with the same rows. */
import { randomBytes } from "node:crypto"
import { SqlClient, type SqlError } from "@effect/sql"
import { PgliteClient } from "@synchrotron/sql-pglite"
import { Execution, identifier, literal, type SyncApp } from "@synchrotron/sync-core"
import { AuthorityLive, ServerDatabase } from "@synchrotron/sync-server"
import { Cause, Context, Effect, Exit, Layer, Option } from "effect"
import pg from "pg"
import { messageOf, modeOf, type NetPatch, netOfSql } from "../check/canonical.ts"
import { rolledBack } from "../check/views.ts"
import type { Effects, NetChange } from "./Difference.ts"

export interface Stage {
  readonly sql: SqlClient.SqlClient
  readonly role: string
  /**
   * Executes the record as the authority does, and takes it back.
   *
   * @param options.sql what the transaction begins with
   * @param options.asOwner past row-level security
   */
  readonly trial: (
    record: Execution.Executable,
    options?: { readonly sql?: string; readonly asOwner?: boolean }
  ) => Effect.Effect<Effects>
  /** Makes the rows be as the record left them. */
  readonly settle: (rows: ReadonlyArray<NetChange>) => Effect.Effect<void, SqlError.SqlError>
}

const role = "synchrotron_user"
/** In its place on the other replica, with all its rights. */
const otherRole = "synchrotron_user_elsewhere"

export const pglite = (app: SyncApp.SyncApp, image: Blob, kind: "first" | "other") =>
  Effect.gen(function* () {
    const sql = yield* installed(app, PgliteClient.layer({ dataDir: "memory://", image }))
    if (kind === "first") return yield* stageOf(sql, role)
    yield* sql.unsafe(
      `CREATE ROLE ${identifier(otherRole)} NOLOGIN;GRANT ${role} TO ${identifier(otherRole)}`
    )
    return yield* stageOf(sql, otherRole)
  })

/** A new database of this server, dropped with the scope. */
export const postgres = (app: SyncApp.SyncApp, url: string) =>
  Effect.gen(function* () {
    const name = `synchrotron_determinism_${randomBytes(6).toString("hex")}`
    yield* Effect.acquireRelease(
      Effect.promise(() => statement(url, `CREATE DATABASE ${name}`)),
      () => Effect.promise(() => statement(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
    )
    const database = new URL(url)
    database.pathname = `/${name}`
    const sql = yield* installed(app, ServerDatabase.layer({ _tag: "postgres", url: database.href }))
    return yield* stageOf(sql, role)
  })

const installed = <E>(app: SyncApp.SyncApp, database: Layer.Layer<SqlClient.SqlClient, E>) =>
  Effect.map(
    Layer.build(AuthorityLive.layer({ app, role }).pipe(Layer.provideMerge(database))),
    Context.get(SqlClient.SqlClient)
  )

const statement = async (url: string, sql: string) => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

const stageOf = (sql: SqlClient.SqlClient, role: string): Effect.Effect<Stage> =>
  Effect.map(modeOf({ sql, role }), (mode) => ({
    sql,
    role,
    trial: (record, { asOwner = false, sql: first = "" } = {}) =>
      rolledBack(
        sql,
        Effect.gen(function* () {
          // Plans remember constants and settings of their time.
          yield* sql.unsafe(`${"pglite" in sql ? "" : `${Execution.prepare};`}DISCARD PLANS;${first}`)
          const [exit] = yield* Execution.sequence(sql, [record], asOwner ? { ...mode, role: null } : mode)
          return Exit.isFailure(exit!)
            ? failed(exit.cause)
            : { _tag: "changed" as const, rows: yield* netChanges(sql, record.id) }
        })
      ),
    settle: (rows) =>
      Effect.asVoid(
        sql.unsafe(
          `SELECT synchrotron.put_rows(x."table", array_agg(x.key), array_agg(x.after))
           FROM jsonb_to_recordset(${literal(JSON.stringify(rows))}::jsonb) AS x("table" text, key text, after jsonb) GROUP BY x."table"`
        )
      )
  }))

const failed = (cause: Cause.Cause<unknown>): Effects => ({
  _tag: "failed",
  message: messageOf(Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause)))
})

const netChanges = (sql: SqlClient.SqlClient, id: string) =>
  Effect.map(sql.unsafe<NetPatch>(netOfSql(), [id]), (patches) =>
    patches.map(
      ({ after, before, key, tbl }): NetChange => ({
        table: tbl,
        key,
        before: before === null ? null : JSON.parse(before),
        after: after === null ? null : JSON.parse(after)
      })
    )
  )

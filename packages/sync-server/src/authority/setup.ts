/** Prepares the authority's database at start-up, and reads what it needs to know about the synced tables. */
import type { SqlClient, SqlError } from "@effect/sql"
import {
  type DatabaseTooNew,
  Execution,
  identifier,
  install,
  literal,
  type MigrationChanged,
  type SyncApp,
  type TablesUnsupported
} from "@synchrotron/sync-core"
import { Context, Effect, Schema } from "effect"
import { readForSql } from "./readFor.ts"
import { retryConflicts } from "./retry.ts"
import { authoritySql, privilegesSql, realmLock } from "./schema.ts"

/** The database user may not do what the authority needs. The message has the statement that a superuser must run. */
export class AuthoritySetupError extends Schema.TaggedError<AuthoritySetupError>()("AuthoritySetupError", {
  message: Schema.String
}) {}

export interface TableStatements {
  readonly name: string
  /** $1: keys, $2: audiences; run as the principal. Gives key and image of the rows that the user may see. */
  readonly readSql: string
  /** As `readSql`, for a pull. $1: audiences, and the relation `wanted` has key and place. Gives table, place and image. */
  readonly rowsSql: string
  /** $1: images, $2: audiences; run as the principal. Gives the positions of the images that the user may see. */
  readonly visibleSql: string
}

export interface Setup {
  /** Fails when the database is another version's by now. */
  readonly check: string
  /** What a transaction runs first, so that SQL and text forms are the same as on every replica; with `check`. */
  readonly prepare: string
  readonly mode: Execution.Mode
  readonly tables: ReadonlyMap<string, TableStatements>
}

/** The database as {@link setup} left it, for all who read it. */
export class Prepared extends Context.Tag("@synchrotron/sync-server/Prepared")<Prepared, Setup>() {}

export const setup = (
  sql: SqlClient.SqlClient,
  app: SyncApp.SyncApp,
  role: string
): Effect.Effect<
  Setup,
  TablesUnsupported | DatabaseTooNew | MigrationChanged | AuthoritySetupError | SqlError.SqlError
> =>
  // Servers of the version before may be reading, in another order.
  Effect.flatMap(retryConflicts(inTransaction(sql, app, role)), (prepared) => {
    const check = `SELECT synchrotron.check_schema(${literal(app.schemaHash)})`
    // The one connection of a PGlite keeps what is set once; set per transaction it would forget its prepared plans. And
    // it is this server's alone.
    return "pglite" in sql
      ? Effect.as(sql.unsafe(Execution.prepareSession), { ...prepared, check, prepare: "" })
      : Effect.succeed({ ...prepared, check, prepare: `${Execution.prepare};${check};` })
  })

const inTransaction = (sql: SqlClient.SqlClient, app: SyncApp.SyncApp, role: string) =>
  sql.withTransaction(
    Effect.gen(function* () {
      yield* sql.unsafe(`SELECT pg_advisory_xact_lock(${realmLock})`)
      yield* checkPrivileges(sql)
      yield* createRole(sql, role)
      const installed = yield* install(sql, {
        app,
        side: "server",
        // Without tables, which are not prepared yet: so other audiences or another role are a change as well.
        sideSql: `${authoritySql}${readForSql(app, [], role)}`
      })
      // Images name the columns of their time, so nothing is taken back across a migration.
      if (installed.migrated)
        yield* sql.unsafe(
          "UPDATE synchrotron.realm SET floor_ms = clock_ms, floor_counter = clock_counter;SELECT synchrotron.adopt()"
        )
      const statements = yield* sql.unsafe<{
        name: string
        read_sql: string
        rows_sql: string
        visible_sql: string
      }>("SELECT name, read_sql, rows_sql, visible_sql FROM synchrotron.tables")
      yield* checkRowSecurity(sql)
      const policies = yield* policiesOf(sql, role)
      const tables = new Map<string, TableStatements>()
      for (const { name } of app.tables) {
        const row = statements.find((s) => s.name === name)!
        tables.set(name, {
          name,
          readSql: row.read_sql,
          rowsSql: row.rows_sql,
          visibleSql: `${row.visible_sql} AND ${policies.get(name) ?? "true"}`
        })
      }
      if (installed.changed)
        yield* sql.unsafe(`${readForSql(app, [...tables.values()], role)}${privilegesSql(identifier(role))}`)
      return { mode: { ...installed.mode, role }, tables }
    })
  )

/** Runs statements of which the database user may be refused, and says what a superuser must do then. */
const attempt = (sql: SqlClient.SqlClient, statements: string, advice: (user: string) => string) =>
  sql.withTransaction(sql.unsafe(statements)).pipe(
    Effect.catchIf(
      (error) => Execution.sqlState(error) === "42501",
      () =>
        Effect.flatMap(sql.unsafe<{ name: string }>("SELECT quote_ident(session_user) AS name"), ([user]) =>
          Effect.fail(new AuthoritySetupError({ message: advice(user!.name) }))
        )
    )
  )

const checkPrivileges = (sql: SqlClient.SqlClient) =>
  attempt(
    sql,
    "SELECT set_config('session_replication_role', 'origin', true)",
    (user) =>
      `The database user ${user} may not set session_replication_role, which puts rows back without firing triggers again. As a superuser run: GRANT SET ON PARAMETER session_replication_role TO ${user};`
  )

/** What the engine takes back and puts back it must see whole: row-level security is for the principals' role only. */
const checkRowSecurity = (sql: SqlClient.SqlClient) =>
  Effect.flatMap(
    sql.unsafe<{ name: string; user: string }>(
      `SELECT x.name, quote_ident(current_user) AS user FROM synchrotron.tables AS t,
         LATERAL (SELECT format('%I.%I', split_part(t.name, '.', 1), substr(t.name, strpos(t.name, '.') + 1)) AS name) AS x
       WHERE row_security_active(x.name) ORDER BY 1`
    ),
    ([first]) =>
      first === undefined
        ? Effect.void
        : new AuthoritySetupError({
            message: `Row-level security hides rows of ${first.name} from the database user ${first.user}, which has to take back and put back all of them. Let it own the table, without FORCE ROW LEVEL SECURITY: records are executed as another role. Or as a superuser run: ALTER ROLE ${first.user} BYPASSRLS;`
          })
  )

const createRole = (sql: SqlClient.SqlClient, role: string) =>
  Effect.gen(function* () {
    const [known] = yield* sql.unsafe<{ exists: boolean; member: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)}) AS exists,
        EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)} AND pg_has_role(session_user, oid, 'MEMBER')) AS member`
    )
    const create = known!.exists
      ? ""
      : // Roles belong to the whole cluster, so another database's server may be making it at this moment.
        `DO $$ BEGIN CREATE ROLE ${identifier(role)} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; `
    const grant = known!.member ? "" : `GRANT ${identifier(role)} TO SESSION_USER;`
    if (create + grant === "") return
    yield* attempt(
      sql,
      create + grant,
      (user) =>
        `The database user ${user} may not create or use the role ${role}, as which records are executed. As a superuser run: ${create}${grant.replace("SESSION_USER", user)}`
    )
  })

/**
 * The SELECT policies of each synced table as one expression, as Postgres combines them: any permissive one and every
 * restrictive one. It is evaluated over images of rows that may be gone, which the policies themselves cannot be.
 */
const policiesOf = (sql: SqlClient.SqlClient, role: string) =>
  Effect.map(
    sql.unsafe<{
      name: string
      secured: boolean
      permissive: ReadonlyArray<string> | null
      restrictive: ReadonlyArray<string> | null
    }>(
      `SELECT t.name, c.relrowsecurity AS secured,
         array_agg('(' || pg_get_expr(p.polqual, p.polrelid) || ')') FILTER (WHERE p.polpermissive) AS permissive,
         array_agg('(' || pg_get_expr(p.polqual, p.polrelid) || ')') FILTER (WHERE NOT p.polpermissive) AS restrictive
       FROM synchrotron.tables t
       JOIN pg_namespace n ON n.nspname = split_part(t.name, '.', 1)
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = substr(t.name, strpos(t.name, '.') + 1)
       LEFT JOIN pg_policy p ON p.polrelid = c.oid AND p.polcmd IN ('r', '*') AND p.polqual IS NOT NULL
         AND EXISTS (SELECT FROM unnest(p.polroles) AS r(oid) WHERE r.oid = 0 OR pg_has_role(${literal(role)}, r.oid, 'MEMBER'))
       GROUP BY 1, 2`
    ),
    (rows) =>
      new Map(
        rows.map((row) => [
          row.name,
          row.secured
            ? [`(${row.permissive?.join(" OR ") ?? "false"})`, ...(row.restrictive ?? [])].join(" AND ")
            : "true"
        ])
      )
  )

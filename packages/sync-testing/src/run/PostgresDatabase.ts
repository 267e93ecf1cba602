/** A database for one arena on a Postgres that somebody else started, with an owner as the server should have. */
import { randomBytes } from "node:crypto"
import { identifier } from "@synchrotron/sync-core"
import pg from "pg"

export interface PostgresDatabase {
  readonly url: string
  /** What each connection runs first: it gives up the rights that the url's user has beyond the owner's. */
  readonly becomeOwner: string
  /** Ends these backends, and resolves when they are gone. */
  readonly terminate: (pids: ReadonlyArray<number>) => Promise<void>
  readonly drop: () => Promise<void>
}

/** Arenas that are opened at once would otherwise change the same rows of the catalog: `tuple concurrently updated`. */
const setupLock = 7_309_453_021_447_199n

const goneMsMax = 30_000

/**
 * @param url a user that may create databases; when it is a superuser, the owner is a plain role of its own
 * @param role the principals' role
 */
export const createDatabase = async (url: string, role: string): Promise<PostgresDatabase> => {
  const admin = new pg.Client({ connectionString: url, application_name: "synchrotron-sim" })
  // What is wrong shows at the next statement.
  admin.on("error", () => {})
  await admin.connect()
  const run = (sql: string) => admin.query(sql)
  const alone = async (statements: ReadonlyArray<string>) => {
    await run(`SELECT pg_advisory_lock(${setupLock})`)
    try {
      for (const statement of statements) await run(statement)
    } finally {
      await run(`SELECT pg_advisory_unlock(${setupLock})`)
    }
  }
  const name = `synchrotron_sim_${randomBytes(6).toString("hex")}`
  const { rows } = await run("SELECT rolsuper AS free FROM pg_roles WHERE rolname = current_user")
  const owner: string | null = rows[0]?.free ? name : null
  try {
    if (owner !== null)
      await alone([
        `DO $$ BEGIN CREATE ROLE ${identifier(role)} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`,
        `CREATE ROLE ${owner} NOSUPERUSER NOCREATEROLE NOBYPASSRLS`,
        `GRANT SET ON PARAMETER session_replication_role TO ${owner}`,
        `GRANT ${identifier(role)} TO ${owner}`
      ])
    await createWithCollation(run, `CREATE DATABASE ${name}${owner === null ? "" : ` OWNER ${owner}`}`)
  } catch (error) {
    await admin.end()
    throw error
  }
  const inDatabase = new URL(url)
  inDatabase.pathname = `/${name}`
  return {
    url: inDatabase.href,
    becomeOwner: owner === null ? "" : `SET SESSION AUTHORIZATION ${owner}`,
    terminate: async (pids) => {
      const { rows } = await run(
        `SELECT pid FROM unnest(ARRAY[${pids.join(", ")}]::integer[]) AS pid
         WHERE NOT pg_terminate_backend(pid, ${goneMsMax}) AND EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = pid)`
      )
      if (rows.length > 0) throw new Error(`The backend ${rows[0].pid} of a crashed process does not end.`)
    },
    drop: async () => {
      await run(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      if (owner !== null)
        await alone([`REVOKE SET ON PARAMETER session_replication_role FROM ${owner}`, `DROP ROLE ${owner}`])
      await admin.end()
    }
  }
}

/** Collation C sorts as PGlite does; ctype needs UTF-8, under the first name that the server's system knows. */
const createWithCollation = async (run: (sql: string) => Promise<unknown>, create: string) => {
  const ctypes = ["C.UTF-8", "C.utf8", "en_US.UTF-8", "C"]
  for (const [i, ctype] of ctypes.entries()) {
    try {
      await run(
        `${create} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE '${ctype}'`
      )
      return
    } catch (error) {
      if (i === ctypes.length - 1) throw error
    }
  }
}

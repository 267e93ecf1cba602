import { randomBytes } from "node:crypto"
import pg from "pg"

export interface TestDatabase {
  readonly url: string
  /** Ends the connections that are left and removes the database. */
  readonly drop: () => Promise<void>
}

/**
 * A fresh, empty database on the server of the run, with collation C and ctype UTF-8 like PGlite's.
 *
 * @param serverUrl `inject("postgresUrl")`
 * @param prefix start of the database's name, to recognise it in logs
 * @example
 * const database = await createDatabase(inject("postgresUrl"), "feed")
 * afterAll(database.drop)
 */
export async function createDatabase(serverUrl: string, prefix = "test"): Promise<TestDatabase> {
  const name = `${prefix.toLowerCase().replace(/[^a-z0-9_]/g, "_")}_${randomBytes(6).toString("hex")}`
  await run(serverUrl, `CREATE DATABASE "${name}" TEMPLATE template0`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    drop: () => run(serverUrl, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
  }
}

async function run(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

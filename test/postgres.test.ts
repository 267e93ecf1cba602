import pg from "pg"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { createDatabase, type TestDatabase } from "./postgres.ts"

describe("the Postgres of the test run", () => {
  let database: TestDatabase
  let client: pg.Client
  beforeAll(async () => {
    database = await createDatabase(inject("postgresUrl"), "tooling")
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
  })
  afterAll(async () => {
    await client.end()
    await database.drop()
  })

  it("is version 15 or later", async () => {
    const { rows } = await client.query("SELECT current_setting('server_version_num')::int AS version")
    expect(rows[0].version).toBeGreaterThanOrEqual(150000)
  })

  it("sorts by code point, like PGlite, and knows letters beyond ASCII", async () => {
    const { rows } = await client.query("SELECT x FROM (VALUES ('b'), ('A'), ('a'), ('B')) t(x) ORDER BY x")
    expect(rows.map((row) => row.x)).toEqual(["A", "B", "a", "b"])
    const upper = await client.query("SELECT upper('é') AS x, current_setting('server_encoding') AS encoding")
    expect(upper.rows[0]).toEqual({ x: "É", encoding: "UTF8" })
  })
})

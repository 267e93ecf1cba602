/** Both databases give and take the same JavaScript values, wherever the process thinks it is. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { createDatabase, type TestDatabase } from "../../../../test/postgres.ts"
import { type Database, describe as describeDatabase, layer } from "../../src/database.ts"

const zone = process.env.TZ
let postgres: TestDatabase
beforeAll(async () => {
  process.env.TZ = "America/New_York"
  postgres = await createDatabase(inject("postgresUrl"), "values")
})
afterAll(async () => {
  if (zone === undefined) delete process.env.TZ
  else process.env.TZ = zone
  await postgres.drop()
})

const values = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const at = new Date("2026-01-02T03:04:05.678Z")
  // Several connections, where there are several.
  const settings = yield* Effect.all(
    Array.from(
      { length: 4 },
      () => sql`select current_setting('TimeZone') as zone, pg_sleep(0.02)::text as pause`
    ),
    { concurrency: 4 }
  )
  const given = yield* sql`
    select ${at}::timestamp as "timestamp", ${at}::timestamptz as "timestamptz", ${at}::timestamp::text as stamp_text,
      '2026-01-02 03:04:05+00'::timestamptz::text as zoned_text, '2026-01-02'::date as day, 12.50::numeric as amount,
      9007199254740993::int8 as large, 7::int8 as small, '{"a":1}'::jsonb as json, '{1,2}'::int[] as list,
      '\\x00ff'::bytea as bytes, 0.1::float8 as ratio, '1 day 2 hours'::interval as span`
  return { settings, given }
})

const from = (database: Database) => Effect.runPromise(Effect.provide(values, layer(database)))

describe("databases", () => {
  it("agree on values and settings", async () => {
    const embedded = await from({ _tag: "embedded", dataDir: "memory://" })
    const served = await from({ _tag: "postgres", url: postgres.url })
    expect(served).toEqual(embedded)
    expect(served.given[0]).toMatchObject({
      stamp_text: "2026-01-02 03:04:05.678",
      amount: "12.50",
      small: 7
    })
  })

  it("are described without their passwords", () => {
    expect(describeDatabase({ _tag: "postgres", url: "postgres://ann:hidden@db.example:5433/app" })).toBe(
      "Postgres db.example:5433/app"
    )
    expect(describeDatabase({ _tag: "postgres", url: "not a url with a hidden password" })).toBe("Postgres")
  })
})

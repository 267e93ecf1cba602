/** Costs that only a plan shows. */
import { Effect } from "effect"
import { expect, inject, it } from "vitest"
import { createDatabase } from "../../../test/postgres.ts"
import { countersApp } from "./counters.ts"
import { makeWorld } from "./world.ts"

it("I9: reading changed rows as a user looks them up by key, though policies forbid an index most comparisons", async () => {
  const database = await createDatabase(inject("postgresUrl"), "plans")
  await Effect.gen(function* () {
    const { server } = yield* makeWorld(countersApp, { _tag: "postgres", url: database.url })
    yield* server.unsafe("INSERT INTO counters SELECT 'c' || i, i, 'A' FROM generate_series(1, 20000) AS i")
    yield* server.unsafe("ANALYZE counters")
    const [table] = yield* server.unsafe<{ read_sql: string }>(
      "SELECT read_sql FROM synchrotron.tables WHERE name = 'public.counters'"
    )
    const plan = yield* server.withTransaction(
      Effect.zipRight(
        server.unsafe("SET LOCAL ROLE synchrotron_user"),
        server.unsafe(`EXPLAIN ${table!.read_sql}`, [['["c77"]'], ["list:A"]])
      )
    )
    expect(JSON.stringify(plan)).toContain("Index Cond: (id = x.k0)")
  }).pipe(Effect.scoped, Effect.runPromise)
  await database.drop()
})

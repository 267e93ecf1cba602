import { PgliteError, sqlState } from "@synchrotron/sql-pglite"
import { Chunk, Deferred, Effect, Fiber, Stream } from "effect"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { failure, openClient, run, type TestClient } from "./support.ts"

let client: TestClient
let sql: TestClient["sql"]

beforeAll(async () => {
  client = await openClient({ preparedMax: 8, settings: { "app.name": "it's set" } })
  sql = client.sql
})
afterAll(() => client.close())
beforeEach(() =>
  run(
    sql.unsafe(
      "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int PRIMARY KEY, name text)"
    )
  )
)

test("settings", async () => {
  const [row] = await run(
    sql`SELECT current_setting('app.name') AS name, current_setting('TimeZone') AS zone`
  )
  expect(row).toEqual({ name: "it's set", zone: "UTC" })
})

describe("errors", () => {
  test("carry the fields of node-pg's DatabaseError", async () => {
    await run(sql`INSERT INTO t VALUES (${1})`)
    const error = await failure(sql`INSERT INTO t VALUES (${1})`)
    expect(error.cause).toBeInstanceOf(PgliteError)
    expect(error.cause).toMatchObject({
      code: "23505",
      severity: "ERROR",
      schema: "public",
      table: "t",
      constraint: "t_pkey",
      detail: "Key (id)=(1) already exists."
    })
    expect(await failure(sql.unsafe("SELECT nope"))).toMatchObject({
      cause: { code: "42703", position: "8" }
    })
  })

  test("sqlState reads either driver's errors, and no others", () => {
    expect(sqlState({ cause: { code: "40001", severity: "ERROR" } })).toBe("40001")
    expect(sqlState({ code: "40001", severity: "ERROR" })).toBe("40001")
    expect(sqlState({ cause: { code: "EPIPE" } })).toBeUndefined()
    expect(sqlState(new Error("x"))).toBeUndefined()
    expect(sqlState(null)).toBeUndefined()
  })

  test("COPY FROM STDIN is an error, not a hang", async () => {
    expect(sqlState(await failure(sql.unsafe("COPY t FROM STDIN")))).toBe("57014")
    expect(await run(sql`SELECT 1 AS one`)).toEqual([{ one: 1 }])
  })
})

describe("prepared statements and DDL", () => {
  const all = Effect.suspend(() => sql`SELECT * FROM t WHERE id = ${1}`)
  const seed = Effect.suspend(() => Effect.zipRight(sql`INSERT INTO t VALUES (${1}, ${"a"})`, all))

  test.each([
    ["a statement", "ALTER TABLE t ADD COLUMN more int"],
    ["a multi-statement string", "SELECT 1; ALTER TABLE t ADD COLUMN more int; SELECT 2"],
    ["a DO block", "DO $$ BEGIN ALTER TABLE t ADD COLUMN more int; END $$"],
    [
      "a new search path",
      "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS id, 'a' AS name, null::int AS more; SET search_path = s, public"
    ]
  ])("%s outside and inside a transaction", async (_, ddl) => {
    await run(seed)
    await run(sql.unsafe(ddl))
    expect(await run(all)).toEqual([{ id: 1, name: "a", more: null }])
    await run(
      sql.unsafe(
        "SET search_path = public; DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, name text); DROP SCHEMA IF EXISTS s CASCADE"
      )
    )
    await run(seed)
    const during = await run(sql.withTransaction(Effect.zipRight(sql.unsafe(ddl), all)))
    expect(during).toEqual([{ id: 1, name: "a", more: null }])
    await run(sql.unsafe("SET search_path = public"))
  })

  test("a rolled back change", async () => {
    await run(seed)
    await failure(
      sql.withTransaction(
        Effect.gen(function* () {
          yield* sql.unsafe("ALTER TABLE t ADD COLUMN more int")
          yield* all
          yield* Effect.fail("undo")
        })
      )
    )
    expect(await run(all)).toEqual([{ id: 1, name: "a" }])
    await run(
      sql.withTransaction(
        Effect.gen(function* () {
          yield* Effect.ignore(
            sql.withTransaction(
              Effect.zipRight(
                sql.unsafe("ALTER TABLE t ADD COLUMN more int"),
                Effect.zipRight(all, Effect.fail("undo"))
              )
            )
          )
          expect(yield* all).toEqual([{ id: 1, name: "a" }])
        })
      )
    )
  })

  test("a change hidden in a function is retried outside a transaction", async () => {
    await run(
      sql.unsafe(
        "CREATE FUNCTION widen() RETURNS void LANGUAGE plpgsql AS 'BEGIN ALTER TABLE t ADD COLUMN more int; END'"
      )
    )
    await run(seed)
    await run(sql`SELECT widen()`)
    expect(await run(all)).toEqual([{ id: 1, name: "a", more: null }])
  })

  test("DEALLOCATE and DISCARD", async () => {
    await run(seed)
    await run(sql.unsafe("DEALLOCATE ALL"))
    expect(await run(all)).toHaveLength(1)
    // Nothing can be tried again there.
    expect(await run(sql.withTransaction(Effect.zipRight(sql.unsafe("DEALLOCATE ALL"), all)))).toHaveLength(1)
    await run(sql.unsafe("DISCARD ALL"))
    expect(await run(all)).toHaveLength(1)
  })

  test("what others prepare and deallocate leaves the kept statements alone", async () => {
    await run(seed)
    const prepared = sql`SELECT name, statement FROM pg_prepared_statements ORDER BY 1`
    await run(all)
    await run(prepared)
    const before = await run(prepared)
    await run(sql.unsafe("PREPARE other AS SELECT 1;EXECUTE other;DEALLOCATE other"))
    await run(all)
    expect(await run(prepared)).toEqual(before)
  })

  test("DDL inside a pipeline", async () => {
    await run(seed)
    const [, rows] = await run(
      sql.pipeline([
        { sql: "ALTER TABLE t ADD COLUMN more int" },
        { sql: "SELECT * FROM t WHERE id = $1", params: [1] }
      ])
    )
    expect(rows).toEqual([{ id: 1, name: "a", more: null }])
  })

  test("the cache is bounded on both sides", async () => {
    for (let i = 0; i < 40; i++) await run(sql.unsafe(`SELECT ${i} AS i, $1::int AS p`, [i]))
    const [row] = await run(sql`SELECT count(*) AS n FROM pg_prepared_statements`)
    expect(row!.n).toBeLessThanOrEqual(10)
  })

  test("a statement that fails to parse leaves nothing behind", async () => {
    await failure(sql`SELECT nope FROM t WHERE id = ${1}`)
    await run(sql.unsafe("ALTER TABLE t ADD COLUMN nope int"))
    expect(await run(sql`SELECT nope FROM t WHERE id = ${1}`)).toEqual([])
  })
})

describe("pipeline", () => {
  test("gives each statement's rows", async () => {
    const insert = { sql: "INSERT INTO t VALUES ($1, $2) RETURNING id" }
    const results = await run(
      sql.pipeline([
        { ...insert, params: [1, "a"] },
        { ...insert, params: [2, "b"] },
        { sql: "UPDATE t SET name = 'c'" },
        { sql: "SELECT * FROM t ORDER BY id" }
      ])
    )
    expect(results).toEqual([
      [{ id: 1 }],
      [{ id: 2 }],
      [],
      [
        { id: 1, name: "c" },
        { id: 2, name: "c" }
      ]
    ])
    expect(await run(sql.pipeline([]))).toEqual([])
  })

  test("is atomic outside a transaction, part of it inside", async () => {
    const twice = sql.pipeline([
      { sql: "INSERT INTO t VALUES ($1)", params: [1] },
      { sql: "INSERT INTO t VALUES ($1)", params: [1] }
    ])
    expect(sqlState(await failure(twice))).toBe("23505")
    expect(await run(sql`SELECT * FROM t`)).toEqual([])
    await failure(
      sql.withTransaction(
        Effect.zipRight(sql.pipeline([{ sql: "INSERT INTO t VALUES (3)" }]), Effect.fail("undo"))
      )
    )
    expect(await run(sql`SELECT * FROM t`)).toEqual([])
  })
})

test("listen and notify", async () => {
  const got = await run(
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(sql.listen('odd "name"').pipe(Stream.take(3), Stream.runCollect))
      yield* Effect.sleep(20)
      yield* sql.notify("other", "not for us")
      yield* sql.notify('odd "name"', "1")
      yield* Effect.ignore(
        sql.withTransaction(Effect.zipRight(sql.notify('odd "name"', "undone"), Effect.fail("x")))
      )
      yield* sql.withTransaction(sql.notify('odd "name"', "2"))
      yield* sql.notify('odd "name"', "")
      return Chunk.toReadonlyArray(yield* Fiber.join(fiber))
    })
  )
  expect(got).toEqual(["1", "2", ""])
  expect(await run(sql`SELECT pg_listening_channels()`)).toEqual([])
})

test("use runs on the raw instance between other fibers' work", async () => {
  const rows = await run(
    Effect.gen(function* () {
      const ready = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`INSERT INTO t VALUES (1)`
            yield* Deferred.succeed(ready, undefined)
            yield* Effect.sleep(10)
            yield* sql.use((db) => db.query("INSERT INTO t VALUES (2)"))
          })
        )
      )
      yield* Deferred.await(ready)
      const result = yield* sql.use((db) => db.query("SELECT id FROM t ORDER BY id"))
      yield* Fiber.join(fiber)
      return result.rows
    })
  )
  expect(rows).toEqual([{ id: 1 }, { id: 2 }])
  const copied = new Blob(["5\tfive\n6\tsix\n"])
  await run(sql.use((db) => db.query("COPY t FROM '/dev/blob'", [], { blob: copied })))
  expect(await run(sql`SELECT name FROM t WHERE id > 4 ORDER BY id`)).toEqual([
    { name: "five" },
    { name: "six" }
  ])
  const swallowed = sql.withTransaction(Effect.ignore(sql.use((db) => db.query("SELECT 1/0"))))
  expect(sqlState(await failure(swallowed))).toBe("25P02")
  expect((await failure(sql.use(() => Promise.reject(new Error("mine")))))._tag).toBe("SqlError")
})

test("values, raw, record helpers", async () => {
  await run(
    sql`INSERT INTO t ${sql.insert([
      { id: 1, name: "a" },
      { id: 2, name: "b" }
    ])}`
  )
  expect(await run(sql`SELECT id, name FROM t ORDER BY id`.values)).toEqual([
    [1, "a"],
    [2, "b"]
  ])
  expect(await run(sql`UPDATE t SET ${sql.update({ name: "c" })} WHERE id = ${1}`.raw)).toMatchObject({
    command: "UPDATE",
    rowCount: 1,
    rows: []
  })
  expect(await run(sql`SELECT * FROM t WHERE ${sql.in("id", [1, 3])}`)).toEqual([{ id: 1, name: "c" }])
  expect(await run(sql.unsafe("SELECT 1 AS a; SELECT 2 AS a; "))).toEqual([[{ a: 1 }], [{ a: 2 }]])
})

test("replies larger than every buffer", async () => {
  const [row] = await run(sql`SELECT repeat('é', ${3_000_000}::int) AS big`)
  expect((row!.big as string).length).toBe(3_000_000)
  const rows = await run(sql`SELECT n, repeat('x', 50) AS pad FROM generate_series(1, ${100_000}::int) n`)
  expect(rows).toHaveLength(100_000)
  expect(rows[99_999]).toEqual({ n: 100_000, pad: "x".repeat(50) })
  const [echo] = await run(sql`SELECT ${"ü".repeat(2_000_000)}::text AS big`)
  expect((echo!.big as string).length).toBe(2_000_000)
})

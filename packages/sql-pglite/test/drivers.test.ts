/**
 * One suite, run by PGlite and by `@effect/sql-pg` on a real Postgres: the engine runs on both, so values, row
 * shapes and errors must not differ. The zone of this process and of the Postgres database are set to odd ones, to
 * show that neither matters.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import type { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { jsonParam, pgDefaults, pgOptions, pgTypes, sqlState } from "@synchrotron/sql-pglite"
import { Effect, Exit, Redacted, Scope, Stream } from "effect"
import fc from "fast-check"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { createDatabase } from "../../../test/postgres.ts"
import { failure, openClient, run } from "./support.ts"

process.env.TZ = "America/New_York"

interface Driver {
  readonly sql: SqlClient.SqlClient
  readonly close: () => Promise<void>
}

const openPostgres = async (): Promise<Driver> => {
  Object.assign(pg.defaults, pgDefaults)
  const database = await createDatabase(inject("postgresUrl"), "drivers")
  const scope = await run(Scope.make())
  const url = new URL(database.url)
  url.searchParams.set("options", `-c TimeZone=Asia/Kolkata -c DateStyle=German ${pgOptions}`)
  const sql = await run(
    PgClient.make({ url: Redacted.make(url.href), types: pgTypes, maxConnections: 2 }).pipe(
      Scope.extend(scope),
      Effect.provide(Reactivity.layer)
    )
  )
  const close = async () => {
    await run(Scope.close(scope, Exit.void))
    await database.drop()
  }
  return { sql, close }
}

const bytes = new Uint8Array([0, 1, 127, 128, 255])
const instant = new Date("2024-02-29T23:59:58.123Z")

/** Type, text form that goes in, value that comes out, parameter that goes in. */
const types: ReadonlyArray<readonly [type: string, literal: string, value: unknown, param?: unknown]> = [
  ["bool", "t", true],
  ["bool", "f", false],
  ["int2", "-32768", -32768],
  ["int4", "2147483647", 2147483647],
  ["oid", "4294967295", 4294967295],
  ["int8", "9007199254740991", 9007199254740991],
  ["int8", "9007199254740993", 9007199254740993n],
  ["int8", "-9223372036854775808", -9223372036854775808n],
  ["float4", "1.5", 1.5],
  ["float8", "0.1", 0.1],
  ["float8", "5e-324", 5e-324],
  ["float8", "NaN", Number.NaN],
  ["float8", "-Infinity", Number.NEGATIVE_INFINITY],
  ["numeric", "12345678901234567890.123456789000", "12345678901234567890.123456789000"],
  ["numeric", "NaN", "NaN"],
  ["money", "$1,234.50", "$1,234.50"],
  ["text", "", ""],
  ["text", `it's "quoted" \\ {1,2} NULL ünï 🙂`, `it's "quoted" \\ {1,2} NULL ünï 🙂`],
  ["text", "\ufeffmark", "\ufeffmark"],
  ["varchar(3)", "abc", "abc"],
  ["char(3)", "a", "a  "],
  ['"char"', "x", "x"],
  ["name", "n", "n"],
  ["uuid", "018f3c5e-7a10-7000-8000-000000000001", "018f3c5e-7a10-7000-8000-000000000001"],
  ["timestamptz", "2024-02-29 23:59:58.123+00", instant],
  ["timestamptz", "2024-02-29 23:59:58.123456+05:30", new Date("2024-02-29T18:29:58.123Z"), null],
  ["timestamptz", "0001-01-01 00:00:00+00", new Date("0001-01-01T00:00:00.000Z")],
  ["timestamptz", "0044-03-15 12:00:00+00 BC", new Date("-000043-03-15T12:00:00.000Z")],
  ["timestamptz", "12345-06-07 00:00:00+00", new Date("+012345-06-07T00:00:00.000Z")],
  ["timestamptz", "infinity", "infinity"],
  ["timestamptz", "-infinity", "-infinity"],
  ["timestamptz", "294000-01-01 00:00:00+00", "294000-01-01 00:00:00+00"],
  ["timestamp", "2024-02-29 23:59:58.123", instant],
  ["timestamp", "infinity", "infinity"],
  ["date", "2024-02-29", "2024-02-29", instant],
  ["time", "23:59:58.123456", "23:59:58.123456"],
  ["timetz", "23:59:58+05:30", "23:59:58+05:30"],
  ["interval", "1 year 2 mons 3 days 04:05:06", "1 year 2 mons 3 days 04:05:06"],
  ["json", '{"a": [1, null, "x"]}', { a: [1, null, "x"] }],
  ["json", "null", null, "  null"],
  ["jsonb", '{"a": {"b": 1.5}}', { a: { b: 1.5 } }],
  ["jsonb", "[1, 2]", [1, 2], "[1, 2]"],
  ["jsonb", '"scalar"', "scalar", '"scalar"'],
  ["bytea", "\\x00017f80ff", bytes],
  ["bytea", "\\x", new Uint8Array()],
  ["inet", "10.0.0.1/8", "10.0.0.1/8"],
  ["cidr", "10.0.0.0/8", "10.0.0.0/8"],
  ["macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:03"],
  ["bit(3)", "101", "101"],
  ["varbit", "1", "1"],
  ["point", "(1,2)", "(1,2)"],
  ["int4range", "[1,5)", "[1,5)"],
  ["tsvector", "'a' 'b'", "'a' 'b'"],
  ["mood", "ok", "ok"],
  ["pair", "(1,x)", "(1,x)"],
  ["positive", "5", 5]
]

const arrays: ReadonlyArray<readonly [type: string, value: ReadonlyArray<unknown>]> = [
  ["bool[]", [true, null, false]],
  ["int2[]", [1, -1]],
  ["int4[]", []],
  [
    "int4[]",
    [
      [1, 2],
      [3, null]
    ]
  ],
  [
    "int4[]",
    [
      [[1], [2]],
      [[3], [4]]
    ]
  ],
  ["int8[]", [1, 9007199254740993n]],
  ["float8[]", [1.5, null]],
  ["numeric[]", ["1.10", null]],
  ["text[]", ["", "NULL", null, "null", 'a"b', "a\\b", "a,b", "{}", " pad ", "ü🙂"]],
  ["varchar[]", ["a b"]],
  ["uuid[]", ["018f3c5e-7a10-7000-8000-000000000001"]],
  ["timestamptz[]", [instant, null]],
  ["timestamp[]", [instant]],
  ["date[]", ["2024-02-29"]],
  ["interval[]", ["1 day", "02:00:00"]],
  ["bytea[]", [bytes, null]],
  ["json[]", [{ a: 'x"y' }, null]],
  ["jsonb[]", [{ a: [1] }]],
  ["inet[]", ["10.0.0.1"]],
  ["point[]", ["(1,2)"]],
  ["int4range[]", ["[1,5)", "empty"]]
]

const drivers = [
  ["PGlite", openClient as () => Promise<Driver>],
  ["Postgres", openPostgres]
] as const

describe.each(drivers)("%s", (_, open) => {
  let sql: SqlClient.SqlClient
  let driver: Driver
  beforeAll(async () => {
    driver = await open()
    sql = driver.sql
    await run(
      sql.unsafe(`
        CREATE TYPE mood AS ENUM ('ok', 'so, so');
        CREATE TYPE pair AS (a int, b text);
        CREATE DOMAIN positive AS int CHECK (VALUE > 0)
      `)
    )
  })
  afterAll(() => driver?.close())

  const one = async (statement: string, params: ReadonlyArray<unknown> = []) => {
    const [row] = await run(sql.unsafe<{ v: unknown }>(statement, params as Array<string>))
    return row!.v
  }

  test.each(types)("%s %s", async (type, literal, value, param) => {
    const quoted = `'${(literal as string).replace(/'/g, "''")}'`
    expect(await one(`SELECT ${quoted}::${type} AS v`)).toStrictEqual(value)
    expect(await one(`SELECT $1::${type} AS v`, [literal])).toStrictEqual(value)
    if (param !== null) expect(await one(`SELECT $1::${type} AS v`, [param ?? value])).toStrictEqual(value)
    expect(await one(`SELECT NULL::${type} AS v`)).toBe(null)
  })

  test.each(arrays)("%s, case %#", async (type, value) => {
    expect(await one(`SELECT $1::${type} AS v`, [value])).toStrictEqual(value)
  })

  test("arrays with bounds, and arrays of types of the application", async () => {
    expect(await one("SELECT '[0:1]={1,2}'::int[] AS v")).toEqual([1, 2])
    expect(await one("SELECT ARRAY['ok', 'so, so']::mood[] AS v")).toBe('{ok,"so, so"}')
    expect(await one("SELECT ARRAY['ok', 'so, so']::mood[]::text[] AS v")).toEqual(["ok", "so, so"])
  })

  test("a Date keeps its wall clock in UTC whatever the column", async () => {
    const late = new Date("2024-01-01T01:30:00.000Z")
    expect(await one("SELECT $1::timestamp::text AS v", [late])).toBe("2024-01-01 01:30:00")
    expect(await one("SELECT $1::timestamptz::text AS v", [late])).toBe("2024-01-01 01:30:00+00")
    expect(await one("SELECT $1::date::text AS v", [late])).toBe("2024-01-01")
  })

  test("parameters that are nothing, and what the server refuses", async () => {
    expect(await one("SELECT $1::text AS v", [undefined])).toBe(null)
    expect(await one("SELECT $1::text AS v", [null])).toBe(null)
    expect(await one("SELECT $1::text AS v", [-0])).toBe("0")
    expect(await one("SELECT $1::text AS v", [{ a: 1 }])).toBe('{"a":1}')
    expect(await one("SELECT $1::bytea AS v", [bytes.subarray(1, 3)])).toStrictEqual(bytes.slice(1, 3))
    const refused = async (statement: string, param: unknown) =>
      sqlState(await failure(sql.unsafe(statement, [param as string])))
    expect(await refused("SELECT $1::timestamptz AS v", new Date(Number.NaN))).toMatch(/^22/)
    expect(await refused("SELECT $1::text AS v", "nul \0 byte")).toBe("22021")
    expect(await refused("SELECT $1::jsonb AS v", [1, 2])).toBe("22P02")
    expect(await refused("SELECT $1 + 1.5 AS v", "x")).toBe("22P02")
  })

  test("jsonParam sends any value as JSON", async () => {
    for (const value of [{ a: [1] }, [1, "x"], "text", 7, true, null]) {
      const [row] = await run(sql`SELECT ${jsonParam(sql, value)}::jsonb AS v`)
      expect(row!.v).toEqual(value)
    }
    await run(sql`CREATE TABLE documents (body jsonb)`)
    const [row] = await run(
      sql`INSERT INTO documents ${sql.insert({ body: jsonParam(sql, [1]) })} RETURNING body`
    )
    expect(row!.body).toEqual([1])
  })

  test("several statements in one string", async () => {
    const many = (text: string) => run(sql.unsafe(text))
    expect(await many("SELECT 1 AS a; SELECT 2 AS b, 3 AS c")).toEqual([[{ a: 1 }], [{ b: 2, c: 3 }]])
    expect(
      await many("CREATE TEMP TABLE m (a int); INSERT INTO m VALUES (1), (2); SELECT * FROM m; DROP TABLE m")
    ).toEqual([[], [], [{ a: 1 }, { a: 2 }], []])
    expect(await many("SELECT 1 AS a;")).toEqual([{ a: 1 }])
    expect(await many("SELECT 1 AS a;;")).toEqual([{ a: 1 }])
    expect(await many("SELECT ';' AS a")).toEqual([{ a: ";" }])
    expect(await many("")).toEqual([])
    expect(await many("-- nothing")).toEqual([])
    expect(await many("SELECT 1 AS a WHERE false; SELECT 2 AS a")).toEqual([[], [{ a: 2 }]])
    expect(await many("SELECT")).toEqual([{}])
    expect(sqlState(await failure(sql.unsafe("SELECT 1; SELECT nope; SELECT 2")))).toBe("42703")
    expect(sqlState(await failure(sql.unsafe("SELECT $1::int; SELECT 2", [1])))).toBe("42601")
    // One string without BEGIN is one transaction.
    await failure(sql.unsafe("CREATE TABLE half (a int); SELECT 1/0"))
    expect(await one("SELECT to_regclass('half') AS v")).toBe(null)
  })

  test("row shapes: duplicate names, raw results, values, streams", async () => {
    expect(await run(sql`SELECT 1 AS a, 2 AS a`)).toEqual([{ a: 2 }])
    expect(await run(sql`SELECT 1 AS a, 2 AS a`.values)).toEqual([[1, 2]])
    await run(sql`CREATE TABLE shapes (a int PRIMARY KEY, b jsonb)`)
    expect(
      await run(sql`INSERT INTO shapes ${sql.insert([{ a: 1 }, { a: 2 }])} RETURNING a`.raw)
    ).toMatchObject({
      command: "INSERT",
      rowCount: 2,
      rows: [{ a: 1 }, { a: 2 }],
      fields: [{ name: "a", dataTypeID: 23 }]
    })
    expect(await run(sql`DELETE FROM shapes WHERE a = ${2}`.raw)).toMatchObject({
      command: "DELETE",
      rowCount: 1
    })
    expect(await run(sql`CREATE TABLE shapes2 (a int)`.raw)).toMatchObject({
      command: "CREATE",
      rowCount: null
    })
    expect(await run(sql`UPDATE shapes SET ${sql.update({ b: JSON.stringify([1]) })} RETURNING b`)).toEqual([
      { b: [1] }
    ])
    const streamed = await run(
      sql`SELECT n FROM generate_series(1, ${500}::int) n`.stream.pipe(Stream.runCollect)
    )
    expect(streamed.length).toBe(500)
  })

  test("errors have the same fields", async () => {
    await run(sql`CREATE TABLE strict (a int NOT NULL CONSTRAINT small CHECK (a < 10))`)
    expect((await failure(sql`INSERT INTO strict VALUES (${11})`)).cause).toMatchObject({
      code: "23514",
      severity: "ERROR",
      schema: "public",
      table: "strict",
      constraint: "small"
    })
    expect((await failure(sql`INSERT INTO strict VALUES (${null})`)).cause).toMatchObject({
      code: "23502",
      column: "a"
    })
    expect((await failure(sql`SELECT * FROM missing`)).cause).toMatchObject({ code: "42P01", position: "15" })
  })

  test("property: strings and arrays of strings come back as they went", async () => {
    const text = fc.string({ unit: "binary" }).map((value) => value.replaceAll("\0", ""))
    const property = fc.asyncProperty(
      text,
      fc.array(fc.option(text)),
      fc.array(fc.tuple(text, text)),
      async (a, b, c) => {
        const [row] = await run(
          sql.unsafe<{ a: string; b: unknown; c: unknown }>(
            "SELECT $1::text AS a, $2::text[] AS b, $3::text[] AS c",
            [a, b, c] as never
          )
        )
        expect(row).toStrictEqual({ a, b, c })
      }
    )
    await fc.assert(property, { numRuns: 200 })
  })

  test("property: numbers, dates, bytes and json come back as they went", async () => {
    const date = fc.date({
      min: new Date("0001-01-01T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59Z"),
      noInvalidDate: true
    })
    const json = fc.jsonValue({ maxDepth: 3 })
    const property = fc.asyncProperty(
      fc.double(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      date,
      fc.uint8Array(),
      json,
      async (float, big, at, binary, value) => {
        const [row] = await run(
          sql.unsafe<Record<string, unknown>>(
            "SELECT $1::float8 AS float, $2::int8 AS big, $3::timestamptz AS at, $4::bytea AS binary, $5::json AS value",
            [float, big, at, binary, JSON.stringify(value)] as never
          )
        )
        expect(row!.float).toEqual(float === 0 ? 0 : float)
        expect(BigInt(row!.big as number)).toBe(big)
        expect(row!.at).toEqual(at)
        expect(row!.binary).toStrictEqual(binary)
        expect(row!.value).toEqual(JSON.parse(JSON.stringify(value)))
      }
    )
    await fc.assert(property, { numRuns: 200 })
  })
})

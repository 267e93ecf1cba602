import { createHash } from "node:crypto"
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { authoritySql } from "../../sync-server/src/authority/schema.ts"
import { install } from "../src/Install.ts"
import { literal } from "../src/sql/text.ts"
import {
  appOf,
  clear,
  contentOf,
  type Engine,
  installClient,
  kinds,
  patchesOf,
  readPatches,
  redo,
  type StoredPatch,
  undo,
  useDatabase
} from "./support.ts"

const runsMax = Number(process.env.TYPE_RUNS ?? 60)

const isWellFormed = (text: string) => !/\p{Surrogate}/u.test(text)
const plainText = fc
  .string({ unit: "grapheme", maxLength: 12 })
  .filter((text) => !text.includes("\0") && isWellFormed(text))
const json = fc.jsonValue({ maxDepth: 2, stringUnit: "grapheme" }).map((value) => JSON.stringify(value))
const noNul = json.filter(
  (text) => !text.includes("\\u0000") && isWellFormed(text) && !/\\ud[89a-f]/i.test(text)
)
const arrayOf = (items: ReadonlyArray<string | null>) =>
  `{${items.map((item) => (item === null ? "NULL" : `"${item.replace(/[\\"]/g, "\\$&")}"`)).join(",")}}`

interface Type {
  readonly sql: string
  /** Text forms that Postgres reads. */
  readonly values: ReadonlyArray<string>
  readonly random?: fc.Arbitrary<string>
  /** Has no equality, so it cannot be a key. */
  readonly noKey?: true
}

const types: Readonly<Record<string, Type>> = {
  smallint: { sql: "smallint", values: ["-32768", "0", "32767"] },
  int: { sql: "integer", values: ["-2147483648", "7"] },
  bigint: {
    sql: "bigint",
    values: ["9007199254740993", "-9223372036854775808", "9223372036854775807"],
    random: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
  },
  numeric: {
    sql: "numeric",
    values: [
      "1",
      "1.0",
      "1.00",
      "NaN",
      "Infinity",
      "-Infinity",
      `${"9".repeat(200)}.${"1".repeat(100)}`,
      "-0.000"
    ],
    random: fc
      .tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.nat(20))
      .map(([n, s]) => `${n}e-${s}`)
  },
  numericScaled: { sql: "numeric(10, 2)", values: ["1.005", "-99999999.99", "NaN"] },
  real: { sql: "real", values: ["0.1", "-0", "NaN", "Infinity", "1e-45", "3.4028235e38"] },
  double: {
    sql: "double precision",
    values: ["0.1", "-0", "NaN", "Infinity", "-Infinity", "5e-324", "0.30000000000000004"],
    random: fc.double().map(String)
  },
  text: {
    sql: "text",
    values: [
      "",
      " ",
      "NULL",
      "null",
      `it's "quoted" \\ back\\\\`,
      "line\nline\r\n\ttab",
      "ünïcödé 🎉 \u200d",
      "{a,b}",
      "a'); --"
    ],
    random: plainText
  },
  varchar: { sql: "varchar(8)", values: ["", "abc  ", "'\"\\"] },
  char: { sql: "char(5)", values: ["", "abc", "abc  ", "äöü"] },
  bytea: {
    sql: "bytea",
    values: ["\\x", "\\x00", "\\x0001ff5c27", "\\xdeadbeef00"],
    random: fc.uint8Array({ maxLength: 20 }).map((bytes) => `\\x${Buffer.from(bytes).toString("hex")}`)
  },
  bool: { sql: "boolean", values: ["true", "false"] },
  date: { sql: "date", values: ["2024-02-29", "0044-03-15 BC", "infinity", "-infinity", "5874897-12-31"] },
  timestamp: {
    sql: "timestamp",
    values: [
      "2024-02-29 23:59:59.999999",
      "infinity",
      "0001-01-01 00:00:00.000001 BC",
      "294276-12-31 23:59:59.999999"
    ]
  },
  timestamptz: {
    sql: "timestamptz",
    values: [
      "2024-02-29 23:59:59.999999+14",
      "-infinity",
      "infinity",
      "1883-11-18 12:03:57-04:56:02",
      "4713-01-01 BC"
    ]
  },
  time: { sql: "time", values: ["00:00", "24:00:00", "12:34:56.789012"] },
  timetz: { sql: "timetz", values: ["00:00+14", "23:59:59.999999-15:59:59"] },
  interval: {
    sql: "interval",
    values: ["0", "1 year -2 mons 3 days -04:05:06.000007", "178000000 years", "-1 mon", "infinity"]
  },
  uuid: {
    sql: "uuid",
    values: ["00000000-0000-0000-0000-000000000000", "0199C2F4-A1B0-7000-8000-0123456789AB"]
  },
  json: {
    sql: "json",
    values: [`{"b": 1,   "a": 1.0, "a": 2}`, "null", `"text"`, " 12345678901234567890.10 ", "[]"],
    random: noNul,
    noKey: true
  },
  jsonb: {
    sql: "jsonb",
    values: [
      "null",
      `"a string"`,
      `"null"`,
      "12345678901234567890.10",
      "1e400",
      `{"a": {"b": [null, true, {"c": "\\"\\\\"}]}}`,
      "[]",
      "{}",
      "false"
    ],
    random: noNul
  },
  ints: { sql: "integer[]", values: ["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[2:3]={7,8}"] },
  texts: {
    sql: "text[]",
    values: ["{}", `{"a,b","c\\"d","",NULL,"NULL","{x}","\\\\"}`, `{{"a"},{"b"}}`],
    random: fc.array(fc.option(plainText), { maxLength: 4 }).map(arrayOf)
  },
  jsonbs: {
    sql: "jsonb[]",
    values: ["{}", `{"null",NULL,"{\\"a\\": [1, \\"x\\"]}"}`],
    random: fc.array(fc.option(noNul), { maxLength: 3 }).map(arrayOf)
  },
  bigints: { sql: "bigint[]", values: ["{9007199254740993,-1}", "{}"] },
  stamps: { sql: "timestamptz[]", values: ["{infinity,2024-02-29 23:59:59.999999+00,NULL}"] },
  mood: { sql: "mood", values: ["glad", "it's", `so "so", ok`] },
  moods: { sql: "mood[]", values: ["{}", `{glad,"it's",NULL,"so \\"so\\", ok"}`] },
  positive: { sql: "positive", values: ["1", "9007199254740993"] },
  pair: { sql: "pair", values: ["(,)", `(1,"a,""b"" \\\\ c")`, `(2,"")`, `(3,)`] },
  pairs: { sql: "pair[]", values: ["{}", `{"(1,\\"x y\\")",NULL,"(,)"}`] },
  inet: { sql: "inet", values: ["10.0.0.1", "10.0.0.0/8", "2001:db8::1/64"] },
  cidr: { sql: "cidr", values: ["10.0.0.0/8", "::/0"] },
  macaddr: { sql: "macaddr", values: ["08:00:2b:01:02:03"] },
  range: { sql: "int4range", values: ["empty", "[1,5)", "(,)", "[3,)"] },
  stampRange: { sql: "tstzrange", values: [`["2024-02-29 00:00:00.000001+00",infinity)`, "empty"] },
  multirange: { sql: "int4multirange", values: ["{}", "{[1,2),[5,9)}"] },
  tsvector: { sql: "tsvector", values: ["", `'a':1A,3 'b''c':2 'd\\\\e'`] },
  bit: { sql: "bit(5)", values: ["10101", "00000"] },
  varbit: { sql: "bit varying", values: ["", "1", "0101010101010101"] },
  money: { sql: "money", values: ["-12.34", "1234567.89"] },
  point: { sql: "point", values: ["(0.1,-0)", "(NaN,Infinity)"], noKey: true }
}

const columns = Object.keys(types)
const migration = `
  CREATE TYPE mood AS ENUM ('glad', 'it''s', 'so "so", ok');
  CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);
  CREATE TYPE pair AS (a integer, b text);
  CREATE TABLE everything (id integer PRIMARY KEY, ${columns.map((c) => `"${c}" ${types[c]!.sql}`).join(", ")});`
const app = appOf(migration, ["everything"])

// Postgres before 17 has no infinite interval.
const known = (column: string, value: string) => !(column === "interval" && value === "infinity")

const valueOf = (column: string): fc.Arbitrary<string> => {
  const { values, random, sql } = types[column]!
  const fixed = fc.constantFrom(...values.filter((value) => known(column, value)))
  return (random === undefined ? fixed : fc.oneof(fixed, random)).map((value) => `${literal(value)}::${sql}`)
}
const cell = (column: string) => fc.oneof({ weight: 4, arbitrary: valueOf(column) }, fc.constant("NULL"))
const row = fc.record(Object.fromEntries(columns.map((c) => [c, cell(c)])))
const some = fc
  .subarray(columns, { minLength: 1, maxLength: 6 })
  .chain((names) => fc.record(Object.fromEntries(names.map((c) => [c, cell(c)]))))
const id = fc.integer({ min: 1, max: 4 })
const set = (values: Record<string, string>) =>
  Object.entries(values)
    .map(([c, v]) => `"${c}" = ${v}`)
    .join(", ")

const write = fc.oneof(
  fc
    .tuple(id, row)
    .map(
      ([id, values]) =>
        `INSERT INTO everything (id, ${columns.map((c) => `"${c}"`).join(", ")}) VALUES (${id}, ${columns.map((c) => values[c]).join(", ")}) ON CONFLICT (id) DO UPDATE SET ${columns.map((c) => `"${c}" = excluded."${c}"`).join(", ")}`
    ),
  fc.tuple(id, some).map(([id, values]) => `UPDATE everything SET ${set(values)} WHERE id <= ${id}`),
  fc
    .tuple(id, id)
    .map(
      ([from, to]) =>
        `UPDATE everything SET id = ${to} WHERE id = ${from} AND NOT EXISTS (SELECT FROM everything WHERE id = ${to})`
    ),
  id.map((id) => `DELETE FROM everything WHERE id = ${id}`)
)
const writes = fc.array(write, { minLength: 1, maxLength: 6 })

// By row: in which order a statement meets rows depends on the heap, which a vacuum may rearrange at any time.
const digestOf = (patches: ReadonlyArray<Omit<StoredPatch, "record_id">>) => {
  const place = ({ tbl, key }: Omit<StoredPatch, "record_id">) => JSON.stringify([tbl, key])
  const byRow = [...patches].sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0))
  return createHash("sha256").update(JSON.stringify(byRow)).digest("hex")
}
/** Patches of each run by database: the same runs must leave the same. */
const digests: Record<string, Array<string>> = {}

const forget = Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe("DELETE FROM synchrotron.patches"))

const undoRedo = (engine: Engine, texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    yield* forget
    const start = yield* contentOf(engine.app)
    const patches = yield* patchesOf(engine, ...texts)
    const end = yield* contentOf(engine.app)
    yield* undo
    expect(yield* contentOf(engine.app), "undone").toEqual(start)
    yield* redo
    expect(yield* contentOf(engine.app), "redone").toEqual(end)
    return patches.map(({ record_id: _, ...patch }) => patch)
  })

describe.each(kinds)("I2: every type on %s", (kind) => {
  const { run } = useDatabase(kind)
  let engine: Engine

  it("each value of each type is taken back and put again byte for byte", () =>
    run(
      Effect.gen(function* () {
        engine = yield* installClient(app)
        const inserts = columns.flatMap((column, i) =>
          types[column]!.values.filter((value) => known(column, value)).map(
            (value, j) =>
              `INSERT INTO everything (id, "${column}") VALUES (${(i + 1) * 100 + j}, ${literal(value)}::${types[column]!.sql})`
          )
        )
        const patches = yield* undoRedo(engine, inserts)
        expect(patches).toHaveLength(inserts.length)
        digests[kind] = [digestOf(patches)]
        yield* undoRedo(engine, ["DELETE FROM everything"])
      })
    ))

  it("SQL NULL, JSON null and the text null are three things", () =>
    run(
      Effect.gen(function* () {
        const patches = yield* undoRedo(engine, [
          "INSERT INTO everything (id, json, jsonb, text) VALUES (1, 'null', 'null', 'null'), (2, NULL, NULL, NULL)",
          "UPDATE everything SET json = NULL, jsonb = NULL, text = NULL WHERE id = 1",
          "UPDATE everything SET jsonb = 'null' WHERE id = 2"
        ])
        expect(patches.map((p) => [p.after?.json, p.after?.jsonb, p.after?.text])).toEqual([
          ["null", "null", "null"],
          [null, null, null],
          [null, null, null],
          [null, "null", null]
        ])
        yield* undoRedo(engine, ["DELETE FROM everything"])
      })
    ))

  it(`undo . redo = id for ${runsMax} random sequences of writes`, () =>
    fc.assert(
      fc.asyncProperty(writes, (texts) =>
        run(
          Effect.map(undoRedo(engine, texts), (patches) => {
            digests[kind]!.push(digestOf(patches))
          })
        )
      ),
      { seed: 20240229, numRuns: runsMax, endOnFailure: true }
    ))

  it("every type that has an order can be a key", () =>
    run(
      Effect.gen(function* () {
        const keyed = columns.filter((column) => types[column]!.noKey === undefined)
        const engine = yield* installClient(
          appOf(
            `${migration} ${keyed.map((c) => `CREATE TABLE "by_${c}" (k ${types[c]!.sql}, n integer, x text, PRIMARY KEY (n, k));`).join("\n")}`,
            keyed.map((c) => `by_${c}`)
          )
        )
        const texts = keyed.flatMap((c) => {
          const values = types[c]!.values.filter((value) => known(c, value)).map(
            (value) => `${literal(value)}::${types[c]!.sql}`
          )
          return [
            ...values.map((value, n) => `INSERT INTO "by_${c}" VALUES (${value}, ${n}, 'a')`),
            `UPDATE "by_${c}" SET x = 'b'`,
            `UPDATE "by_${c}" SET n = -1 - n`,
            `UPDATE "by_${c}" SET k = ${values.at(-1)} WHERE n < -1`,
            `DELETE FROM "by_${c}" WHERE n = -1`
          ]
        })
        const patches = yield* undoRedo(engine, texts)
        digests[kind]!.push(digestOf(patches))
        yield* undoRedo(
          engine,
          keyed.map((c) => `DELETE FROM "by_${c}"`)
        )
      })
    ))

  it("the authority's text forms do not depend on the session that writes", () =>
    run(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* clear
        yield* sql.withTransaction(install(sql, { app, side: "server", sideSql: authoritySql }))
        const values = columns.map(
          (c) => `${literal(types[c]!.values.filter((v) => known(c, v)).at(-1)!)}::${types[c]!.sql}`
        )
        const names = columns.map((c) => `"${c}"`).join(", ")
        yield* sql.unsafe(`INSERT INTO everything (id, ${names}) VALUES (1, ${values.join(", ")})`)
        yield* sql.unsafe(
          `SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; SET intervalstyle = 'iso_8601'; SET extra_float_digits = 0; SET bytea_output = 'escape'`
        )
        yield* sql.unsafe(`INSERT INTO everything (id, ${names}) SELECT 2, ${names} FROM everything`)
        yield* sql.unsafe("UPDATE everything SET text = 'x' WHERE id = 2")
        yield* sql.unsafe(
          "SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'"
        )
        const patches = yield* readPatches
        const without = (image: Record<string, string | null>) => ({ ...image, id: "", text: "" })
        expect(patches).toHaveLength(3)
        expect(without(patches[1]!.after!)).toEqual(without(patches[0]!.after!))
        expect(without(patches[2]!.before!)).toEqual(without(patches[0]!.after!))
      })
    ))
})

describe("I8", () => {
  it("the same writes leave the same patches on PGlite and Postgres", () => {
    expect(digests.pglite!.length).toBe(runsMax + 2)
    expect(digests.postgres).toEqual(digests.pglite)
  })
})

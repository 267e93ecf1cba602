import { SqlClient } from "@effect/sql"
import { Effect, Exit, Schema } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import * as Action from "../src/Action.ts"
import * as Execution from "../src/Execution.ts"
import * as Hlc from "../src/Hlc.ts"
import * as Replica from "../src/Replica.ts"
import {
  ada,
  appOf,
  clear,
  execute,
  installClient,
  kinds,
  node,
  patchesOf,
  readPatches,
  recordOf,
  statements,
  useDatabase
} from "./support.ts"

/** Every overridden function, as an expression that gives its text. */
const calls: Readonly<Record<string, string>> = {
  now: "now()",
  transaction_timestamp: "transaction_timestamp()",
  statement_timestamp: "statement_timestamp()",
  clock_timestamp: "clock_timestamp()",
  timeofday: "timeofday()",
  age: "age(timestamptz '2000-01-01')",
  random: "random()",
  random_integer: "random(1, 1000000000)",
  random_bigint: "random(1, 9000000000000000000)",
  random_numeric: "random(1.00, 999999999.99)",
  random_normal: "random_normal()",
  random_normal_scaled: "random_normal(10, 2)",
  gen_random_uuid: "gen_random_uuid()",
  uuidv4: "uuidv4()",
  uuidv7: "uuidv7()",
  uuidv7_shifted: "uuidv7(interval '1 day')"
}
const timeCalls = [
  "now",
  "transaction_timestamp",
  "statement_timestamp",
  "clock_timestamp",
  "timeofday",
  "age"
]
const drawCalls = Object.keys(calls).filter((name) => !timeCalls.includes(name))

const migration = `
  CREATE TABLE drawn (id text PRIMARY KEY, ${Object.entries(calls)
    .map(([name, call]) => `"${name}" text NOT NULL DEFAULT (${call})::text`)
    .join(", ")});
  CREATE TABLE typed (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamptz NOT NULL DEFAULT now(), day date DEFAULT now()::date,
    weight double precision DEFAULT random(), plain timestamp DEFAULT now());
  CREATE FUNCTION app_now() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN now()::text; END $$;
  CREATE FUNCTION app_random() RETURNS text LANGUAGE plpgsql AS $$ DECLARE x text; BEGIN SELECT random()::text || gen_random_uuid() INTO x; RETURN x; END $$;
`
const app = appOf(migration, ["drawn", "typed"])
const readCalls = `SELECT ${Object.entries(calls)
  .map(([name, call]) => `(${call})::text AS "${name}"`)
  .join(", ")}`

/** A record whose day is another one. */
const daysLater = 3 * 86_400_000

/** What is the same on every database, to compare the suites. */
const seen = new Map<string, unknown>()
const expectSameOnAll = (name: string, value: unknown) => {
  if (seen.has(name)) expect(value, `${name} on another database`).toEqual(seen.get(name))
  else seen.set(name, value)
}

describe.each(kinds)("I8: functions of SQL on %s", (kind) => {
  const { run } = useDatabase(kind)
  const called = (n: number) =>
    Effect.gen(function* () {
      const engine = yield* installClient(app)
      const [exit] = yield* execute(engine, [recordOf(n, statements([readCalls]))])
      return (yield* exit!) as ReadonlyArray<ReadonlyArray<Record<string, string>>>
    }).pipe(Effect.map((results) => results[0]![0]!))

  it("a call repeats in its record, differs in another, and is the same everywhere", () =>
    run(
      Effect.gen(function* () {
        const first = yield* called(1)
        expect(Object.keys(first)).toEqual(Object.keys(calls))
        expect(yield* called(1)).toEqual(first)
        expectSameOnAll("calls", first)
        const other = yield* called(daysLater)
        for (const name of Object.keys(calls)) expect(other[name], name).not.toBe(first[name])
        // The draws of one record are different from each other.
        expect(new Set(drawCalls.map((name) => first[name])).size).toBe(drawCalls.length)
        expect(first.now).toBe("2024-02-29 12:00:00.124+00")
        expect(first.clock_timestamp).toBe(first.now)
        expect(first.uuidv4).toMatch(/^.{8}-.{4}-4.{3}-8.{3}-.{12}$/)
        expect(first.uuidv7!.replaceAll("-", "").slice(0, 13)).toBe(
          `${Date.UTC(2024, 1, 29, 12, 0, 0, 124).toString(16).padStart(12, "0")}7`
        )
      })
    ))

  it("a default repeats in its record, differs in another, and is the same everywhere", () =>
    run(
      Effect.gen(function* () {
        const insert = "INSERT INTO drawn (id) VALUES ('a')"
        const images: Array<Record<string, string | null>> = []
        for (const n of [1, 1, daysLater]) {
          const engine = yield* installClient(app)
          const [exit] = yield* execute(engine, [recordOf(n, statements([insert]))])
          expect(Exit.isSuccess(exit!)).toBe(true)
          images.push({ ...(yield* readPatches)[0]!.after })
        }
        expect(images[1]).toEqual(images[0])
        expectSameOnAll("defaults", images[0])
        for (const name of Object.keys(calls)) expect(images[2]![name], name).not.toBe(images[0]![name])
      })
    ))

  it("defaults of other types repeat too", () =>
    run(
      Effect.gen(function* () {
        const engine = yield* installClient(app)
        yield* execute(engine, [recordOf(7, statements(["INSERT INTO typed DEFAULT VALUES"]))])
        const [patch] = yield* readPatches
        expect(patch!.after!.day).toBe("2024-02-29")
        expect(patch!.after!.plain).toBe("2024-02-29 12:00:00.13")
        expectSameOnAll("typed", [patch!.key, patch!.after])
      })
    ))

  it("outside of records each is the real thing", () =>
    run(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* installClient(app)
        const [a] = yield* sql.unsafe<Record<string, string>>(readCalls)
        const [b] = yield* sql.unsafe<Record<string, string>>(readCalls)
        for (const name of [...drawCalls, "clock_timestamp"]) expect(a![name], name).not.toBe(b![name])
        const [real] = yield* sql.unsafe<{ same: boolean; recent: boolean }>(
          "SELECT now() = pg_catalog.now() AS same, clock_timestamp() - pg_catalog.now() < interval '1 minute' AS recent"
        )
        expect(real).toEqual({ same: true, recent: true })
        const [range] = yield* sql.unsafe<{ low: number; high: number }>(
          "SELECT min(random(3, 5)) AS low, max(random(3, 5)) AS high FROM generate_series(1, 200)"
        )
        expect(range).toEqual({ low: 3, high: 5 })
      })
    ))

  it("a record leaves nothing behind: after it the real functions are back", () =>
    run(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const engine = yield* installClient(app)
        const same = yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* Execution.sequence(sql, [recordOf(1, statements([readCalls]))], engine.mode)
            return yield* sql.unsafe<{ same: boolean }>("SELECT now() = pg_catalog.now() AS same")
          })
        )
        expect(same[0]!.same).toBe(true)
      })
    ))

  it("tables are made in public, and the application's functions see the record's time and draws", () =>
    run(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const engine = yield* installClient(app)
        const tables = yield* sql.unsafe<{ place: string }>(
          "SELECT schemaname || '.' || tablename AS place FROM pg_tables WHERE tablename IN ('drawn', 'typed') ORDER BY 1"
        )
        expect(tables.map((t) => t.place)).toEqual(["public.drawn", "public.typed"])
        const query = "SELECT app_now() AS at, app_random() AS drawn"
        const results = yield* execute(engine, [
          recordOf(1, statements([query, query])),
          recordOf(1, statements([query]))
        ])
        const rows = results.map((exit) => Exit.getOrElse(exit, () => null)) as Array<
          Array<Array<{ at: string; drawn: string }>>
        >
        expect(rows[0]![0]![0]!.at).toBe("2024-02-29 12:00:00.124+00")
        expect(rows[1]![0]).toEqual(rows[0]![0])
        expect(rows[0]![1]![0]!.drawn).not.toBe(rows[0]![0]![0]!.drawn)
        expectSameOnAll("app functions", rows)
      })
    ))

  it("rows of one statement draw in their order", () =>
    run(
      Effect.gen(function* () {
        const engine = yield* installClient(app)
        const patches = yield* patchesOf(
          engine,
          "INSERT INTO drawn (id) SELECT 'r' || x FROM generate_series(1, 20) AS x",
          "INSERT INTO drawn (id, random) VALUES ('v1', random()), ('v2', random()), ('v3', DEFAULT)",
          "UPDATE drawn SET random = random()::text WHERE id LIKE 'v%'"
        )
        expect(new Set(patches.map((p) => p.after!.random)).size).toBe(26)
        expect(patches.slice(0, 20).map((p) => p.after!.id)).toEqual(
          Array.from({ length: 20 }, (_, i) => `r${i + 1}`)
        )
      })
    ))

  it("random() is uniform in [0, 1) and random_normal() has its mean and deviation", () =>
    run(
      Effect.gen(function* () {
        const engine = yield* installClient(app)
        const query = `SELECT min(r) >= 0 AND max(r) < 1 AS bounded, avg(r) BETWEEN 0.47 AND 0.53 AS mean,
            avg(n) BETWEEN 9.8 AND 10.2 AS normal_mean, stddev(n) BETWEEN 1.85 AND 2.15 AS normal_deviation
          FROM (SELECT random() AS r, random_normal(10, 2) AS n FROM generate_series(1, 3000)) AS x`
        const [exit] = yield* execute(engine, [recordOf(3, statements([query]))])
        expect(Exit.getOrElse(exit!, () => null)).toEqual([
          [{ bounded: true, mean: true, normal_mean: true, normal_deviation: true }]
        ])
      })
    ))

  it("actions of a client run under the same functions (search_path)", () =>
    run(
      Effect.gen(function* () {
        yield* clear
        const sql = yield* SqlClient.SqlClient
        const replica = yield* Replica.make({ app, userId: "ada", purityCheck: true })
        const done = yield* replica.execute(
          statements([
            "INSERT INTO drawn (id, random) SELECT 'a', random()",
            "SELECT now()::timestamptz::text AS at, current_setting('search_path') AS path"
          ])
        )
        const [row] = done.value[1] as ReadonlyArray<{ at: string; path: string }>
        expect(new Date(row!.at).getTime()).toBe(Hlc.parts(done.hlc).ms)
        expect(row!.path).toBe("public, synchrotron_det, pg_catalog")
        yield* sql.unsafe("SELECT 1")
      })
    ))
})

describe("I8: the context of a record", () => {
  const record = recordOf(1, statements([]))

  it("gives the same for the same record, and other things for another", () => {
    const [a, b, c] = [record, record, recordOf(2, statements([]))].map((r) => Execution.makeContext(r))
    expect(a!.now.toISOString()).toBe("2024-02-29T12:00:00.124Z")
    expect([a!.uuid("x"), a!.uuid("y"), a!.random(), a!.random()]).toEqual([
      b!.uuid("x"),
      b!.uuid("y"),
      b!.random(),
      b!.random()
    ])
    expect(a!.uuid("x")).not.toBe(a!.uuid("y"))
    expect(a!.uuid("x")).not.toBe(c!.uuid("x"))
    expect(Execution.makeContext(record).random()).not.toBe(c!.random())
    expect(a!.principal).toEqual(ada)
    expect(a!.id).toBe(record.id)
  })

  it("uuid() is an RFC 9562 UUID of version 8, random() is in [0, 1)", () => {
    const ctx = Execution.makeContext(record)
    for (let i = 0; i < 100; i++) {
      expect(ctx.uuid(String(i))).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
      const x = ctx.random()
      expect(x >= 0 && x < 1).toBe(true)
    }
  })

  it("the operations of a batch have names of their own, and one sequence of numbers", async () => {
    const spy: Array<[string, number, string]> = []
    const noted = Action.make("noted", {
      args: Schema.Struct({}),
      run: ({ ctx }) => Effect.sync(() => void spy.push([ctx.uuid("x"), ctx.random(), ctx.id]))
    })
    const app = appOf("SELECT 1", [], { actions: [noted] })
    const batch = Execution.batchOperation(app, [
      { name: "noted", version: 1, args: {} },
      { name: "noted", version: 1, args: {} }
    ])
    const unused = {} as SqlClient.SqlClient
    await Effect.runPromise(Execution.perform(unused, recordOf(1, batch)))
    expect(new Set(spy.map((s) => s[0])).size).toBe(2)
    expect(new Set(spy.map((s) => s[1])).size).toBe(2)
    expect(new Set(spy.map((s) => s[2])).size).toBe(1)
    expect(Hlc.parts(record.hlc).node).toBe(node)
  })
})

afterAll(() => {
  // Both suites have left the same keys, so the comparison did happen.
  expect([...seen.keys()]).toEqual(["calls", "defaults", "typed", "app functions"])
})

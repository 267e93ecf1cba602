/** Constraints that Postgres checks late, when a record is executed by its patches. */
import { SqlClient } from "@effect/sql"
import { Cause, Effect, Exit, Option } from "effect"
import { describe, expect, it } from "vitest"
import * as Execution from "../src/Execution.ts"
import type { Image, Patch } from "../src/Protocol.ts"
import {
  appOf,
  contentOf,
  execute,
  installClient,
  kinds,
  patchesOf,
  recordOf,
  statements,
  useDatabase
} from "./support.ts"

const patch = (key: number, before: Image | null, after: Image | null): Patch =>
  ({ table: "public.t", key: JSON.stringify([String(key)]), before, after }) as Patch

const record = (n: number, patches: ReadonlyArray<Patch>): Execution.Executable => ({
  ...recordOf(n, statements([])),
  run: { _tag: "patches", patches }
})

const row = (id: number, x: number | string | null): Image => ({
  id: String(id),
  x: x === null ? null : String(x)
})

const failureOf = (exit: Exit.Exit<unknown, unknown> | undefined) => {
  const error =
    exit === undefined || Exit.isSuccess(exit) ? null : Option.getOrNull(Cause.failureOption(exit.cause))
  const cause = (error as { cause?: Record<string, unknown> } | null)?.cause
  return (
    cause && {
      state: Execution.sqlState(error),
      constraint: cause.constraint ?? cause.constraint_name,
      message: cause.message
    }
  )
}

describe.each(kinds)("I2: records by their patches on %s", (kind) => {
  const { run } = useDatabase(kind)

  for (const [what, column, values, state] of [
    ["UNIQUE", "x integer CONSTRAINT once UNIQUE", [1, 2], "23505"],
    ["UNIQUE DEFERRABLE", "x integer CONSTRAINT once UNIQUE DEFERRABLE", [1, 2], "23505"],
    ["EXCLUDE", "x int4range, CONSTRAINT once EXCLUDE USING gist (x WITH &&)", ["[1,3)", "[3,4)"], "23P01"],
    [
      "EXCLUDE DEFERRABLE",
      "x int4range, CONSTRAINT once EXCLUDE USING gist (x WITH &&) DEFERRABLE",
      ["[1,3)", "[3,4)"],
      "23P01"
    ],
    [
      "WITHOUT OVERLAPS DEFERRABLE",
      "x int4range, y int4range GENERATED ALWAYS AS ('[0,1)'::int4range) STORED, CONSTRAINT once UNIQUE (y, x WITHOUT OVERLAPS) DEFERRABLE",
      ["[1,3)", "[3,4)"],
      "23P01"
    ]
  ] as const) {
    // PGlite is Postgres 18, which has periods.
    it.skipIf(what.startsWith("WITHOUT") && kind === "postgres")(
      `fail where they break ${what}, each for itself`,
      () =>
        run(
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const engine = yield* installClient(
              appOf(`CREATE TABLE t (id integer PRIMARY KEY, ${column})`, ["t"])
            )
            const [first, second] = values
            const exits = yield* execute(engine, [
              recordOf(1, statements([`INSERT INTO t VALUES (1, '${first}')`])),
              record(2, [patch(2, null, row(2, second)), patch(3, null, row(3, first))]),
              record(3, [patch(4, null, row(4, second))]),
              record(4, [patch(4, row(4, second), row(4, first))]),
              recordOf(5, statements([`INSERT INTO t VALUES (5, '${second}')`]))
            ])
            expect(exits.map((exit) => exit._tag)).toEqual([
              "Success",
              "Failure",
              "Success",
              "Failure",
              "Failure"
            ])
            for (const i of [1, 3])
              expect(failureOf(exits[i])).toMatchObject({
                state,
                constraint: "once",
                message: expect.stringMatching(/key value violates (unique|exclusion) constraint "once"/)
              })
            expect(yield* sql.unsafe("SELECT id, x::text FROM t ORDER BY id")).toEqual([
              { id: 1, x: String(first) },
              { id: 4, x: String(second) }
            ])
          })
        )
    )
  }

  it("may let values change places on the way", () =>
    run(
      Effect.gen(function* () {
        const engine = yield* installClient(
          appOf("CREATE TABLE t (id integer PRIMARY KEY, x integer UNIQUE DEFERRABLE)", ["t"])
        )
        yield* patchesOf(engine, "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
        const exits = yield* execute(engine, [
          record(1, [
            patch(1, row(1, 1), row(1, 2)),
            patch(2, row(2, 2), row(2, 3)),
            patch(3, row(3, 3), row(3, 1)),
            patch(4, null, row(4, 1)),
            patch(4, row(4, 1), null)
          ])
        ])
        expect(exits.map((exit) => exit._tag)).toEqual(["Success"])
        expect(yield* contentOf(engine.app)).toEqual({ "public.t": ["(1,2)", "(2,3)", "(3,1)"] })
      })
    ))

  it("look values up in the constraint's index, and ask for nothing where there is none", () =>
    run(
      Effect.gen(function* () {
        const engine = yield* installClient(
          appOf(
            `CREATE TABLE t (id integer PRIMARY KEY, x integer, y integer, UNIQUE (x) DEFERRABLE, UNIQUE NULLS NOT DISTINCT (y, x) DEFERRABLE);
             CREATE TABLE u (id integer PRIMARY KEY, x integer UNIQUE)`,
            ["t", "u"]
          )
        )
        const sql = yield* SqlClient.SqlClient
        expect(
          yield* sql.unsafe(
            "SELECT name, clashes_sql IS NOT NULL AS checked FROM synchrotron.tables ORDER BY name"
          )
        ).toEqual([
          { name: "public.t", checked: true },
          { name: "public.u", checked: false }
        ])
        yield* patchesOf(
          engine,
          "INSERT INTO t SELECT n, n, nullif(n % 100, 0) FROM generate_series(1, 20000) AS n"
        )
        const scanned = yield* sql.withTransaction(
          Effect.gen(function* () {
            const scans = sql.unsafe<{ rows: number }>(
              "SELECT pg_stat_get_xact_tuples_returned('t'::regclass)::integer AS rows"
            )
            const [before] = yield* scans
            const exits = yield* Execution.sequence(
              sql,
              [
                record(1, [
                  { ...patch(20001, null, { id: "20001", x: "20001", y: null }) },
                  patch(7, { ...row(7, 7), y: "7" }, { ...row(7, -7), y: null })
                ])
              ],
              engine.mode
            )
            expect(exits.map((exit) => exit._tag)).toEqual(["Success"])
            const [after] = yield* scans
            return after!.rows - before!.rows
          })
        )
        // Rows that were read by scans of the table itself.
        expect(scanned).toBe(0)
      })
    ))
})

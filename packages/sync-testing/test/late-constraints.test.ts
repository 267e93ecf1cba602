/** Constraints that Postgres checks late, by triggers that do not fire for rows that the engine puts. */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Exit, Schema } from "effect"
import { describe, expect, it } from "vitest"
import { expectConverged, kinds, stageOf, syncAll } from "./harness.ts"
import { exchange } from "./world.ts"

const write = Action.make("test.write", {
  args: Schema.Struct({ text: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql.unsafe(args.text))
})

interface Case {
  readonly name: string
  /** What stands between the parentheses of CREATE TABLE. */
  readonly table: string
  /** Rows that all have seen. */
  readonly before?: string
  /** What a client does offline. */
  readonly early: string
  /** What is written on the server after that and before the client syncs. */
  readonly external: string
  /** Ids that remain. */
  readonly rows: string
  readonly conflict?: boolean
}

const insert = (values: string) => `INSERT INTO $t VALUES ${values}`

/** Two rows of one value: with a UNIQUE that is checked at once, with one that is checked late, and so on. */
const clash = { early: insert("('a', 1)"), external: insert("('b', 1)"), rows: "b", conflict: true }
const sameKey = { early: insert("('a', 1)"), external: insert("('a', 2)"), rows: "a", conflict: true }
const overlap = { early: insert("('a', '[1,5)')"), external: insert("('b', '[4,9)')") }

const cases: ReadonlyArray<Case> = [
  { name: "UNIQUE", table: "id text PRIMARY KEY, seat integer UNIQUE", ...clash },
  { name: "UNIQUE DEFERRABLE", table: "id text PRIMARY KEY, seat integer UNIQUE DEFERRABLE", ...clash },
  {
    name: "UNIQUE DEFERRABLE INITIALLY DEFERRED",
    table: "id text PRIMARY KEY, seat integer UNIQUE DEFERRABLE INITIALLY DEFERRED",
    ...clash
  },
  {
    name: "UNIQUE DEFERRABLE of a generated column",
    table:
      "id text PRIMARY KEY, seat integer, label text GENERATED ALWAYS AS ('seat ' || seat::text) STORED UNIQUE DEFERRABLE",
    ...clash
  },
  {
    name: "UNIQUE DEFERRABLE, a value that an UPDATE from outside gives",
    table: "id text PRIMARY KEY, seat integer UNIQUE DEFERRABLE",
    ...clash,
    before: insert("('b', 2)"),
    external: "UPDATE $t SET seat = 1 WHERE id = 'b'"
  },
  {
    name: "UNIQUE DEFERRABLE, NULL twice",
    table: "id text PRIMARY KEY, seat integer UNIQUE DEFERRABLE",
    early: insert("('a', NULL)"),
    external: insert("('b', NULL)"),
    rows: "ab"
  },
  {
    name: "UNIQUE DEFERRABLE, values that change places",
    table: "id text PRIMARY KEY, seat integer UNIQUE DEFERRABLE",
    before: insert("('a', 1), ('b', 2), ('c', 3)"),
    early: insert("('d', 4)"),
    external: "UPDATE $t SET seat = seat % 3 + 1 WHERE seat < 4",
    rows: "abcd"
  },
  {
    name: "UNIQUE NULLS NOT DISTINCT DEFERRABLE, one NULL of two",
    table:
      "id text PRIMARY KEY, room text, seat integer, UNIQUE NULLS NOT DISTINCT (room, seat) INCLUDE (id) DEFERRABLE",
    early: insert("('a', NULL, 1), ('x', NULL, 2), ('y', 'r', NULL)"),
    external: insert("('b', NULL, 1)"),
    rows: "b",
    conflict: true
  },
  {
    name: "UNIQUE NULLS NOT DISTINCT DEFERRABLE, another value beside the NULL",
    table: "id text PRIMARY KEY, room text, seat integer, UNIQUE NULLS NOT DISTINCT (room, seat) DEFERRABLE",
    early: insert("('a', NULL, 1), ('b', 'r', 1)"),
    external: insert("('c', NULL, 2), ('d', 'r', NULL), ('e', NULL, NULL)"),
    rows: "abcde"
  },
  {
    name: "UNIQUE DEFERRABLE of two columns, both the same",
    table: `id text PRIMARY KEY, "the room" text, x integer, UNIQUE ("the room", x) DEFERRABLE`,
    early: insert("('a', 'r', 1)"),
    external: insert("('b', 'r', 1)"),
    rows: "b",
    conflict: true
  },
  {
    name: "UNIQUE DEFERRABLE of two columns, one the same, and one NULL",
    table: "id text PRIMARY KEY, room text, seat integer, UNIQUE (room, seat) DEFERRABLE",
    early: insert("('a', 'r', 1), ('b', 'r', NULL)"),
    external: insert("('c', 'r', 2), ('d', 'r', NULL), ('e', 's', 1)"),
    rows: "abcde"
  },
  { name: "PRIMARY KEY", table: "id text PRIMARY KEY, seat integer", ...sameKey },
  {
    name: "PRIMARY KEY DEFERRABLE: as without DEFERRABLE",
    table: "id text PRIMARY KEY DEFERRABLE, seat integer",
    ...sameKey
  },
  {
    name: "PRIMARY KEY of two columns, a key that an UPDATE from outside gives",
    table: "id text, room text, seat integer, PRIMARY KEY (room, id)",
    before: insert("('b', 'r', 2)"),
    early: insert("('a', 'r', 1)"),
    external: "UPDATE $t SET id = 'a'",
    rows: "a",
    conflict: true
  },
  {
    name: "PRIMARY KEY, the same row twice",
    table: "id text PRIMARY KEY, seat integer",
    early: insert("('a', 1)"),
    external: `${insert("('a', 1)")}; UPDATE $t SET seat = 2`,
    rows: "a"
  },
  {
    name: "PRIMARY KEY, a row that is replaced on the way",
    table: "id text PRIMARY KEY, seat integer",
    before: insert("('a', 1)"),
    early: insert("('b', 5)"),
    external: `DELETE FROM $t WHERE id = 'a'; ${insert("('a', 2)")}`,
    rows: "ab"
  },
  {
    name: "PRIMARY KEY DEFERRABLE, keys that move up",
    table: "id integer PRIMARY KEY DEFERRABLE, seat integer",
    before: insert("(1, 1), (2, 2)"),
    early: insert("(4, 4)"),
    external: "UPDATE $t SET id = id + 1 WHERE id < 3",
    rows: "234"
  },
  {
    name: "EXCLUDE",
    table: "id text PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&)",
    ...overlap,
    rows: "b",
    conflict: true
  },
  {
    name: "EXCLUDE DEFERRABLE",
    table: "id text PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&) DEFERRABLE",
    ...overlap,
    rows: "b",
    conflict: true
  },
  {
    name: "EXCLUDE DEFERRABLE of an expression and some rows",
    table:
      "id text PRIMARY KEY, seat integer, EXCLUDE USING btree ((seat % 10) WITH =) WHERE (seat > 0) DEFERRABLE",
    early: insert("('a', 1), ('b', -1)"),
    external: insert("('c', 11)"),
    rows: "c",
    conflict: true
  },
  {
    name: "EXCLUDE DEFERRABLE, rows that it leaves out",
    table:
      "id text PRIMARY KEY, seat integer, EXCLUDE USING btree ((seat % 10) WITH =) WHERE (seat > 0) DEFERRABLE",
    early: insert("('a', -11), ('b', 2)"),
    external: insert("('c', -1), ('d', 3), ('e', NULL)"),
    rows: "abcde"
  }
]

const tableOf = (i: number) => `case_${i}`
const tables = cases.map((_, i) => tableOf(i))

const app = SyncApp.make({
  name: "late",
  migrations: [
    {
      id: "001",
      sql: cases.map(({ table }, i) => `CREATE TABLE ${tableOf(i)} (${table});`).join("\n"),
      serverSql: `GRANT SELECT, INSERT, UPDATE, DELETE ON ${tables.join(", ")} TO synchrotron_user`
    }
  ],
  tables: tables.map((name) => SyncTable.make(name, { audience: "'all'" })),
  actions: [write],
  audiences: "SELECT 'all'"
})

describe.each(kinds)("a write from outside behind a late arrival, on %s,", (kind) => {
  const stageNow = stageOf(kind, app, { a: "u1", b: "u2" })

  for (const [i, { before, conflict, early, external, name, rows }] of cases.entries()) {
    it(`I2: ${name}`, () => {
      const { clients, run, world } = stageNow()
      const [a, b] = [clients.a!, clients.b!]
      const on = (text: string) => text.replaceAll("$t", tableOf(i))
      return Effect.gen(function* () {
        if (before !== undefined) yield* world.server.unsafe(on(before))
        yield* syncAll([a, b])
        const { id } = yield* Effect.delay(a.replica.execute(write({ text: on(early) })), 2)
        yield* Effect.delay(world.server.unsafe(on(external)), 2)
        const request = yield* a.replica.request
        const response = yield* exchange(world.authority, a.principal, request)
        yield* a.replica.receive(request, response)
        const ids = yield* world.server.unsafe<{ ids: string }>(
          `SELECT string_agg(id::text, '' ORDER BY id) AS ids FROM ${tableOf(i)}`
        )
        expect(ids).toEqual([{ ids: rows }])
        expect(response.verdicts).toMatchObject([
          {
            id,
            outcome: conflict ? "rejected" : "applied",
            ...(conflict && { error: { class: "conflict" } })
          }
        ])
        yield* syncAll([a, b])
        yield* expectConverged(world, [a, b])
      }).pipe(run)
    })
  }

  it("I4: an engine whose own statement does not work refuses nobody's record", () => {
    const { clients, run, world } = stageNow()
    const a = clients.a!
    const ids = Effect.map(
      world.server.unsafe<{ id: string }>("SELECT id FROM case_0 WHERE seat > 50 ORDER BY id"),
      (rows) => rows.map((row) => row.id)
    )
    return Effect.gen(function* () {
      yield* a.sync
      const refused = yield* a.replica.rejected
      yield* Effect.delay(a.replica.execute(write({ text: "INSERT INTO case_0 VALUES ('early', 51)" })), 2)
      yield* Effect.delay(world.server.unsafe("INSERT INTO case_0 VALUES ('outside', 52)"), 2)
      yield* world.server.unsafe("ALTER FUNCTION synchrotron.check_clashes(uuid) RENAME TO away")
      expect(Exit.isFailure(yield* Effect.exit(a.sync))).toBe(true)
      expect(yield* ids).toEqual(["outside"])
      yield* world.server.unsafe("ALTER FUNCTION synchrotron.away(uuid) RENAME TO check_clashes")
      yield* a.sync
      expect(yield* a.replica.rejected).toEqual(refused)
      expect(yield* ids).toEqual(["early", "outside"])
    }).pipe(run)
  })
})

/** Rows that leave a client and rows that come, in one answer: neither may stand in the other's way. */
import { Action, type Replica, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { describe, expect, it } from "vitest"
import { expectConverged, stageOf, syncAll } from "./harness.ts"
import { exchange, type TestClient } from "./world.ts"

const write = Action.make("test.write", {
  args: Schema.Struct({ text: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql.unsafe(args.text))
})

/** One table for each kind of constraint that holds while rows are put: a seat may be in one row only. */
const constraints = {
  at_once: "seat integer UNIQUE",
  excluded: "seat integer, EXCLUDE USING btree (seat WITH =)"
}
const seats = Object.keys(constraints)
const lists = "SELECT list FROM members WHERE user_id = synchrotron.user_id()"
const listed = [...seats, "notes", "parents", "children"]

const app = SyncApp.make({
  name: "leaving",
  migrations: [
    {
      id: "001",
      sql: `CREATE TABLE members (list text, user_id text, PRIMARY KEY (list, user_id));
        ${Object.entries(constraints)
          .map(([name, seat]) => `CREATE TABLE ${name} (id text PRIMARY KEY, list text NOT NULL, ${seat});`)
          .join("\n")}
        CREATE TABLE notes (id text PRIMARY KEY, list text NOT NULL);
        CREATE TABLE parents (id text PRIMARY KEY, list text NOT NULL);
        CREATE TABLE children (id text PRIMARY KEY, list text NOT NULL, parent text REFERENCES parents ON DELETE CASCADE)`,
      serverSql: `${listed
        .map(
          (name) =>
            `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY; CREATE POLICY lists ON ${name} USING (list IN (${lists}));`
        )
        .join("\n")}
        GRANT SELECT, INSERT, UPDATE, DELETE ON members, ${listed.join(", ")} TO synchrotron_user`
    }
  ],
  tables: [
    SyncTable.make("members", { audience: "'user:' || user_id" }),
    ...listed.map((name) => SyncTable.make(name, { audience: "'list:' || list" }))
  ],
  actions: [write],
  audiences: `SELECT 'user:' || synchrotron.user_id() UNION ALL SELECT 'list:' || list FROM (${lists}) AS x`
})

const leave = (list: string) => `DELETE FROM members WHERE (list, user_id) = ('${list}', 'u1')`
const sit = (id: string, seat: number) => `UPDATE $t SET seat = ${seat} WHERE id = '${id}'`

/** What happens on the server. Before it, r1 of list A has seat 1, and r2 and r3 of list B have seats 2 and 3. */
const moves: Readonly<Record<string, ReadonlyArray<string>>> = {
  "a value goes from a lost audience to a held one": [leave("A"), sit("r1", 9), sit("r2", 1)],
  "the row of a lost audience is deleted, and its value goes on": [
    leave("A"),
    "DELETE FROM $t WHERE id = 'r1'",
    sit("r2", 1)
  ],
  "a value goes from a lost audience to a gained one": [
    leave("A"),
    "INSERT INTO members VALUES ('C', 'u1')",
    sit("r1", 9),
    "INSERT INTO $t VALUES ('r4', 'C', 1)"
  ],
  "a row moves from a lost audience to a held one, and swaps its value": [
    leave("A"),
    sit("r1", 9),
    sit("r2", 1),
    "UPDATE $t SET list = 'B', seat = 2 WHERE id = 'r1'"
  ],
  "a row moves from a held audience to a lost one": [
    leave("A"),
    "UPDATE $t SET list = 'A', seat = 9 WHERE id = 'r2'",
    sit("r3", 2)
  ],
  "values swap": [sit("r2", 9), sit("r3", 2), sit("r2", 3)],
  "a row is deleted, and its value goes on": ["DELETE FROM $t WHERE id = 'r2'", sit("r3", 2)],
  "a row leaves an audience that is held for one that is not": [
    "UPDATE $t SET list = 'C', seat = 9 WHERE id = 'r2'",
    sit("r3", 2)
  ]
}

interface Passage {
  readonly early?: string
  readonly late?: string
  /** Where nobody leaves an audience. */
  readonly path: Replica.Received["path"]
}

/** What the client does between its request and the answer: before all that happens on the server, or after it. */
const passages: Readonly<Record<string, Passage>> = {
  "nothing pending": { path: "rows" },
  "a record pending in another table": { late: "INSERT INTO notes VALUES ('n', 'B')", path: "disjoint" },
  "a record pending": { late: "INSERT INTO $t VALUES ('p', 'B', 50)", path: "pending" },
  "a pending record that takes the value too": {
    late: "INSERT INTO $t VALUES ('p', 'B', 9)",
    path: "pending"
  },
  "a pending record that is crossed": { early: "INSERT INTO $t VALUES ('p', 'B', 50)", path: "merge" },
  "a crossed record that writes to the row": {
    early: "UPDATE $t SET seat = 60 WHERE id = 'r2'",
    path: "merge"
  }
}

describe("I1: a client goes on", () => {
  const stageNow = stageOf("pglite", app, { a: "u1", b: "u2" })

  const begin = (rows: string) =>
    Effect.gen(function* () {
      const { clients, world } = stageNow()
      yield* world.server.unsafe(`DELETE FROM members; ${listed.map((name) => `DELETE FROM ${name};`).join("")}
        INSERT INTO members VALUES ('A', 'u1'), ('B', 'u1'), ('A', 'u2'), ('B', 'u2'), ('C', 'u2'); ${rows}`)
      yield* syncAll([clients.a!, clients.b!])
    })

  /** The answer to a request from before what is done now. */
  const meet = (a: TestClient, doing: { readonly [K in "early" | "late" | "server"]: string | undefined }) =>
    Effect.gen(function* () {
      const { world } = stageNow()
      const request = yield* a.replica.request
      if (doing.early) yield* Effect.delay(a.replica.execute(write({ text: doing.early })), 2)
      if (doing.server) yield* Effect.delay(world.server.unsafe(doing.server), 2)
      if (doing.late) yield* Effect.delay(a.replica.execute(write({ text: doing.late })), 2)
      return yield* a.replica.receive(request, yield* exchange(world.authority, a.principal, request))
    })

  describe.each(seats)("with a constraint %s", (table) => {
    const on = (text: string | undefined) => text?.replaceAll("$t", table)

    for (const [move, statements] of Object.entries(moves))
      for (const [passage, { early, late, path }] of Object.entries(passages))
        it(`when ${move}, with ${passage}`, () => {
          const { clients, run, world } = stageNow()
          const [a, b] = [clients.a!, clients.b!]
          return Effect.gen(function* () {
            yield* begin(`INSERT INTO ${table} VALUES ('r1', 'A', 1), ('r2', 'B', 2), ('r3', 'B', 3)`)
            const received = yield* meet(a, {
              early: on(early),
              late: on(late),
              server: on(statements.join("; "))
            })
            const loses = statements.includes(leave("A"))
            expect(received.path).toBe(loses && path === "disjoint" ? "pending" : path)
            yield* syncAll([a, b])
            yield* expectConverged(world, [a, b])
          }).pipe(run)
        })
  })

  it("when a parent is lost, and its child, which a cascade would delete, is not", () => {
    const { clients, run, world } = stageNow()
    const [a, b] = [clients.a!, clients.b!]
    return Effect.gen(function* () {
      yield* begin(
        "INSERT INTO parents VALUES ('p', 'A'), ('q', 'B'); INSERT INTO children VALUES ('c', 'B', 'p'), ('d', 'B', 'q')"
      )
      yield* meet(a, {
        early: "INSERT INTO children VALUES ('e', 'B', 'q')",
        late: undefined,
        server: `${leave("A")}; UPDATE children SET parent = 'p' WHERE id = 'd'; DELETE FROM children WHERE id = 'c'; INSERT INTO children VALUES ('f', 'B', 'p')`
      })
      yield* syncAll([a, b])
      expect(yield* a.sql.unsafe("SELECT id, parent FROM children ORDER BY id")).toEqual([
        { id: "d", parent: "p" },
        { id: "e", parent: "q" },
        { id: "f", parent: "p" }
      ])
      yield* expectConverged(world, [a, b])
    }).pipe(run)
  })
})

import { SqlClient, type SqlError } from "@effect/sql"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import * as Execution from "../src/Execution.ts"
import {
  appOf,
  contentOf,
  type Engine,
  execute,
  installClient,
  kinds,
  patchesOf,
  recordOf,
  redo,
  type StoredPatch,
  statements,
  undo,
  useDatabase
} from "./support.ts"

/** A patch in short: table, key, before and after as the values named. */
const brief = (patches: ReadonlyArray<StoredPatch>, ...columns: ReadonlyArray<string>) =>
  patches.map((p) => [
    p.tbl.replace(/^public\./, ""),
    (JSON.parse(p.key) as ReadonlyArray<string>).join("/"),
    ...(columns.length === 0
      ? [p.before === null ? "insert" : p.after === null ? "delete" : "update"]
      : [p.before, p.after].map((image) => (image === null ? null : columns.map((c) => image[c]).join(","))))
  ])

/** Runs the statements as one record, and checks that what it did can be taken back and done again. */
const reversible = (engine: Engine, seed: ReadonlyArray<string>, ...texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    if (seed.length > 0) yield* patchesOf(engine, ...seed)
    yield* sql.unsafe("DELETE FROM synchrotron.patches")
    const start = yield* contentOf(engine.app)
    const patches = yield* patchesOf(engine, ...texts)
    const end = yield* contentOf(engine.app)
    yield* undo
    expect(yield* contentOf(engine.app), "undone").toEqual(start)
    yield* redo
    expect(yield* contentOf(engine.app), "redone").toEqual(end)
    yield* undo
    expect(yield* contentOf(engine.app), "undone again").toEqual(start)
    yield* redo
    return patches
  })

describe.each(kinds)("I2: capture on %s", (kind) => {
  const { run } = useDatabase(kind)
  const withTables = (
    migration: string,
    tables: ReadonlyArray<string>,
    body: (engine: Engine) => Effect.Effect<void, unknown, SqlClient.SqlClient>
  ) => run(Effect.flatMap(installClient(appOf(migration, tables)), body))

  it("INSERT, UPDATE and DELETE of one and of many rows", () =>
    withTables("CREATE TABLE t (id integer PRIMARY KEY, x text)", ["t"], (engine) =>
      Effect.gen(function* () {
        const patches = yield* reversible(
          engine,
          ["INSERT INTO t VALUES (9, 'z')"],
          "INSERT INTO t VALUES (1, 'a'), (2, NULL)",
          "UPDATE t SET x = 'b' WHERE id <= 2",
          "DELETE FROM t WHERE id >= 2"
        )
        expect(brief(patches, "x")).toEqual([
          ["t", "1", null, "a"],
          ["t", "2", null, ""],
          ["t", "1", "a", "b"],
          ["t", "2", "", "b"],
          ["t", "9", "z", null],
          ["t", "2", "b", null]
        ])
        expect(patches[1]!.after).toEqual({ id: "2", x: null })
      })
    ))

  it("an update that changes nothing leaves no patch", () =>
    withTables("CREATE TABLE t (id integer PRIMARY KEY, x numeric)", ["t"], (engine) =>
      Effect.gen(function* () {
        const patches = yield* reversible(
          engine,
          ["INSERT INTO t VALUES (1, 1.0), (2, NULL)"],
          "UPDATE t SET x = x, id = id",
          "UPDATE t SET x = 1.00 WHERE id = 1"
        )
        expect(brief(patches, "x")).toEqual([["t", "1", "1.0", "1.00"]])
      })
    ))

  it("ON CONFLICT and MERGE leave what they did to each row", () =>
    withTables("CREATE TABLE t (id integer PRIMARY KEY, x integer)", ["t"], (engine) =>
      Effect.gen(function* () {
        const patches = yield* reversible(
          engine,
          ["INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)"],
          "INSERT INTO t VALUES (1, 10), (4, 4) ON CONFLICT (id) DO UPDATE SET x = excluded.x",
          "INSERT INTO t VALUES (1, 11), (5, 5) ON CONFLICT DO NOTHING",
          `MERGE INTO t USING (VALUES (2, 20), (3, NULL), (6, 6)) AS s(id, x) ON s.id = t.id
             WHEN MATCHED AND s.x IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET x = s.x
             WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.x)`
        )
        expect(brief(patches, "x")).toEqual([
          ["t", "1", "1", "10"],
          ["t", "4", null, "4"],
          ["t", "5", null, "5"],
          ["t", "2", "2", "20"],
          ["t", "3", "3", null],
          ["t", "6", null, "6"]
        ])
      })
    ))

  it("cascades, SET NULL and SET DEFAULT", () =>
    withTables(
      `CREATE TABLE parent (id integer PRIMARY KEY);
       CREATE TABLE child (id integer PRIMARY KEY, parent integer REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
       CREATE TABLE note (id integer PRIMARY KEY, child integer REFERENCES child ON DELETE SET NULL,
         other integer DEFAULT 0 REFERENCES parent ON DELETE SET DEFAULT)`,
      ["parent", "child", "note"],
      (engine) =>
        Effect.gen(function* () {
          const patches = yield* reversible(
            engine,
            [
              "INSERT INTO parent VALUES (0), (1), (2)",
              "INSERT INTO child VALUES (1, 1), (2, 1), (3, 2)",
              "INSERT INTO note VALUES (1, 1, 1), (2, 3, 1)"
            ],
            "DELETE FROM parent WHERE id = 1",
            "UPDATE parent SET id = 20 WHERE id = 2"
          )
          expect(brief(patches)).toEqual(
            expect.arrayContaining([
              ["parent", "1", "delete"],
              ["child", "1", "delete"],
              ["child", "2", "delete"],
              ["note", "1", "update"],
              ["parent", "20", "insert"],
              ["child", "3", "update"]
            ])
          )
        })
    ))

  it("a self-referencing tree goes and comes back whole", () =>
    withTables(
      `CREATE TABLE tree (id integer PRIMARY KEY, parent integer REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE)`,
      ["tree"],
      (engine) =>
        Effect.gen(function* () {
          yield* reversible(
            engine,
            ["INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 1), (5, 4), (6, NULL)"],
            "DELETE FROM tree WHERE id IN (1, 2)"
          )
          yield* reversible(
            engine,
            ["DELETE FROM tree", "INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 3)"],
            "UPDATE tree SET id = id + 10"
          )
          yield* reversible(engine, [], "INSERT INTO tree VALUES (1, 11)", "DELETE FROM tree WHERE id = 11")
        })
    ))

  it("composite keys, and keys that change, swap and shift", () =>
    withTables(
      `CREATE TABLE t (a text, n integer, b text, x text, PRIMARY KEY (b, a));
       CREATE TABLE shift (id integer PRIMARY KEY DEFERRABLE, x text)`,
      ["t", "shift"],
      (engine) =>
        Effect.gen(function* () {
          const patches = yield* reversible(
            engine,
            [],
            `INSERT INTO t VALUES ('a"\\,', 1, 'b', 'x')`,
            "UPDATE t SET a = 'A', x = 'y'"
          )
          expect(patches.map((p) => p.key)).toEqual([
            '["b", "a\\"\\\\,"]',
            '["b", "a\\"\\\\,"]',
            '["b", "A"]'
          ])
          yield* reversible(
            engine,
            ["INSERT INTO shift VALUES (1, 'a'), (2, 'b'), (3, 'c')"],
            "UPDATE shift SET id = id + 1"
          )
          yield* reversible(engine, [], "UPDATE shift SET id = 5 - id WHERE id IN (2, 3)")
          yield* reversible(engine, [], "UPDATE shift SET id = id - 1", "DELETE FROM shift WHERE id = 1")
        })
    ))

  it("tables of other schemas, and names that need quotes", () =>
    withTables(
      `CREATE SCHEMA app;
       CREATE TABLE app.things (id text PRIMARY KEY, x text);
       CREATE TABLE "Order" ("select" text PRIMARY KEY, "Mixed Case" text, "quo""te" text, "it's" text, "back\\slash" text, "ünï" text, "table" text, t text, x text, key text, image text, "NEW" text);
       CREATE TABLE "user" ("user" text, "$1" text, PRIMARY KEY ("user", "$1"));
       CREATE TABLE "it's.dotted" (id text PRIMARY KEY)`,
      ["app.things", "public.Order", "user", "public.it's.dotted"],
      (engine) =>
        Effect.gen(function* () {
          const patches = yield* reversible(
            engine,
            [],
            "INSERT INTO app.things VALUES ('a', 'b')",
            `INSERT INTO "Order" VALUES ('k', 'm', 'q', 'i', 'b', 'u', 't', 't', 'x', 'key', 'image', 'new')`,
            `UPDATE "Order" SET "quo""te" = 'changed', "it's" = NULL, "select" = 'other'`,
            `INSERT INTO "user" VALUES ('u', '1')`,
            `INSERT INTO "it's.dotted" VALUES ('1')`
          )
          expect(patches.map((p) => p.tbl)).toEqual([
            "app.things",
            "public.Order",
            "public.Order",
            "public.Order",
            "public.user",
            "public.it's.dotted"
          ])
          expect(patches[3]!.after).toEqual({
            select: "other",
            "Mixed Case": "m",
            'quo"te': "changed",
            "it's": null,
            "back\\slash": "b",
            ünï: "u",
            table: "t",
            t: "t",
            x: "x",
            key: "key",
            image: "image",
            NEW: "new"
          })
        })
    ))

  it("long names keep their own triggers", () => {
    const [one, two] = ["one", "two"].map((end) => `${"a_table_with_a_very_long_name_".repeat(2)}${end}`)
    return withTables(
      `CREATE TABLE ${one} (id text PRIMARY KEY); CREATE TABLE ${two} (key text PRIMARY KEY, x text)`,
      [one!, two!],
      (engine) =>
        Effect.gen(function* () {
          const patches = yield* reversible(
            engine,
            [],
            `INSERT INTO ${one} VALUES ('a')`,
            `INSERT INTO ${two} VALUES ('b', 'c')`
          )
          expect(patches.map((p) => [p.tbl, p.after])).toEqual([
            [`public.${one}`, { id: "a" }],
            [`public.${two}`, { key: "b", x: "c" }]
          ])
        })
    )
  })

  it("generated columns are left out and computed again", () =>
    withTables(
      "CREATE TABLE t (id integer PRIMARY KEY, x integer, double integer GENERATED ALWAYS AS (x * 2) STORED, y text)",
      ["t"],
      (engine) =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const patches = yield* reversible(
            engine,
            ["INSERT INTO t (id, x) VALUES (1, 1)"],
            "UPDATE t SET x = 2",
            "INSERT INTO t (id, x) VALUES (2, 5)",
            "DELETE FROM t WHERE id = 1"
          )
          expect(Object.keys(patches[0]!.after!).sort()).toEqual(["id", "x", "y"])
          expect(yield* sql.unsafe("SELECT id, double FROM t")).toEqual([{ id: 2, double: 10 }])
        })
    ))

  it("TRUNCATE, also with CASCADE", () =>
    withTables(
      `CREATE TABLE parent (id integer PRIMARY KEY);
       CREATE TABLE child (id integer PRIMARY KEY, parent integer REFERENCES parent)`,
      ["parent", "child"],
      (engine) =>
        Effect.gen(function* () {
          const patches = yield* reversible(
            engine,
            ["INSERT INTO parent VALUES (1), (2)", "INSERT INTO child VALUES (1, 1), (2, 1), (3, 2)"],
            "UPDATE child SET parent = 2 WHERE id = 1",
            "TRUNCATE parent CASCADE",
            "INSERT INTO parent VALUES (1)"
          )
          expect(patches).toHaveLength(7)
        })
    ))

  it("tables of more columns than a function takes arguments", () => {
    const columns = Array.from({ length: 130 }, (_, i) => `c${i}`)
    return withTables(
      `CREATE TABLE wide (id integer PRIMARY KEY, ${columns.map((c) => `${c} text`).join(", ")})`,
      ["wide"],
      (engine) =>
        Effect.gen(function* () {
          const patches = yield* reversible(
            engine,
            [],
            `INSERT INTO wide VALUES (1, ${columns.map((c) => `'${c}'`).join(", ")})`,
            "UPDATE wide SET c0 = NULL, c129 = 'x'"
          )
          expect(Object.keys(patches[1]!.after!)).toHaveLength(131)
          expect(patches[1]!.after).toMatchObject({ c0: null, c60: "c60", c129: "x" })
        })
    )
  })

  describe("triggers of the application", () => {
    const withTrigger = (body: string, when: string) => `
      CREATE TABLE t (id integer PRIMARY KEY, x text, version integer NOT NULL DEFAULT 0);
      CREATE TABLE log (id integer PRIMARY KEY, line text);
      CREATE FUNCTION react() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$;
      CREATE TRIGGER aaa_react ${when} EXECUTE FUNCTION react();`

    it("BEFORE: the image has what the trigger made of the row", () =>
      withTables(
        withTrigger(
          "NEW.version := coalesce(OLD.version, 0) + 1; RETURN NEW;",
          "BEFORE INSERT OR UPDATE ON t FOR EACH ROW"
        ),
        ["t", "log"],
        (engine) =>
          Effect.gen(function* () {
            const patches = yield* reversible(
              engine,
              [],
              "INSERT INTO t VALUES (1, 'a')",
              "UPDATE t SET x = 'b'"
            )
            expect(brief(patches, "x", "version")).toEqual([
              ["t", "1", null, "a,1"],
              ["t", "1", "a,1", "b,2"]
            ])
          })
      ))

    it("AFTER: a second write to the same row comes after the first", () =>
      withTables(
        withTrigger(
          "IF NEW.version < 3 THEN UPDATE t SET version = version + 1 WHERE id = NEW.id; END IF; RETURN NULL;",
          "AFTER INSERT OR UPDATE ON t FOR EACH ROW"
        ),
        ["t", "log"],
        (engine) =>
          Effect.gen(function* () {
            const patches = yield* reversible(
              engine,
              [],
              "INSERT INTO t VALUES (1, 'a', 1)",
              "UPDATE t SET version = 2"
            )
            expect(brief(patches, "version")).toEqual([
              ["t", "1", null, "1"],
              ["t", "1", "1", "2"],
              ["t", "1", "2", "3"],
              ["t", "1", "3", "2"],
              ["t", "1", "2", "3"]
            ])
          })
      ))

    it("AFTER: writes to other rows that the same statement changed come after it", () =>
      withTables(
        withTrigger(
          "IF pg_trigger_depth() = 1 THEN UPDATE t SET version = version + 1; END IF; RETURN NULL;",
          "AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW"
        ),
        ["t", "log"],
        (engine) =>
          Effect.gen(function* () {
            const seed = ["INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)"]
            yield* reversible(engine, seed, "UPDATE t SET x = x || '!', version = 100")
            yield* reversible(engine, [], "DELETE FROM t WHERE id < 3")
            yield* reversible(engine, [], "INSERT INTO t VALUES (4, 'd', 0), (5, 'e', 0), (6, 'f', 0)")
            yield* reversible(
              engine,
              [],
              "INSERT INTO t VALUES (4, 'd', 0), (7, 'e', 0) ON CONFLICT (id) DO UPDATE SET x = 'again'"
            )
          })
      ))

    it("AFTER: a trigger that puts other rows of its statement back", () =>
      withTables(
        withTrigger(
          "IF pg_trigger_depth() = 1 THEN UPDATE t SET x = 'first' WHERE id <> NEW.id; END IF; RETURN NULL;",
          "AFTER UPDATE ON t FOR EACH ROW"
        ),
        ["t", "log"],
        (engine) =>
          Effect.gen(function* () {
            yield* reversible(
              engine,
              ["INSERT INTO t VALUES (1, 'first', 0), (2, 'first', 0)"],
              "UPDATE t SET x = 'second'"
            )
          })
      ))

    it("BEFORE: a trigger that replaces a row of the same key", () =>
      withTables(
        withTrigger("DELETE FROM t WHERE id = NEW.id; RETURN NEW;", "BEFORE INSERT ON t FOR EACH ROW"),
        ["t", "log"],
        (engine) =>
          Effect.gen(function* () {
            const patches = yield* reversible(
              engine,
              ["INSERT INTO t VALUES (1, 'a')"],
              "INSERT INTO t VALUES (1, 'b'), (2, 'c')"
            )
            expect(brief(patches, "x")).toEqual([
              ["t", "1", "a", null],
              ["t", "1", null, "b"],
              ["t", "2", null, "c"]
            ])
          })
      ))

    it("AFTER: writes to another table, and are not run again by undo and redo", () =>
      withTables(
        withTrigger(
          "INSERT INTO log VALUES ((SELECT count(*) FROM log), TG_OP || coalesce(NEW.id, OLD.id)); RETURN NULL;",
          "AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW"
        ),
        ["t", "log"],
        (engine) =>
          Effect.gen(function* () {
            const patches = yield* reversible(
              engine,
              [],
              "INSERT INTO t VALUES (1), (2)",
              "UPDATE t SET x = 'a' WHERE id = 1",
              "DELETE FROM t WHERE id = 2"
            )
            expect(brief(patches)).toEqual([
              ["t", "1", "insert"],
              ["t", "2", "insert"],
              ["log", "0", "insert"],
              ["log", "1", "insert"],
              ["t", "1", "update"],
              ["log", "2", "insert"],
              ["t", "2", "delete"],
              ["log", "3", "insert"]
            ])
          })
      ))

    it("statement-level triggers and deferred constraint triggers write inside their record", () =>
      withTables(
        `CREATE TABLE t (id integer PRIMARY KEY, x text);
         CREATE TABLE log (id integer PRIMARY KEY, line text);
         CREATE FUNCTION react() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO log VALUES ((SELECT count(*) FROM log), TG_NAME); RETURN NULL; END $$;
         CREATE TRIGGER statement AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION react();
         CREATE CONSTRAINT TRIGGER later AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION react();`,
        ["t", "log"],
        (engine) =>
          Effect.gen(function* () {
            const patches = yield* reversible(
              engine,
              [],
              "INSERT INTO t VALUES (1)",
              "INSERT INTO t VALUES (2)"
            )
            expect(brief(patches, "line")).toEqual([
              ["t", "1", null, ""],
              ["log", "0", null, "statement"],
              ["t", "2", null, ""],
              ["log", "1", null, "statement"],
              ["log", "2", null, "later"],
              ["log", "3", null, "later"]
            ])
          })
      ))
  })

  describe("I5: deferred constraints", () => {
    const migration = `
      CREATE TABLE parent (id integer PRIMARY KEY, x integer UNIQUE DEFERRABLE INITIALLY IMMEDIATE);
      CREATE TABLE child (id integer PRIMARY KEY, parent integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`

    it("may be broken inside a record, and a record that leaves them broken is the one that fails", () =>
      withTables(migration, ["parent", "child"], (engine) =>
        Effect.gen(function* () {
          const exits = yield* execute(engine, [
            recordOf(1, statements(["INSERT INTO child VALUES (1, 1)", "INSERT INTO parent VALUES (1, 1)"])),
            recordOf(2, statements(["INSERT INTO child VALUES (2, 99)"])),
            recordOf(3, statements(["INSERT INTO child VALUES (3, 1)"]))
          ])
          expect(exits.map((exit) => exit._tag)).toEqual(["Success", "Failure", "Success"])
          expect(yield* contentOf(engine.app)).toEqual({
            "public.parent": ["(1,1)"],
            "public.child": ["(1,1)", "(3,1)"]
          })
        })
      ))

    it("that an action defers itself are checked at its end too", () =>
      withTables(
        "CREATE TABLE t (id integer PRIMARY KEY, x integer UNIQUE DEFERRABLE INITIALLY IMMEDIATE)",
        ["t"],
        (engine) =>
          Effect.gen(function* () {
            const exits = yield* execute(engine, [
              recordOf(1, statements(["INSERT INTO t VALUES (1, 1)"])),
              recordOf(2, statements(["SET CONSTRAINTS ALL DEFERRED", "INSERT INTO t VALUES (2, 1)"])),
              recordOf(3, statements(["INSERT INTO t VALUES (3, 3)"]))
            ])
            expect(exits.map((exit) => exit._tag)).toEqual(["Success", "Failure", "Success"])
            expect(yield* contentOf(engine.app)).toEqual({ "public.t": ["(1,1)", "(3,3)"] })
          })
      ))
  })

  describe("I4: writes outside of actions on a client", () => {
    for (const write of [
      "INSERT INTO t VALUES (1)",
      "UPDATE t SET x = 'a'",
      "DELETE FROM t",
      "TRUNCATE t",
      "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"
    ]) {
      it(`${write} is refused with 25006 and a hint`, () =>
        withTables("CREATE TABLE t (id integer PRIMARY KEY, x text)", ["t"], () =>
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const error = (yield* Effect.flip(sql.unsafe(write))) as SqlError.SqlError
            expect(Execution.sqlState(error)).toBe("25006")
            expect(error.cause).toMatchObject({
              message: "synchrotron: public.t is a synced table, and only actions write to it",
              hint: "Put the write into an action and run it with client.execute."
            })
            expect(yield* sql.unsafe("SELECT * FROM t")).toEqual([])
          })
        ))
    }

    it("tables that are not synced stay free", () =>
      withTables(
        "CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE mine (id integer PRIMARY KEY)",
        ["t"],
        () =>
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            yield* sql.unsafe("INSERT INTO mine VALUES (1)")
            expect(yield* sql.unsafe("SELECT * FROM mine")).toEqual([{ id: 1 }])
          })
      ))
  })
})

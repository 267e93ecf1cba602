/** Rows become what their images say, whatever the table's triggers, rules and foreign keys would make of the writes. */
import { SqlClient } from "@effect/sql"
import { Effect, Exit } from "effect"
import { describe, expect, it } from "vitest"
import * as Execution from "../src/Execution.ts"
import { puttingSql } from "../src/sql/put.ts"
import { appOf, contentOf, installClient, kinds, readPatches, useDatabase } from "./support.ts"

const migration = `
CREATE TABLE owners (id integer PRIMARY KEY, twice text GENERATED ALWAYS AS (id || '-' || id) STORED);
CREATE TABLE followers (id integer PRIMARY KEY, owner integer REFERENCES owners ON DELETE CASCADE);
CREATE TABLE leavers (id integer PRIMARY KEY, owner integer REFERENCES owners ON DELETE SET NULL, self integer REFERENCES leavers);
CREATE TABLE coded (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE uses (id integer PRIMARY KEY, code text REFERENCES coded (code) ON UPDATE CASCADE);
CREATE TABLE lists (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE items (id integer PRIMARY KEY, list integer NOT NULL REFERENCES lists);
CREATE TABLE late (id integer PRIMARY KEY, late integer REFERENCES late DEFERRABLE INITIALLY DEFERRED, n integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE rung (id integer PRIMARY KEY, body text);
CREATE TABLE bells (id integer PRIMARY KEY, body text);
CREATE FUNCTION ring() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO bells VALUES ((SELECT count(*) + 100 FROM bells), 'rung'); RETURN NULL;
END $$;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := upper(NEW.body); RETURN NEW; END $$;
CREATE TRIGGER ring AFTER INSERT OR UPDATE OR DELETE ON rung FOR EACH ROW EXECUTE FUNCTION ring();
CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON rung FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TABLE ruled (id integer PRIMARY KEY, body text);
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO bells VALUES (99, 'ruled') ON CONFLICT DO NOTHING;
CREATE TABLE links (a integer, b integer, PRIMARY KEY (b, a));
CREATE TABLE moved (id integer PRIMARY KEY DEFERRABLE, body text);
CREATE TABLE excluded (id integer PRIMARY KEY, excluded text);
CREATE TABLE put (keys text PRIMARY KEY, images text, changed_keys text, removes boolean);`

type Rows = ReadonlyArray<Readonly<Record<string, string | null>>>

/** A generator whose draws follow from its seed (Steele et al., SplitMix, OOPSLA 2014). */
const drawsOf = (seed: number) => {
  let state = seed
  return (n: number): number => {
    state = (state + 0x9e3779b9) | 0
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return ((z ^ (z >>> 16)) >>> 0) % n
  }
}

/** References may lead to rows that are not there, as on a client that does not see them. */
const stateOf = (draw: (n: number) => number): Readonly<Record<string, Rows>> => {
  const some = (ids: ReadonlyArray<string>) => ids.filter(() => draw(2) === 0)
  const ids = ["1", "2", "3", "4"]
  const shuffled = () => {
    const rest = [...ids]
    return ids.map(() => rest.splice(draw(rest.length), 1)[0]!)
  }
  const maybe = (value: string) => (draw(4) === 0 ? null : value)
  const any = () => ids[draw(4)]!
  const [codes, numbers] = [shuffled(), shuffled()]
  return {
    owners: some(ids).map((id) => ({ id })),
    followers: some(ids).map((id) => ({ id, owner: maybe(any()) })),
    leavers: some(ids).map((id) => ({ id, owner: maybe(any()), self: maybe(any()) })),
    coded: some(ids).map((id) => ({ id, code: maybe(codes[Number(id) - 1]!) })),
    uses: some(ids).map((id) => ({ id, code: maybe(any()) })),
    lists: some(ids).map((id) => ({ id, code: maybe(codes[Number(id) - 1]!) })),
    items: some(ids).map((id) => ({ id, list: any() })),
    late: some(ids).map((id) => ({ id, late: maybe(any()), n: maybe(numbers[Number(id) - 1]!) })),
    rung: some(ids).map((id) => ({ id, body: maybe(`${any()}a`) })),
    bells: some(ids).map((id) => ({ id, body: maybe(any()) })),
    ruled: some(ids).map((id) => ({ id, body: maybe(any()) })),
    links: some(ids).flatMap((a) => some(ids).map((b) => ({ a, b }))),
    moved: some(ids).map((id) => ({ id, body: maybe(any()) })),
    excluded: some(ids).map((id) => ({ id, excluded: maybe(any()) })),
    put: some(ids).map((keys) => ({
      keys,
      images: maybe(any()),
      changed_keys: any(),
      removes: maybe("true")
    }))
  }
}

const keyColumns: Readonly<Record<string, ReadonlyArray<string>>> = { links: ["b", "a"], put: ["keys"] }
const keyOf = (table: string, row: Rows[number]) =>
  `[${(keyColumns[table] ?? ["id"]).map((column) => JSON.stringify(row[column])).join(", ")}]`

const putSql = puttingSql(
  "SELECT x.tbl, x.key, x.image FROM jsonb_to_recordset($1::jsonb) AS x(tbl text, key text, image jsonb)"
)

/** Makes the tables be `after`; rows of `before` that it does not have are put as absent. */
const put = (before: Readonly<Record<string, Rows>>, after: Readonly<Record<string, Rows>>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const wanted = Object.keys(after).flatMap((table) => {
      const images = new Map<string, Rows[number] | null>()
      for (const row of before[table] ?? []) images.set(keyOf(table, row), null)
      for (const row of after[table]!) images.set(keyOf(table, row), row)
      return [...images].map(([key, image]) => ({ tbl: `public.${table}`, key, image }))
    })
    yield* sql.withTransaction(sql.unsafe(putSql, [JSON.stringify(wanted)]))
  })

const names = Object.keys(stateOf(drawsOf(0)))
const app = appOf(
  migration,
  names.map((name) => `public.${name}`)
)

describe.each(kinds)("I1: putting rows on %s", (kind) => {
  const { run } = useDatabase(kind)

  it("makes them be their images, from any state to any other, and does nothing else", () =>
    run(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* installClient(app)
        const draw = drawsOf(7)
        let before: Readonly<Record<string, Rows>> = Object.fromEntries(names.map((name) => [name, []]))
        for (let i = 0; i < 60; i++) {
          // Of the other tables not even what refers to rows that go or change may follow them.
          const some = Object.fromEntries(Object.entries(stateOf(draw)).filter(() => draw(3) > 0))
          yield* put(before, some)
          const after = { ...before, ...some }
          // What an independent statement makes of the same images, with nothing that could act on it.
          const expected: Record<string, ReadonlyArray<string>> = {}
          for (const [table, rows] of Object.entries(after)) {
            const found = yield* sql.unsafe<{ row: string }>(
              `SELECT r.row FROM (SELECT (jsonb_populate_record(NULL::${table}, x.image${
                table === "owners"
                  ? ` || jsonb_build_object('twice', (x.image ->> 'id') || '-' || (x.image ->> 'id'))`
                  : ""
              }))::text AS row FROM jsonb_array_elements($1::jsonb) AS x(image)) AS r ORDER BY r.row COLLATE "C"`,
              [JSON.stringify(rows)]
            )
            expected[`public.${table}`] = found.map(({ row }) => row)
          }
          expect(yield* contentOf(app)).toEqual(expected)
          before = after
        }
        expect(yield* readPatches).toEqual([])
        const [settings] = yield* sql.unsafe(
          "SELECT current_setting('session_replication_role') AS role, current_setting('synchrotron.putting', true) AS putting, current_setting('enable_seqscan') AS scans"
        )
        expect(settings).toEqual({ role: "origin", putting: "", scans: "on" })
      })
    ))

  it("needs no right to switch triggers off where none could act, and so keeps the plans of the session", () =>
    run(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* installClient(app)
        const two = {
          lists: [
            { id: "1", code: "a" },
            { id: "2", code: "b" }
          ]
        }
        yield* put({}, two)
        const role = `put_rows_${kind}`
        /** As a user without that right; gives what is there then, and leaves nothing. */
        const tried = (before: Readonly<Record<string, Rows>>, after: Readonly<Record<string, Rows>>) =>
          Effect.gen(function* () {
            yield* sql.unsafe(`CREATE ROLE ${role};GRANT ALL ON SCHEMA public, synchrotron TO ${role};
              GRANT ALL ON ALL TABLES IN SCHEMA public, synchrotron TO ${role};SET LOCAL ROLE ${role}`)
            yield* put(before, after)
            const { "public.items": items, "public.lists": lists } = yield* contentOf(app)
            return yield* Effect.fail({ items, lists })
          }).pipe(
            sql.withTransaction,
            Effect.catchIf(
              (error) => "_tag" in error,
              (error) => Effect.fail(Execution.sqlState(error))
            ),
            Effect.flip
          )
        // The table that is referred to has the later name.
        const after = {
          items: [{ id: "1", list: "3" }],
          lists: [
            { id: "2", code: "z" },
            { id: "3", code: null }
          ]
        }
        expect(yield* tried({}, after)).toEqual({ items: ["(1,3)"], lists: ["(1,a)", "(2,z)", "(3,)"] })
        yield* put({}, { items: after.items })
        expect(yield* tried(after, { items: [] })).toEqual({ items: [], lists: ["(1,a)", "(2,b)"] })
        // What could act, or refuses, does not go without.
        const notPrivileged = "42501"
        expect(yield* tried({}, { rung: [{ id: "1", body: "a" }] })).toBe(notPrivileged)
        expect(yield* tried({}, { late: [{ id: "1", late: null, n: null }] })).toBe(notPrivileged)
        expect(yield* tried({}, { ruled: [{ id: "1", body: null }] })).toBe(notPrivileged)
        expect(yield* tried({}, { items: [{ id: "1", list: "9" }] })).toBe(notPrivileged)
        expect(yield* tried(two, { lists: [] })).toBe(notPrivileged)
        const [one, other] = two.lists
        const swapped = [
          { ...one!, code: "b" },
          { ...other!, code: "a" }
        ]
        expect(yield* tried({}, { lists: swapped })).toBe(notPrivileged)
      })
    ))

  it("refuses rows of a table that is not synced", () =>
    run(
      Effect.gen(function* () {
        yield* installClient(app)
        const exit = yield* Effect.exit(put({}, { nothing: [{ id: "1" }] }))
        expect(
          Exit.isFailure(exit) && exit.cause._tag === "Fail" && Execution.sqlState(exit.cause.error as never)
        ).toBe("42P01")
      })
    ))
})

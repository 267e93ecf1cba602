/** Stepping back through the journal, and that nothing stays of it. */
import { SqlClient } from "@effect/sql"
import { Deferred, Effect, Fiber, Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Action from "../src/Action.ts"
import * as Hlc from "../src/Hlc.ts"
import type { Audience, ClientId, RecordId, RowKey, Seq, TableName } from "../src/Ids.ts"
import * as Inspect from "../src/Inspect.ts"
import type { SyncRequest, SyncResponse } from "../src/Protocol.ts"
import * as Replica from "../src/Replica.ts"
import { appOf, clear, statements, useDatabase } from "./support.ts"

const put = Action.make("put", {
  args: Schema.Struct({ id: Schema.String, n: Schema.Int }),
  run: ({ args, sql }) =>
    sql`INSERT INTO items (id, n) VALUES (${args.id}, ${args.n}) ON CONFLICT (id) DO UPDATE SET n = items.n + excluded.n`
})

// What undoing has to cope with: a cascade, a trigger that writes, a unique value that moves, a key of two columns.
const app = appOf(
  `CREATE TABLE items (id text PRIMARY KEY, n integer NOT NULL, doubled integer GENERATED ALWAYS AS (n * 2) STORED, made timestamptz DEFAULT now());
   CREATE TABLE parts (item text REFERENCES items ON DELETE CASCADE, place integer UNIQUE, PRIMARY KEY (item, place));
   CREATE TABLE log (id text PRIMARY KEY, what text);
   CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
     INSERT INTO log VALUES (NEW.id, NEW.n) ON CONFLICT (id) DO UPDATE SET what = log.what || ',' || excluded.what; RETURN NULL;
   END $$;
   CREATE TRIGGER note AFTER INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION note();`,
  ["items", "parts", "log"],
  { actions: [put] }
)
const pglite = useDatabase("pglite")
const fresh = Effect.zipRight(clear, Replica.make({ app, userId: "ada" }))
const sqlNow = SqlClient.SqlClient

/** By another way than the one under test. */
const contents = Effect.flatMap(sqlNow, (sql) =>
  sql.unsafe<{ items: unknown; parts: unknown; log: unknown }>(
    `SELECT (SELECT json_agg(ARRAY[id, n::text, doubled::text, made::text] ORDER BY id) FROM items) AS items,
       (SELECT json_agg(ARRAY[item, place::text] ORDER BY item, place) FROM parts) AS parts,
       (SELECT json_agg(ARRAY[id, what] ORDER BY id) FROM log) AS log`
  )
).pipe(Effect.map(([row]) => ({ items: row!.items ?? [], parts: row!.parts ?? [], log: row!.log ?? [] })))

const shown = ({ tables }: Inspect.StepBack) =>
  Object.fromEntries(
    tables.map(({ name, rows }) => [name.replace("public.", ""), rows.map(({ cells }) => cells)])
  )

/** Every row of every table with where and by whom it was written, every sequence, and settings that an undo uses. */
const everything = Effect.gen(function* () {
  const sql = yield* sqlNow
  const relations = yield* sql.unsafe<{ name: string; kind: string }>(
    `SELECT c.oid::regclass::text AS name, c.relkind::text AS kind FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1`
  )
  const found: Record<string, unknown> = {}
  for (const { kind, name } of relations)
    found[name] = yield* sql.unsafe(
      kind === "S"
        ? `SELECT last_value, log_cnt, is_called FROM ${name}`
        : `SELECT t.ctid::text, t.xmin::text, t::text AS row FROM ${name} AS t ORDER BY t.ctid`
    )
  found.settings = yield* sql.unsafe(
    `SELECT current_setting('session_replication_role') AS role, coalesce(current_setting('synchrotron.putting', true), '') AS putting,
       current_setting('transaction_read_only') AS reads, current_setting('synchrotron.record', true) AS record`
  )
  return found
})

const step = fc.oneof(
  fc.record({
    kind: fc.constant("put"),
    id: fc.constantFrom("a", "b", "c"),
    n: fc.integer({ min: -3, max: 9 })
  }),
  fc.record({ kind: fc.constant("delete"), id: fc.constantFrom("a", "b", "c") }),
  fc.record({
    kind: fc.constant("rename"),
    id: fc.constantFrom("a", "b"),
    to: fc.constantFrom("b", "c", "d")
  }),
  fc.record({
    kind: fc.constant("part"),
    id: fc.constantFrom("a", "b", "c"),
    place: fc.integer({ min: 1, max: 3 })
  }),
  fc.record({ kind: fc.constant("swap") }),
  fc.record({ kind: fc.constant("nothing") })
)
type Step = {
  readonly kind: string
  readonly id?: string
  readonly to?: string
  readonly n?: number
  readonly place?: number
}
const operationOf = ({ id, kind, n, place, to }: Step): Action.AnyOperation => {
  switch (kind) {
    case "put":
      return put({ id: id!, n: n! })
    case "delete":
      return statements([`DELETE FROM items WHERE id = '${id}'`])
    case "rename":
      return statements([
        `UPDATE items SET id = '${to}' WHERE id = '${id}' AND NOT EXISTS (SELECT FROM parts WHERE item = '${id}')`
      ])
    case "part":
      return statements([
        `INSERT INTO parts SELECT '${id}', ${place} WHERE EXISTS (SELECT FROM items WHERE id = '${id}')`
      ])
    case "swap":
      return statements(["UPDATE parts SET place = place + 10", "UPDATE parts SET place = place - 9"])
    default:
      return statements(["SELECT 1"])
  }
}

const answer = (request: SyncRequest, change: Partial<SyncResponse>): SyncResponse => ({
  protocol: 2,
  seq: 1 as Seq,
  serverTimeMs: request.clientTimeMs,
  audiences: ["all" as Audience],
  verdicts: [],
  notices: [],
  tables: [],
  next: null,
  later: [],
  clock: { ms: 0, counter: 0 },
  ...change
})

describe("stepping back", () => {
  it("shows the tables as they were when a record had just been executed, and changes nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        await pglite.run(
          Effect.gen(function* () {
            const sql = yield* sqlNow
            const replica = yield* fresh
            const states: Array<readonly [RecordId | null, unknown]> = [[null, yield* contents]]
            for (const one of steps) {
              const done = yield* Effect.either(replica.execute(operationOf(one)))
              if (done._tag === "Right") states.push([done.right.id, yield* contents])
            }
            const before = yield* everything
            for (const [to, state] of states)
              expect(shown(yield* Inspect.stepBack(sql, { to })), String(to)).toEqual(state)
            const [, last] = states.at(-1)!
            expect(yield* contents).toEqual(last)
            expect(yield* everything).toEqual(before)
            // What is captured next follows on what was.
            yield* replica.execute(put({ id: "z", n: 1 }))
            expect(shown(yield* Inspect.stepBack(sql, { to: states.at(-1)![0] }))).toEqual(last)
          })
        )
      }),
      { numRuns: 20 }
    )
  }, 120_000)

  it("goes through confirmed records that pending ones cross, in the order of all", () =>
    pglite.run(
      Effect.gen(function* () {
        const sql = yield* sqlNow
        const replica = yield* fresh
        const first = yield* replica.execute(put({ id: "a", n: 1 }))
        yield* Effect.sleep(4)
        const request = yield* replica.request
        const node = "00000000-0000-4000-8000-00000000000b" as ClientId
        const crossing = (ms: number, id: string, n: number) => ({
          id: `00000000-0000-4000-8000-00000000000${n}` as RecordId,
          hlc: Hlc.make({ ms: Hlc.parts(first.hlc).ms + ms, counter: 0 }, node),
          userId: "bob",
          name: "put" as never,
          version: 1 as never,
          args: { id, n },
          patches: [
            {
              table: "public.items" as TableName,
              key: `["${id}"]` as RowKey,
              before: null,
              after: itemOf(id, n)
            }
          ]
        })
        const second = crossing(1, "a", 5)
        const idle = yield* replica.execute(statements(["SELECT 1"]))
        const last = yield* replica.execute(put({ id: "a", n: 7 }))
        const received = yield* replica.receive(
          request,
          answer(request, {
            later: [second],
            tables: [
              {
                table: "public.items" as TableName,
                rows: JSON.stringify([itemOf("a", 5)]),
                count: 1,
                gone: []
              }
            ]
          })
        )
        expect(received.order).toEqual([first.id, second.id, idle.id, last.id])
        const sums = []
        for (const to of [null, first.id, second.id, idle.id, last.id])
          sums.push((yield* Inspect.stepBack(sql, { to })).tables[0]!.rows.map(({ cells }) => cells[1]))
        expect(sums).toEqual([[], ["1"], ["6"], ["1"], ["13"]])
        const stamps = new Map([[second.id, second.hlc]])
        const known = yield* Inspect.stepBack(sql, { to: idle.id, stamps })
        expect(known.tables[0]!.rows[0]!.cells[1]).toBe("6")
        expect(known.changes).toMatchObject([
          { table: "public.items", key: '["a"]', was: { n: "6" }, now: { n: "13" } },
          { table: "public.log" }
        ])
        const { journal, kept } = yield* Inspect.records(sql, 10)
        expect(journal.map(({ id }) => id)).toEqual([first.id, second.id, last.id])
        expect(kept.map(({ id, patches }) => [id, patches])).toEqual([
          [first.id, 2],
          [idle.id, 0],
          [last.id, 2]
        ])
        expect(yield* Inspect.record(sql, last.id)).toMatchObject({
          name: "put",
          args: { id: "a", n: 7 },
          patchesTotal: 2,
          patches: [{ before: { n: "6" }, after: { n: "13" } }, { table: "public.log" }]
        })
        const gone = yield* Effect.flip(Inspect.stepBack(sql, { to: node as never }))
        expect(gone).toMatchObject({ _tag: "NotInJournal", id: node })
      })
    ))

  it("lets an action wait that comes meanwhile, and loses none", () =>
    pglite.run(
      Effect.gen(function* () {
        const sql = yield* sqlNow
        const replica = yield* fresh
        const { id } = yield* replica.execute(put({ id: "a", n: 1 }))
        yield* replica.execute(put({ id: "a", n: 1 }))
        const running = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, n) => n),
          (n) =>
            Effect.fork<unknown, unknown, never>(
              n % 2 === 0
                ? replica.execute(put({ id: "a", n: 1 }))
                : Effect.map(Inspect.stepBack(sql, { to: id }), ({ tables }) => tables[0]!.rows[0]!.cells[1])
            )
        )
        const done = yield* Effect.forEach(running, Fiber.join)
        expect(done.filter((value) => typeof value === "string")).toEqual(Array(5).fill("1"))
        const [row] = yield* sql.unsafe<{ n: number }>("SELECT n FROM items")
        expect(row!.n).toBe(7)
        expect(yield* replica.pendingCount).toBe(7)
      })
    ))

  it("leaves everything as it was when it is interrupted, and reads no more rows than asked for", () =>
    pglite.run(
      Effect.gen(function* () {
        const sql = yield* sqlNow
        const replica = yield* fresh
        for (const id of ["a", "b", "c"]) yield* replica.execute(put({ id, n: 1 }))
        const before = yield* everything
        const begun = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          Effect.zipRight(Deferred.succeed(begun, undefined), Inspect.stepBack(sql, { to: null }))
        )
        yield* Deferred.await(begun)
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        expect(yield* everything).toEqual(before)
        const { tables } = yield* Inspect.stepBack(sql, {
          to: (yield* replica.pending).at(-1)!.id,
          rowsMax: 2
        })
        expect(tables.map(({ more, rows }) => [rows.length, more])).toEqual([
          [2, true],
          [2, true],
          [0, false]
        ])
      })
    ))
})

const itemOf = (id: string, n: number) => ({ id, n: String(n), made: "2024-01-01 00:00:00+00" })

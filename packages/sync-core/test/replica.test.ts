import { SqlClient } from "@effect/sql"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { describe, expect, it } from "vitest"
import * as Action from "../src/Action.ts"
import {
  ActionCrashed,
  ArgsInvalid,
  DatabaseOfOther,
  DatabaseTooNew,
  Impure,
  MigrationChanged,
  RecordNotFound
} from "../src/Errors.ts"
import * as Hlc from "../src/Hlc.ts"
import type { Audience, RecordId, RowKey, Seq, TableName } from "../src/Ids.ts"
import { limits, type Position, type SyncRequest, type SyncResponse, type Verdict } from "../src/Protocol.ts"
import * as Replica from "../src/Replica.ts"
import * as SyncApp from "../src/SyncApp.ts"
import * as SyncTable from "../src/SyncTable.ts"
import { clear, contentOf, kinds, node, readPatches, useDatabase } from "./support.ts"

class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { balance: Schema.Int }) {}

const Amount = Schema.Struct({ id: Schema.String, n: Schema.Int })
const add = Action.make("add", {
  args: Amount,
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      yield* sql`INSERT INTO accounts VALUES (${args.id}, 0) ON CONFLICT DO NOTHING`
      const [row] = yield* sql<{ n: number }>`SELECT n FROM accounts WHERE id = ${args.id}`
      yield* sql`UPDATE accounts SET n = ${row!.n + args.n} WHERE id = ${args.id}`
      if (row!.n + args.n < 0) return yield* new Overdrawn({ balance: row!.n })
      return row!.n + args.n
    })
})
const slow = Action.make("slow", {
  args: Schema.Struct({ id: Schema.String, rows: Schema.Int }),
  run: ({ args, sql }) =>
    Effect.forEach(
      Array.from({ length: args.rows }, (_, i) => i),
      (i) =>
        Effect.zipRight(Effect.yieldNow(), sql`INSERT INTO entries VALUES (${`${args.id}${i}`}, ${args.id})`),
      { discard: true }
    )
})
const crash = Action.make("crash", {
  args: Schema.Struct({ how: Schema.Literal("throw", "throw early", "die", "reject", "swallow") }),
  run: ({ args, sql }) => {
    if (args.how === "throw early") throw new Error("thrown early")
    return Effect.gen(function* () {
      yield* sql`INSERT INTO accounts VALUES ('crashed', 1)`
      if (args.how === "throw") throw new Error("thrown")
      if (args.how === "reject") yield* Effect.promise(() => Promise.reject(new Error("rejected")))
      if (args.how === "swallow") yield* Effect.ignore(sql`SELECT 1 / 0`)
      if (args.how === "die") yield* Effect.dieMessage("died")
    })
  }
})
let flips = 0
const impure = Action.make("impure", {
  args: Schema.Struct({ how: Schema.Literal("outside", "order", "second fails") }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      flips += 1
      if (args.how === "second fails" && flips % 2 === 0) return yield* new Overdrawn({ balance: 7 })
      if (args.how === "order")
        yield* sql.unsafe(
          "INSERT INTO entries SELECT 'o' || row_number() OVER (), id FROM (SELECT id FROM accounts ORDER BY pg_catalog.random()) AS x"
        )
      else yield* sql`INSERT INTO entries VALUES ('flip', ${String(flips)})`
    })
})
const dated = Action.make("dated", {
  args: Schema.Struct({}),
  run: ({ sql }) => Effect.as(sql`INSERT INTO entries VALUES ('dated', 'x')`, new Date(0))
})
const odd = <A, I>(name: string, args: Schema.Schema<A, I>) =>
  Action.make(name, { args, run: ({ sql }) => Effect.asVoid(sql`INSERT INTO entries VALUES ('odd', 'odd')`) })
const dateArgs = odd("odd.date", Schema.Struct({ at: Schema.Date }))
const rawDate = odd("odd.rawDate", Schema.Struct({ at: Schema.DateFromSelf }))
const bigint = odd("odd.bigint", Schema.Struct({ n: Schema.BigIntFromSelf }))
const number = odd("odd.number", Schema.Struct({ n: Schema.Number }))

const migration = {
  id: "001",
  sql: "CREATE TABLE accounts (id text PRIMARY KEY, n integer NOT NULL); CREATE TABLE entries (id text PRIMARY KEY, x text);"
}
const bank = (change: Partial<Parameters<typeof SyncApp.make>[0]> = {}) =>
  SyncApp.make({
    name: "bank",
    migrations: [migration],
    tables: ["accounts", "entries"].map((name) => SyncTable.make(name, { audience: "'all'" })),
    actions: [add, slow, crash, impure, dated, dateArgs, rawDate, bigint, number],
    audiences: "SELECT 'all'",
    ...change
  })
const app = bank()

const open = (options: Partial<Replica.ReplicaOptions> = {}) =>
  Replica.make({ app, userId: "ada", ...options })
/** A replica on a cleared database. */
const fresh = (options: Partial<Replica.ReplicaOptions> = {}) => Effect.zipRight(clear, open(options))

const answer = (request: SyncRequest, change: Partial<SyncResponse> = {}): SyncResponse => ({
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
const rowsOf = (table: string, rows: Record<string, Record<string, string> | null>) => ({
  table: `public.${table}` as TableName,
  ...inText(Object.values(rows).filter((image) => image !== null)),
  gone: Object.entries(rows).flatMap(([id, image]) =>
    image === null ? [JSON.stringify([id]) as RowKey] : []
  )
})
const inText = (images: ReadonlyArray<Record<string, string>>) => ({
  rows: JSON.stringify(images),
  count: images.length
})
const applied = (request: SyncRequest): ReadonlyArray<Verdict> =>
  request.records.map(({ id, hlc }) => ({ id, outcome: "applied", hlc }))
const failed = { class: "failed", message: "no" } as const
const rejectAll = (request: SyncRequest): ReadonlyArray<Verdict> =>
  request.records.map(({ id }) => ({ id, outcome: "rejected", error: failed }))

/** The next change that the replica tells of, listened to from now on. */
const firstChange = (replica: Replica.Replica) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Stream.runHead(replica.changes).pipe(Effect.flatten))
    // A subscription shows nowhere, so it gets a moment.
    yield* Effect.sleep("20 millis")
    return fiber
  })

const accounts = Effect.map(contentOf(app), (content) => content["public.accounts"])
const at =
  (ms: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.withClock(
      effect,
      Object.create(Clock.make(), {
        currentTimeMillis: { value: Effect.succeed(ms) },
        unsafeCurrentTimeMillis: { value: () => ms }
      })
    )

describe.each(kinds)("a replica on %s", (kind) => {
  const { run } = useDatabase(kind)

  describe("I4: executing", () => {
    it("keeps a record per operation with the patches that are its own, under 20 at once", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const done = yield* Effect.all(
            Array.from({ length: 20 }, (_, i) => replica.execute(slow({ id: `e${i}-`, rows: 3 }))),
            { concurrency: "unbounded" }
          )
          const patches = yield* readPatches
          for (const [i, { id }] of done.entries()) {
            expect(patches.filter((p) => p.record_id === id).map((p) => p.after!.id)).toEqual([
              `e${i}-0`,
              `e${i}-1`,
              `e${i}-2`
            ])
          }
          const pending = yield* replica.pending
          expect(pending.map((p) => p.id).sort()).toEqual(done.map((d) => d.id).sort())
          expect(new Set(pending.map((p) => p.hlc)).size).toBe(20)
        })
      ))

    it("read-modify-writes at once do not lose each other's", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* Effect.all(
            Array.from({ length: 20 }, () => replica.execute(add({ id: "a", n: 1 }))),
            { concurrency: "unbounded" }
          )
          expect(yield* accounts).toEqual(["(a,20)"])
        })
      ))

    it("an action that runs while a response is applied loses nothing", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* replica.execute(add({ id: "a", n: 1 }))
          const request = yield* replica.request
          const response = answer(request, {
            verdicts: applied(request),
            tables: [rowsOf("accounts", { a: { id: "a", n: "101" }, b: { id: "b", n: "5" } })]
          })
          yield* Effect.all(
            [
              replica.execute(add({ id: "a", n: 10 })),
              replica.receive(request, response),
              replica.execute(add({ id: "b", n: 10 })),
              replica.execute(slow({ id: "s", rows: 2 }))
            ],
            { concurrency: "unbounded" }
          )
          expect(yield* accounts).toEqual(["(a,111)", "(b,15)"])
          expect(yield* replica.pendingCount).toBe(3)
          const again = yield* replica.request
          expect(again.records).toHaveLength(3)
        })
      ))

    it("an interrupted caller does not leave half of an action", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const fiber = yield* Effect.fork(replica.execute(slow({ id: "i", rows: 5 })))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
          const count = yield* replica.pendingCount
          const entries = (yield* contentOf(app))["public.entries"]!.length
          expect([
            [0, 0],
            [1, 5]
          ]).toContainEqual([count, entries])
        })
      ))

    it("batches are one record, all or nothing", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh({ purityCheck: true })
          const done = yield* replica.executeAll([add({ id: "a", n: 1 }), add({ id: "a", n: 2 })])
          expect(done.value).toEqual([1, 3])
          const exit = yield* Effect.exit(
            replica.executeAll([add({ id: "b", n: 5 }), add({ id: "a", n: -100 }), add({ id: "c", n: 1 })])
          )
          expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
            _tag: "Overdrawn",
            balance: 3
          })
          expect(yield* accounts).toEqual(["(a,3)"])
          expect((yield* replica.pending).map((p) => p.name)).toEqual(["synchrotron.batch"])
          expect((yield* replica.executeAll([])).value).toEqual([])
        })
      ))
  })

  describe("I5: an action that fails leaves no trace", () => {
    const leavesNothing = (operation: Action.AnyOperation, expected: (error: unknown) => void) =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* replica.execute(add({ id: "a", n: 1 }))
          const [before, patches] = [yield* contentOf(app), yield* readPatches]
          const changes = yield* firstChange(replica)
          const exit = yield* Effect.exit(replica.execute(operation))
          expect(exit._tag).toBe("Failure")
          if (Exit.isFailure(exit)) {
            expect(Cause.isDie(exit.cause), "a defect").toBe(false)
            expected(Cause.squash(exit.cause))
          }
          expect(yield* contentOf(app)).toEqual(before)
          expect(yield* readPatches).toEqual(patches)
          expect(yield* replica.pendingCount).toBe(1)
          // The next one is unaffected, and is the only change that anybody hears of.
          expect((yield* replica.execute(add({ id: "a", n: 1 }))).value).toBe(2)
          expect(yield* Fiber.join(changes)).toEqual({
            tables: new Set(["public.accounts"]),
            records: true,
            outcomes: []
          })
        })
      )

    it("with its own error", () =>
      leavesNothing(add({ id: "a", n: -5 }), (error) => {
        expect(error).toBeInstanceOf(Overdrawn)
        expect(error).toMatchObject({ balance: 1 })
      }))
    for (const how of ["throw", "throw early", "die", "reject"] as const)
      it(`by a crash: ${how}`, () =>
        leavesNothing(crash({ how }), (error) => {
          expect(error).toBeInstanceOf(ActionCrashed)
          expect((error as ActionCrashed).message).toMatch(
            /^The action crash crashed: (thrown|thrown early|died|rejected)$/
          )
        }))
    it("by an SQL error that it swallowed", () =>
      leavesNothing(crash({ how: "swallow" }), (error) => {
        expect(error).toMatchObject({ _tag: "SqlError" })
      }))
  })

  describe("I4: arguments", () => {
    const refused = (operation: Action.AnyOperation, message: RegExp) =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const error = yield* Effect.flip(replica.execute(operation))
          expect(error).toBeInstanceOf(ArgsInvalid)
          expect((error as ArgsInvalid).message).toMatch(message)
          expect(yield* replica.pendingCount).toBe(0)
          expect(yield* readPatches).toEqual([])
        })
      )
    it("that do not fit the schema are refused", () =>
      refused(add({ id: "a", n: 1.5 }), /The arguments of add do not fit its schema/))
    it("that are too large are refused", () =>
      refused(add({ id: "x".repeat(limits.argsBytesMax), n: 1 }), /at most 262144 are allowed/))
    it("I4: are measured in bytes, as the server measures them, or they would hold up the queue", () =>
      refused(add({ id: "é".repeat(limits.argsBytesMax / 2), n: 1 }), /at most 262144 are allowed/))
    it("that JSON cannot hold are refused, for no other replica could run on them", async () => {
      await refused(bigint({ n: 1n }), /odd.bigint/)
      await refused(rawDate({ at: new Date(0) }), /odd.rawDate/)
      await refused(number({ n: Number.NaN }), /odd.number/)
      await refused(number({ n: Number.POSITIVE_INFINITY }), /odd.number/)
    })
    it("travel in their encoded form", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* replica.execute(dateArgs({ at: new Date(0) }))
          expect((yield* replica.request).records[0]!.args).toEqual({ at: "1970-01-01T00:00:00.000Z" })
        })
      ))
  })

  describe("I4: a call that is asked for again", () => {
    const uuid = (n: number) => `00000000-0000-4000-8000-00000000000${n}` as RecordId

    it("is executed once, whatever became of its record, and gives the same", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const call = { id: uuid(1), again: false, heard: [] }
          const first = yield* replica.execute(add({ id: "a", n: 5 }), call)
          expect(first.id).toBe(uuid(1))
          const again = { ...call, again: true }
          expect(yield* replica.execute(add({ id: "a", n: 5 }), again)).toEqual({ ...first, again: true })
          const request = yield* replica.request
          const verdicts = [{ id: first.id, outcome: "applied", hlc: first.hlc } as const]
          yield* replica.receive(
            request,
            answer(request, { verdicts, tables: [rowsOf("accounts", { a: { id: "a", n: "5" } })] })
          )
          const reopened = yield* open()
          expect(yield* reopened.execute(add({ id: "a", n: 5 }), again)).toEqual({ ...first, again: true })
          expect(yield* accounts).toEqual(["(a,5)"])
          expect(yield* reopened.pendingCount).toBe(0)
        })
      ))

    it("is executed when it has not been, and when its first try failed", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const call = { id: uuid(1), again: false, heard: [] }
          const failed = yield* Effect.exit(replica.execute(add({ id: "a", n: -1 }), call))
          expect(Exit.isFailure(failed)).toBe(true)
          const all = [add({ id: "a", n: 5 }), add({ id: "b", n: 6 })]
          const done = yield* replica.executeAll(all, { ...call, again: true })
          expect(done.again).toBeUndefined()
          expect(yield* accounts).toEqual(["(a,5)", "(b,6)"])
        })
      ))

    it("retries a refused record once", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const { id } = yield* replica.execute(add({ id: "a", n: 5 }))
          const request = yield* replica.request
          yield* replica.receive(request, answer(request, { verdicts: rejectAll(request) }))
          const call = { id: uuid(2), again: false, heard: [] }
          const retried = yield* replica.retry(id, call)
          expect(yield* replica.retry(id, { ...call, again: true })).toEqual({ ...retried, again: true })
          expect(yield* accounts).toEqual(["(a,5)"])
        })
      ))

    it("says so when JSON cannot hold what it gave, and is kept until it was heard", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const call = { id: uuid(1), again: false, heard: [] }
          expect((yield* replica.execute(dated({}), call)).value).toEqual(new Date(0))
          const lost = yield* Effect.flip(replica.execute(dated({}), { ...call, again: true }))
          expect(lost).toMatchObject({ _tag: "AnswerLost", id: uuid(1) })
          yield* replica.execute(add({ id: "a", n: 5 }), { id: uuid(2), again: false, heard: [uuid(1)] })
          const sql = yield* SqlClient.SqlClient
          const kept = yield* sql.unsafe("SELECT record_id::text AS id FROM synchrotron.answers")
          expect(kept).toEqual([{ id: uuid(2) }])
        })
      ))
  })

  describe("I4: the inbox", () => {
    it("keeps a rejected record with its reason, args and undone patches until it is dismissed", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const first = yield* replica.execute(add({ id: "a", n: 1 }))
          yield* replica.execute(add({ id: "a", n: 10 }))
          const request = yield* replica.request
          const verdicts = [rejectAll(request)[0]!]
          yield* replica.receive(request, answer(request, { verdicts }))
          expect(yield* accounts).toEqual(["(a,10)"])
          const [rejected, ...others] = yield* replica.rejected
          expect(others).toEqual([])
          expect(rejected).toMatchObject({
            id: first.id,
            name: "add",
            version: 1,
            args: { id: "a", n: 1 },
            outcome: "rejected",
            error: failed
          })
          expect(rejected!.patches).toEqual([
            { table: "public.accounts", key: '["a"]', before: null, after: { id: "a", n: "0" } },
            {
              table: "public.accounts",
              key: '["a"]',
              before: { id: "a", n: "0" },
              after: { id: "a", n: "1" }
            }
          ])
          yield* replica.dismiss(first.id)
          expect(yield* replica.rejected).toEqual([])
          expect(yield* Effect.flip(replica.dismiss(first.id))).toBeInstanceOf(RecordNotFound)
          expect(yield* Effect.flip(replica.retry(first.id))).toBeInstanceOf(RecordNotFound)
        })
      ))

    it("retry makes a new record and forgets the old one; a retry that fails keeps it", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* replica.execute(add({ id: "a", n: 5 }))
          const second = yield* replica.execute(add({ id: "a", n: -3 }))
          const request = yield* replica.request
          yield* replica.receive(request, answer(request, { verdicts: rejectAll(request) }))
          expect(yield* accounts).toEqual([])
          expect(yield* Effect.flip(replica.retry(second.id))).toBeInstanceOf(Overdrawn)
          const [first] = yield* replica.rejected
          const again = yield* replica.retry(first!.id)
          expect(again.id).not.toBe(first!.id)
          expect(yield* Effect.map(replica.retry(second.id), (r) => r.value)).toBe(2)
          expect(yield* replica.rejected).toEqual([])
          expect((yield* replica.pending).map((p) => p.args)).toEqual([
            { id: "a", n: 5 },
            { id: "a", n: -3 }
          ])
          expect(yield* accounts).toEqual(["(a,2)"])
        })
      ))

    it("takes notice of an earlier record that was voided", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const done = yield* replica.execute(add({ id: "a", n: 5 }))
          const request = yield* replica.request
          yield* replica.receive(
            request,
            answer(request, {
              verdicts: applied(request),
              tables: [rowsOf("accounts", { a: { id: "a", n: "5" } })]
            })
          )
          const next = yield* replica.request
          const notices = [
            { id: done.id, name: "add", version: 1, args: { id: "a", n: 5 }, hlc: done.hlc, error: failed }
          ]
          const changes = yield* firstChange(replica)
          yield* replica.receive(
            next,
            answer(next, { seq: 2 as Seq, notices, tables: [rowsOf("accounts", { a: null })] })
          )
          expect(yield* accounts).toEqual([])
          expect(yield* replica.rejected).toMatchObject([{ id: done.id, outcome: "voided", error: failed }])
          expect((yield* Fiber.join(changes)).outcomes).toEqual([
            { id: done.id, outcome: { _tag: "voided", error: failed } }
          ])
        })
      ))
  })

  describe("I4: responses", () => {
    it("that come late, twice or out of order are not applied again", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const older = yield* replica.request
          yield* replica.execute(add({ id: "a", n: 1 }))
          const request = yield* replica.request
          const response = answer(request, {
            seq: 2 as Seq,
            verdicts: applied(request),
            tables: [rowsOf("accounts", { a: { id: "a", n: "1" } })]
          })
          expect((yield* replica.receive(request, response)).path).toBe("rows")
          yield* replica.execute(add({ id: "a", n: 1 }))
          for (const [sent, late] of [
            [request, response],
            [older, answer(older, { seq: 1 as Seq, tables: [rowsOf("accounts", { a: null })] })]
          ] as const) {
            expect((yield* replica.receive(sent, late)).path).toBe("stale")
            expect(yield* accounts).toEqual(["(a,2)"])
            expect((yield* replica.cursors).seq).toBe(2)
          }
          expect(yield* replica.pendingCount).toBe(1)
        })
      ))

    it("with verdicts on records that are not pending change nothing", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* replica.execute(add({ id: "a", n: 1 }))
          const request = yield* replica.request
          const id = "00000000-0000-4000-8000-00000000dead" as RecordId
          yield* replica.receive(
            request,
            answer(request, { verdicts: [{ id, outcome: "rejected", error: failed }] })
          )
          expect(yield* replica.rejected).toEqual([])
          expect(yield* replica.pendingCount).toBe(1)
          expect(yield* accounts).toEqual(["(a,1)"])
        })
      ))

    it("I1: a message of the live path is applied unless an action came first", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const request = yield* replica.request
          yield* replica.receive(request, answer(request, { seq: 1 as Seq }))
          const messageOf = (seq: number, n: string) => ({
            from: (seq - 1) as Seq,
            seq: seq as Seq,
            answer: answer(request, {
              seq: seq as Seq,
              tables: [rowsOf("accounts", { a: { id: "a", n } })]
            })
          })
          expect(yield* replica.follow(messageOf(2, "7"))).toMatchObject({
            decision: "apply",
            received: { path: "rows", rows: 1, seq: 2 }
          })
          expect(yield* accounts).toEqual(["(a,7)"])
          // Whatever of the two is first in the queue, the answer does not say what the action crosses.
          const [, followed] = yield* Effect.all(
            [replica.execute(add({ id: "a", n: 1 })), replica.follow(messageOf(3, "9"))],
            { concurrency: "unbounded" }
          )
          expect(followed.decision).toBe("sync")
          expect(yield* accounts).toEqual(["(a,8)"])
          expect((yield* replica.cursors).seq).toBe(2)
        })
      ))

    it("I5: a response that cannot be applied changes nothing, and the next one can", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* replica.execute(add({ id: "a", n: 1 }))
          const request = yield* replica.request
          const good = answer(request, {
            verdicts: applied(request),
            tables: [rowsOf("accounts", { a: { id: "a", n: "41" } })]
          })
          const bad = { ...good, tables: [...good.tables, rowsOf("nowhere", { x: { id: "x" } })] }
          expect(yield* Effect.flip(replica.receive(request, bad))).toMatchObject({
            _tag: "RowsInvalid",
            reason: expect.stringContaining("nowhere")
          })
          expect(yield* accounts).toEqual(["(a,1)"])
          expect(yield* replica.pendingCount).toBe(1)
          yield* replica.receive(request, good)
          expect(yield* accounts).toEqual(["(a,41)"])
          expect(yield* replica.pendingCount).toBe(0)
        })
      ))

    it("I5: a reader never sees half of a replay", () =>
      run(
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const replica = yield* fresh()
          for (let i = 0; i < 10; i++) yield* replica.execute(add({ id: "a", n: 1 }))
          const request = yield* replica.request
          const stop = yield* Deferred.make<void>()
          const seen = new Set<number>()
          const reader = yield* Effect.fork(
            Effect.repeat(
              Effect.map(sql<{ n: number }>`SELECT n FROM accounts`, (rows) => seen.add(rows[0]?.n ?? -1)),
              { until: () => Deferred.isDone(stop) }
            )
          )
          const first = request.records
            .slice(0, 5)
            .map(({ id, hlc }) => ({ id, hlc, outcome: "applied" as const }))
          yield* replica.receive(
            request,
            answer(request, { verdicts: first, tables: [rowsOf("accounts", { a: { id: "a", n: "105" } })] })
          )
          yield* Deferred.succeed(stop, undefined)
          yield* Fiber.join(reader)
          for (const n of seen) expect([10, 110]).toContain(n)
          expect(yield* accounts).toEqual(["(a,110)"])
        })
      ))
  })

  describe("I3: the clock", () => {
    it("goes forward past everything confirmed, and past a clock that was set back", () =>
      run(
        Effect.gen(function* () {
          const start = Date.UTC(2026, 0, 1)
          const replica = yield* at(start)(fresh())
          const first = yield* at(start)(replica.execute(add({ id: "a", n: 1 })))
          const second = yield* at(start - 3_600_000)(replica.execute(add({ id: "a", n: 1 })))
          expect(second.hlc > first.hlc).toBe(true)
          const request = yield* at(start)(replica.request)
          const clock = { ms: start + 60_000, counter: 3 }
          yield* at(start)(
            replica.receive(
              request,
              answer(request, {
                verdicts: applied(request),
                tables: [rowsOf("accounts", { a: { id: "a", n: "2" } })],
                clock
              })
            )
          )
          const third = yield* at(start)(replica.execute(add({ id: "a", n: 1 })))
          expect(Hlc.parts(third.hlc)).toMatchObject({ ms: start + 60_000, counter: 4 })
          // And after opening again.
          const reopened = yield* at(start)(open())
          const fourth = yield* at(start)(reopened.execute(add({ id: "a", n: 1 })))
          expect(Hlc.parts(fourth.hlc)).toMatchObject({ ms: start + 60_000, counter: 5 })
        })
      ))

    it("learns how far the server's is ahead, and stamps with that", () =>
      run(
        Effect.gen(function* () {
          const start = Date.UTC(2026, 0, 1)
          const replica = yield* at(start)(fresh())
          const request = yield* at(start)(replica.request)
          yield* at(start + 100)(replica.receive(request, answer(request, { serverTimeMs: start + 10_050 })))
          expect(yield* replica.clockOffsetMs).toBe(10_000)
          const done = yield* at(start + 200)(replica.execute(add({ id: "a", n: 1 })))
          expect(Hlc.parts(done.hlc).ms).toBe(start + 10_200)
        })
      ))

    it("stamps again after a wrong clock, keeping order, effects and everything pending", () =>
      run(
        Effect.gen(function* () {
          const [start, ahead] = [Date.UTC(2026, 0, 1), Date.UTC(2076, 0, 1)]
          const replica = yield* at(ahead)(fresh())
          const done: Array<RecordId> = []
          for (const n of [1, 2, -3]) done.push((yield* at(ahead)(replica.execute(add({ id: "a", n })))).id)
          done.push((yield* at(ahead)(replica.execute(add({ id: "b", n: 7 })))).id)
          const before = yield* accounts
          yield* at(ahead)(replica.restamp(start))
          const pending = yield* replica.pending
          expect(pending.map((p) => p.id)).toEqual(done)
          for (const p of pending) expect(Hlc.parts(p.hlc).ms).toBe(start)
          expect(yield* accounts).toEqual(before)
          const request = yield* at(ahead + 5)(replica.request)
          expect(request.records.map((r) => r.id)).toEqual(done)
          expect(request.records.every((r) => r.digest !== null || r.id === done[2])).toBe(true)
          const next = yield* at(ahead + 5)(replica.execute(add({ id: "a", n: 1 })))
          expect(Hlc.parts(next.hlc).ms).toBe(start + 5)
          // Also in the next session, while the device's clock is still wrong.
          const reopened = yield* at(ahead + 10)(open())
          const last = yield* at(ahead + 10)(reopened.execute(add({ id: "a", n: 1 })))
          expect(Hlc.parts(last.hlc).ms).toBe(start + 10)
        })
      ))
  })

  describe("I4: opening again", () => {
    it("keeps pending and rejected records, cursor and identity", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* replica.execute(add({ id: "a", n: 1 }))
          const request = yield* replica.request
          yield* replica.receive(
            request,
            answer(request, {
              seq: 7 as Seq,
              verdicts: rejectAll(request),
              tables: [rowsOf("accounts", { z: { id: "z", n: "9" } })]
            })
          )
          yield* replica.execute(add({ id: "z", n: 1 }))
          const [pending, rejected, ask] = [
            yield* replica.pending,
            yield* replica.rejected,
            yield* replica.request
          ]
          const reopened = yield* open()
          expect(reopened.clientId).toBe(replica.clientId)
          expect(yield* reopened.pending).toEqual(pending)
          expect(yield* reopened.rejected).toEqual(rejected)
          expect((yield* reopened.cursors).seq).toBe(7)
          expect(yield* accounts).toEqual(["(z,10)"])
          const again = yield* reopened.request
          const moment = { clientTimeMs: 0, after: null }
          expect({ ...again, ...moment }).toEqual({ ...ask, ...moment })
          expect(again.after! >= ask.after!).toBe(true)
          // The journal is kept too: what the authority refuses now is taken back.
          yield* reopened.receive(again, answer(again, { seq: 8 as Seq, verdicts: rejectAll(again) }))
          expect(yield* accounts).toEqual(["(z,9)"])
        })
      ))

    it("refuses the database of another user or application", () =>
      run(
        Effect.gen(function* () {
          yield* fresh()
          const error = yield* Effect.flip(open({ userId: "eve" }))
          expect(error).toBeInstanceOf(DatabaseOfOther)
          expect((error as DatabaseOfOther).message).toContain("belongs to ada of bank, not to eve of bank")
          expect(yield* Effect.flip(open({ app: bank({ name: "shop" }) }))).toBeInstanceOf(DatabaseOfOther)
          yield* open()
        })
      ))

    it("refuses a database that is too new, or that a changed migration made, and leaves it alone", () =>
      run(
        Effect.gen(function* () {
          const second = { id: "002", sql: "ALTER TABLE accounts ADD COLUMN note text" }
          const newer = bank({ migrations: [migration, second] })
          const replica = yield* fresh({ app: newer })
          yield* replica.execute(add({ id: "a", n: 1 }))
          const tooNew = yield* Effect.flip(open())
          expect(tooNew).toBeInstanceOf(DatabaseTooNew)
          expect(tooNew).toMatchObject({ unknownMigrations: ["002"] })
          const changed = bank({ migrations: [{ ...migration, sql: `${migration.sql} -- changed` }, second] })
          const error = yield* Effect.flip(open({ app: changed }))
          expect(error).toBeInstanceOf(MigrationChanged)
          expect(error).toMatchObject({ id: "001" })
          const again = yield* open({ app: newer })
          expect(yield* again.pendingCount).toBe(1)
          expect((yield* contentOf(newer))["public.accounts"]).toEqual(["(a,1,)"])
        })
      ))

    it("a migration keeps pending records: they run again on the new schema", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const request = yield* replica.request
          yield* replica.receive(
            request,
            answer(request, { seq: 3 as Seq, tables: [rowsOf("accounts", { a: { id: "a", n: "10" } })] })
          )
          yield* replica.execute(add({ id: "a", n: 1 }))
          yield* replica.execute(add({ id: "b", n: 2 }))
          const newer = bank({
            migrations: [
              migration,
              {
                id: "002",
                sql: "ALTER TABLE accounts ADD COLUMN twice integer GENERATED ALWAYS AS (n * 2) STORED; ALTER TABLE accounts ADD COLUMN at timestamptz DEFAULT now(); UPDATE accounts SET n = n * 100"
              }
            ]
          })
          const migrated = yield* open({ app: newer })
          expect(yield* migrated.pendingCount).toBe(2)
          const sql = yield* SqlClient.SqlClient
          const rows = yield* sql`SELECT id, n, twice FROM accounts ORDER BY id`
          expect(rows).toEqual([
            { id: "a", n: 1001, twice: 2002 },
            { id: "b", n: 2, twice: 4 }
          ])
          const again = yield* migrated.request
          expect(again.cursors).toEqual({})
          yield* migrated.receive(
            again,
            answer(again, {
              seq: 4 as Seq,
              verdicts: rejectAll(again),
              tables: [rowsOf("accounts", { a: { id: "a", n: "1000" } })]
            })
          )
          expect(yield* sql`SELECT id, n FROM accounts`).toEqual([{ id: "a", n: 1000 }])
        })
      ))

    it("I1: after a migration all rows are fetched again, and what did not come is gone", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const request = yield* replica.request
          yield* replica.receive(
            request,
            answer(request, {
              seq: 3 as Seq,
              tables: [rowsOf("accounts", { a: { id: "a", n: "1" }, b: { id: "b", n: "2" } })]
            })
          )
          yield* replica.execute(add({ id: "b", n: 10 }))
          const newer = bank({
            migrations: [migration, { id: "002", sql: "CREATE UNIQUE INDEX ON accounts (n)" }]
          })
          const migrated = yield* open({ app: newer })
          // Until then they show.
          expect(yield* accounts).toEqual(["(a,1)", "(b,12)"])
          const again = yield* migrated.request
          // Meanwhile the server has deleted a, and nothing says so to a cursor that starts at 0.
          yield* migrated.receive(
            again,
            answer(again, { seq: 4 as Seq, tables: [rowsOf("accounts", { b: { id: "b", n: "1" } })] })
          )
          expect(yield* accounts).toEqual(["(b,11)"])
          const next = yield* migrated.request
          expect(next.cursors).toEqual({ all: 4 })
          yield* migrated.receive(next, answer(next, { seq: 5 as Seq, verdicts: rejectAll(next) }))
          expect(yield* accounts).toEqual(["(b,1)"])
        })
      ))

    it("I9: when all rows come again, those that are as they were are not written again", () =>
      run(
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const replica = yield* fresh()
          const fetch = (seq: number, b: string) =>
            Effect.gen(function* () {
              const request = yield* replica.request
              const tables = [rowsOf("accounts", { a: { id: "a", n: "1" }, b: { id: "b", n: b } })]
              return yield* replica.receive(request, answer(request, { seq: seq as Seq, tables }))
            })
          const written = Effect.map(
            sql.unsafe<{ id: string; x: string }>("SELECT id, xmin::text AS x FROM accounts ORDER BY id"),
            (rows) => rows.map(({ x }) => x)
          )
          yield* fetch(3, "2")
          const [a, b] = yield* written
          yield* replica.forgetCursors
          yield* fetch(4, "2")
          expect(yield* written).toEqual([a, b])
          yield* replica.forgetCursors
          yield* fetch(5, "3")
          expect(yield* accounts).toEqual(["(a,1)", "(b,3)"])
          expect(yield* written).toEqual([a, expect.not.stringMatching(`^${b}$`)])
        })
      ))

    it("I5: a load shows when all its rows are here, goes on after a restart, and sends records once", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          yield* replica.execute(add({ id: "mine", n: 1 }))
          const place = (key: string): Position => ({
            audience: "all" as Audience,
            seq: 2 as Seq,
            table: "public.accounts" as TableName,
            key: key as RowKey,
            began: 2 as Seq
          })
          const first = yield* replica.request
          const begun = yield* replica.receive(
            first,
            answer(first, {
              seq: 2 as Seq,
              tables: [rowsOf("accounts", { a: { id: "a", n: "1" }, b: { id: "b", n: "2" } })],
              next: place("b"),
              rowsTotal: 4
            })
          )
          expect(begun).toMatchObject({ path: "chunk", load: { rowsDone: 2, rowsTotal: 4 } })
          expect(yield* accounts).toEqual(["(mine,1)"])
          // Another process goes on, and one after it does not send again what was judged.
          const reopened = yield* open()
          const second = yield* reopened.request
          expect(second).toMatchObject({
            position: place("b"),
            cursors: {},
            records: [{ id: first.records[0]!.id }]
          })
          yield* reopened.receive(
            second,
            answer(second, {
              seq: 3 as Seq,
              tables: [rowsOf("accounts", { c: { id: "c", n: "3" } })],
              next: place("c")
            })
          )
          // An answer that comes again changes nothing, and says that there is more to ask for.
          expect(yield* reopened.receive(first, answer(first))).toMatchObject({
            path: "stale",
            seq: 0,
            load: { rowsDone: 3, rowsTotal: 4 }
          })
          const third = yield* reopened.request
          expect(third).toMatchObject({ position: place("c"), records: [], after: null })
          // All rows are here, and a verdict is still to come, for which the records are sent.
          const ended = yield* reopened.receive(
            third,
            answer(third, { seq: 4 as Seq, tables: [rowsOf("accounts", { a: { id: "a", n: "10" } })] })
          )
          expect(ended).toMatchObject({ path: "chunk", load: { rowsDone: 4, rowsTotal: 4 } })
          expect(yield* accounts).toEqual(["(mine,1)"])
          const last = yield* reopened.request
          expect(last.position).toBeUndefined()
          expect(last).toMatchObject({ cursors: { all: 4 }, records: [{ id: first.records[0]!.id }] })
          const done = yield* reopened.receive(
            last,
            answer(last, {
              seq: 5 as Seq,
              verdicts: applied(last),
              tables: [rowsOf("accounts", { b: null, mine: { id: "mine", n: "1" } })]
            })
          )
          expect(done).toMatchObject({ path: "rows", load: null })
          expect(yield* accounts).toEqual(["(a,10)", "(c,3)", "(mine,1)"])
          expect((yield* reopened.cursors).load).toBeNull()
          expect((yield* reopened.request).cursors).toEqual({ all: 5 })
        })
      ))

    // Rows come with audiences that they have left, so the one that is lost need not be the one that the load has come to.
    it.each(["all", "secret"])(
      "I6: a load with rows of an audience that was lost begins again: in %s",
      (audience) =>
        run(
          Effect.gen(function* () {
            const replica = yield* fresh()
            const first = yield* replica.request
            const next: Position = {
              audience: audience as Audience,
              seq: 2 as Seq,
              table: "public.accounts" as TableName,
              key: "b" as RowKey,
              began: 1 as Seq
            }
            yield* replica.receive(
              first,
              answer(first, {
                seq: 2 as Seq,
                audiences: ["all", "secret"] as unknown as ReadonlyArray<Audience>,
                tables: [rowsOf("accounts", { a: { id: "a", n: "1" }, b: { id: "b", n: "2" } })],
                next
              })
            )
            const second = yield* replica.request
            const received = yield* replica.receive(second, answer(second, { seq: 3 as Seq }))
            expect(received.path).toBe("restarted")
            const again = yield* replica.request
            expect(again.cursors).toEqual({})
            expect(again.position).toBeUndefined()
            yield* replica.receive(
              again,
              answer(again, { seq: 3 as Seq, tables: [rowsOf("accounts", { a: { id: "a", n: "1" } })] })
            )
            expect(yield* accounts).toEqual(["(a,1)"])
          })
        )
    )

    it("I1: rows of a load that have exchanged a unique value meanwhile stand together", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh({
            app: bank({
              migrations: [migration, { id: "002", sql: "CREATE UNIQUE INDEX ON accounts (n)" }]
            })
          })
          const first = yield* replica.request
          yield* replica.receive(
            first,
            answer(first, {
              tables: [rowsOf("accounts", { a: { id: "a", n: "1" }, b: { id: "b", n: "2" } })],
              next: {
                audience: "all" as Audience,
                seq: 1 as Seq,
                table: "public.accounts" as TableName,
                key: "b" as RowKey,
                began: 1 as Seq
              }
            })
          )
          const second = yield* replica.request
          yield* replica.receive(
            second,
            answer(second, {
              seq: 2 as Seq,
              tables: [rowsOf("accounts", { c: { id: "c", n: "1" }, a: { id: "a", n: "2" }, b: null })]
            })
          )
          expect(yield* accounts).toEqual(["(a,2)", "(c,1)"])
        })
      ))

    it("I1: of a row that comes in several chunks of a load the last one holds, whatever was there before", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const image = (id: string, n: number) => ({ id, n: String(n) })
          // Each row's name says what is there, and what each of three chunks says: a number, or that it is gone.
          const says = ["", "-", "1", "2"]
          const cases = ["", "1"].flatMap((before) =>
            says.flatMap((a) => says.flatMap((b) => says.map((c) => [before, a, b, c] as const)))
          )
          const rowsAt = (chunk: number) =>
            rowsOf(
              "accounts",
              Object.fromEntries(
                cases.flatMap((said) =>
                  said[chunk] === ""
                    ? []
                    : [
                        [
                          said.join(","),
                          said[chunk] === "-" ? null : image(said.join(","), Number(said[chunk]))
                        ]
                      ]
                )
              )
            )
          const begin = yield* replica.request
          yield* replica.receive(begin, answer(begin, { tables: [rowsAt(0)] }))
          for (const chunk of [1, 2, 3]) {
            const request = yield* replica.request
            const next: Position = {
              audience: "all" as Audience,
              seq: chunk as Seq,
              table: "public.accounts" as TableName,
              key: String(chunk) as RowKey,
              began: 1 as Seq
            }
            const { path } = yield* replica.receive(
              request,
              answer(request, { seq: 5 as Seq, tables: [rowsAt(chunk)], next: chunk < 3 ? next : null })
            )
            expect(path).toBe(chunk < 3 ? "chunk" : "rows")
          }
          const expected = cases.flatMap((said) => {
            const last = said.findLast((n) => n !== "")
            return last === undefined || last === "-" ? [] : [`("${said.join(",")}",${last})`]
          })
          expect(yield* accounts).toEqual(expected.sort())
        })
      ))

    it("I4, I5: rows that do not fit are refused with their reason, and the load begins again", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh({
            app: bank({ migrations: [migration, { id: "002", sql: "CREATE UNIQUE INDEX ON accounts (n)" }] })
          })
          yield* replica.execute(add({ id: "mine", n: 5 }))
          const next: Position = {
            audience: "all" as Audience,
            seq: 1 as Seq,
            table: "public.accounts" as TableName,
            key: "b" as RowKey,
            began: 1 as Seq
          }
          const good = rowsOf("accounts", { a: { id: "a", n: "1" } })
          const refused = (tables: SyncResponse["tables"], more: boolean) =>
            Effect.gen(function* () {
              const request = yield* replica.request
              const response = answer(request, { tables, next: more ? next : null })
              const error = yield* Effect.flip(
                replica.receive({ ...request, after: request.after ?? (node as never) }, response)
              )
              expect(yield* accounts).toEqual(["(mine,5)"])
              expect(yield* replica.pendingCount).toBe(1)
              expect((yield* replica.cursors).load).toBeNull()
              expect((yield* replica.request).position).toBeUndefined()
              return error
            })
          for (const rows of ["[", "{}", '[{"id": "b", "n": "many"}]', '[{"id": "b"}], "x": [']) {
            const error = yield* refused([good, { ...good, rows }], true)
            expect(error, rows).toMatchObject({ _tag: "RowsInvalid" })
          }
          // What only shows when all rows are there.
          const first = yield* replica.request
          yield* replica.receive(first, answer(first, { tables: [good], next }))
          const clash = yield* refused([rowsOf("accounts", { b: { id: "b", n: "1" } })], false)
          expect(clash).toMatchObject({
            _tag: "RowsInvalid",
            reason: expect.stringContaining("accounts_n_idx")
          })
        })
      ))

    it("more rows than are put at once take the way of a load, beside what is pending", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const request = yield* replica.request
          yield* replica.execute(add({ id: "r7", n: 1 }))
          const rows = Object.fromEntries(
            Array.from({ length: 1500 }, (_, i) => [`r${i}`, { id: `r${i}`, n: String(i) }])
          )
          const received = yield* replica.receive(
            request,
            answer(request, { tables: [rowsOf("accounts", rows)] })
          )
          expect(received).toMatchObject({ path: "pending", rows: 1500, replayed: 1 })
          expect((yield* accounts)!.length).toBe(1500)
          expect(yield* accounts).toContain("(r7,8)")
          expect(yield* accounts).toContain("(r8,8)")
        })
      ))

    it("a pending record of an action that this version does not know blocks nothing", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const known = yield* replica.execute(add({ id: "a", n: 1 }))
          const unknown = yield* replica.execute(slow({ id: "s", rows: 1 }))
          const older = bank({ actions: [add] })
          const reopened = yield* open({ app: older })
          yield* reopened.execute(add({ id: "a", n: 10 }))
          const request = yield* reopened.request
          expect(request.records.map((r) => r.id).slice(0, 2)).toEqual([known.id, unknown.id])
          const received = yield* reopened.receive(
            request,
            answer(request, {
              verdicts: [applied(request)[0]!],
              tables: [rowsOf("accounts", { a: { id: "a", n: "1" } })]
            })
          )
          expect(received).toMatchObject({ path: "pending", replayed: 1 })
          expect(yield* contentOf(app)).toEqual({ "public.accounts": ["(a,11)"], "public.entries": [] })
          const next = yield* reopened.request
          expect(next.records.map((r) => r.digest === null)).toEqual([true, false])
          yield* reopened.receive(
            next,
            answer(next, {
              seq: 2 as Seq,
              verdicts: applied(next),
              tables: [
                rowsOf("accounts", { a: { id: "a", n: "11" } }),
                rowsOf("entries", { s0: { id: "s0", x: "s" } })
              ]
            })
          )
          expect(yield* contentOf(app)).toEqual({
            "public.accounts": ["(a,11)"],
            "public.entries": ["(s0,s)"]
          })
        })
      ))

    it("a confirmed record of an unknown action is crossed by its patches", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh()
          const request = yield* replica.request
          yield* replica.execute(add({ id: "a", n: 1 }))
          const key = '["a"]' as RowKey
          const later = {
            id: "00000000-0000-4000-8000-00000000beef" as RecordId,
            hlc: Hlc.make({ ms: Date.now() + 60_000, counter: 0 }, node),
            userId: "bob",
            name: "unheard.of",
            version: 3,
            args: {},
            patches: [
              { table: "public.accounts" as TableName, key, before: null, after: { id: "a", n: "50" } },
              {
                table: "public.entries" as TableName,
                key: '["e"]' as RowKey,
                before: null,
                after: { id: "e", x: "by patch" }
              }
            ]
          }
          const received = yield* replica.receive(
            request,
            answer(request, {
              tables: [
                rowsOf("accounts", { a: { id: "a", n: "50" } }),
                rowsOf("entries", { e: { id: "e", x: "by patch" } })
              ],
              later: [later]
            })
          )
          expect(received).toMatchObject({ path: "merge", replayed: 2 })
          expect(yield* contentOf(app)).toEqual({
            "public.accounts": ["(a,50)"],
            "public.entries": [`(e,"by patch")`]
          })
          // Refused, the pending one goes, and the confirmed state stands.
          const next = yield* replica.request
          yield* replica.receive(next, answer(next, { seq: 2 as Seq, verdicts: rejectAll(next) }))
          expect(yield* contentOf(app)).toEqual({
            "public.accounts": ["(a,50)"],
            "public.entries": [`(e,"by patch")`]
          })
        })
      ))
  })

  describe("I8: the purity check", () => {
    it("shows what differed, and undoes everything", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh({ purityCheck: true })
          const error = yield* Effect.flip(replica.execute(impure({ how: "outside" })))
          expect(error).toBeInstanceOf(Impure)
          expect((error as Impure).message).toMatch(
            /The action impure is not deterministic:\nfirst: {2}.*"public\.entries".*\nsecond: .*"public\.entries".*\nTake times, ids and random numbers from ctx/
          )
          expect(yield* contentOf(app)).toEqual({ "public.accounts": [], "public.entries": [] })
          expect(yield* replica.pendingCount).toBe(0)
        })
      ))

    it("catches an order that is left to chance", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh({ purityCheck: true })
          for (let i = 0; i < 9; i++) yield* replica.execute(add({ id: `a${i}`, n: i }))
          const error = yield* Effect.flip(replica.execute(impure({ how: "order" })))
          expect(error).toBeInstanceOf(Impure)
          expect((error as Impure).message).toContain("add ORDER BY")
        })
      ))

    it("catches a second execution that fails", () =>
      run(
        Effect.gen(function* () {
          flips = 0
          const replica = yield* fresh({ purityCheck: true })
          const error = yield* Effect.flip(replica.execute(impure({ how: "second fails" })))
          expect(error).toBeInstanceOf(Impure)
          expect((error as Impure).difference).toContain("the second execution failed")
        })
      ))

    it("lets deterministic actions pass with the effect of one execution", () =>
      run(
        Effect.gen(function* () {
          const replica = yield* fresh({ purityCheck: true })
          expect((yield* replica.execute(add({ id: "a", n: 1 }))).value).toBe(1)
          expect((yield* replica.execute(add({ id: "a", n: 1 }))).value).toBe(2)
          expect(yield* accounts).toEqual(["(a,2)"])
          expect(yield* readPatches).toHaveLength(3)
        })
      ))
  })
})

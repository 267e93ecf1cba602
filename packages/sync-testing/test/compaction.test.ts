/** What compaction must not change: verdicts, order, rows, and that syncs go on. */
import type { SqlClient } from "@effect/sql"
import { type Hlc, Protocol, type Seq } from "@synchrotron/sync-core"
import { AuthorityLive } from "@synchrotron/sync-server"
import { Deferred, Effect, Exit, Fiber, Schedule, type Scope } from "effect"
import { describe, expect, it } from "vitest"
import { expectConverged, kinds, type Stage, scalar, stageOf, syncAll, withClockOffset } from "./harness.ts"
import * as Kitchen from "./kitchen.ts"
import { exchange, type TestClient } from "./world.ts"

/** Also of the short args that tests have. */
const compact = (sql: SqlClient.SqlClient, options: AuthorityLive.CompactOptions) =>
  AuthorityLive.compact(sql, { argsBytesKept: 0, ...options })

const users = { a: "u1", b: "u2" }

type Body = (stage: Stage, a: TestClient, b: TestClient) => Effect.Effect<unknown, unknown, Scope.Scope>

const actor = (stageNow: () => Stage) => (body: Body) => () => {
  const stage = stageNow()
  const { a, b } = stage.clients
  return stage.run(Effect.asVoid(body(stage, a!, b!)))
}

/** In a millisecond of its own. */
const execute = (client: TestClient, operation: Parameters<TestClient["replica"]["execute"]>[0]) =>
  Effect.delay(client.replica.execute(operation), 2)

const setTo = (client: TestClient, id: string, n: number) => execute(client, Kitchen.set({ id, n }))

const send = (stage: Stage, client: TestClient, request: Protocol.SyncRequest) =>
  exchange(stage.world.authority, client.principal, request)

/** As the session does: who was away for too long begins with all rows. */
const syncAnyhow = (client: TestClient) =>
  Effect.catchIf(
    client.sync,
    (error) => error instanceof Protocol.CursorTooOld,
    () => Effect.zipRight(client.replica.forgetCursors, client.sync)
  )

const everything = { reorderWindowMs: 0, tombstoneMs: 0 }

interface Log {
  readonly id: string
  readonly hlc: Hlc.Hlc
  readonly args: string
  readonly claims: string
  readonly status: string
  readonly patches: number
}

const logOf = (stage: Stage) =>
  stage.world.server.unsafe<Log>(
    `SELECT id, hlc, args, claims, status, (SELECT count(*)::integer FROM synchrotron.patches AS p WHERE p.record_id = r.id) AS patches
     FROM synchrotron.records AS r ORDER BY hlc`
  )

/** Lets a test hold each of its transactions open, when all of it is done but the commit. */
const held = (sql: SqlClient.SqlClient, hold: (transaction: number) => Effect.Effect<void>) => {
  let transactions = 0
  const withTransaction = (effect: Effect.Effect<unknown>) => {
    const number = ++transactions
    return sql.withTransaction(Effect.tap(effect, () => hold(number)))
  }
  return new Proxy(sql, {
    get: (target, property, receiver) =>
      property === "withTransaction" ? withTransaction : Reflect.get(target, property, receiver)
  })
}

describe.each(kinds)("compaction on %s", (kind) => {
  describe("with a window of two records", () => {
    const window = { reorderWindowRecords: 2 }
    const act = actor(stageOf(kind, Kitchen.kitchenApp, users, window))

    it(
      "I4: keeps the verdict and the single effect of each record, also of those that it compacts",
      act((stage, a, b) =>
        Effect.gen(function* () {
          for (let n = 1; n <= 3; n++) yield* execute(a, Kitchen.deposit({ id: "w", n }))
          yield* execute(a, Kitchen.forgeDoc({ id: "no", owner: "u2" }))
          yield* execute(a, Kitchen.withdraw({ id: "w", n: 1 }))
          const request = yield* a.replica.request
          const before = yield* send(stage, a, request)
          expect(before.verdicts.map((verdict) => verdict.outcome)).toEqual([
            "applied",
            "applied",
            "applied",
            "rejected",
            "applied"
          ])

          expect(yield* compact(stage.world.server, window)).toEqual({
            records: 2,
            patches: 2,
            tombstones: 0,
            yielded: false
          })
          expect((yield* logOf(stage)).map(({ args, patches }) => [args === "", patches])).toEqual([
            [true, 0],
            [true, 0],
            [false, 1],
            [false, 1]
          ])

          const after = yield* send(stage, a, request)
          expect(after.verdicts).toEqual(before.verdicts)
          const stolen = { ...request.records[0]!, args: { id: "w", n: 100 } }
          const forged = yield* send(stage, a, { ...request, records: [stolen] })
          expect(forged.verdicts[0]).toMatchObject({ outcome: "rejected", error: { class: "reused_id" } })
          expect(yield* scalar(stage.world.server, "SELECT balance FROM wallets WHERE id = 'w'")).toBe(5)
          yield* a.replica.receive(request, after)
          yield* syncAll([a, b])
          yield* expectConverged(stage.world, [a, b])
          expect(yield* compact(stage.world.server, window)).toMatchObject({ records: 0, patches: 0 })
        })
      )
    )

    it(
      "I3: places a late arrival just after what is compacted, and replays what is not",
      act((stage, a, b) =>
        Effect.gen(function* () {
          const late = yield* setTo(b, "late", -1)
          for (let n = 1; n <= 6; n++) yield* execute(a, Kitchen.inc({ id: "late", n: 10 ** n }))
          yield* a.sync
          yield* compact(stage.world.server, window)
          const closed = (yield* logOf(stage)).filter(({ args }) => args === "").at(-1)!
          // The late one sets the counter after four of the six and before the last two.
          yield* b.sync
          const log = yield* logOf(stage)
          const place = log.findIndex(({ id }) => id === late.id)
          expect(log[place - 1]!.id).toBe(closed.id)
          expect(yield* scalar(stage.world.server, "SELECT n FROM counters WHERE id = 'late'")).toBe(
            1_100_000 - 1
          )
          yield* syncAll([a, b])
          yield* expectConverged(stage.world, [a, b])
        })
      )
    )

    it(
      "I1: sends a client no later record that may have lost its patches, and its pending ones show behind it",
      act((stage, a, b) =>
        Effect.gen(function* () {
          yield* setTo(b, "behind", 7)
          const request = yield* b.replica.request
          const { after } = request
          for (let n = 1; n <= 5; n++) yield* execute(a, Kitchen.inc({ id: "behind", n: 10 ** n }))
          yield* a.sync
          // Before: all of them are crossed. The same client syncs with nothing to send, as when it has more than fits.
          const asking = { ...request, records: [], after: request.records[0]!.hlc }
          const before = yield* send(stage, b, asking)
          expect(before.later).toHaveLength(5)
          yield* b.replica.receive(asking, before)
          yield* compact(stage.world.server, window)
          const again = {
            ...(yield* b.replica.request),
            records: [],
            after: request.records[0]!.hlc
          }
          const response = yield* send(stage, b, again)
          expect(response.later).toHaveLength(2)
          yield* b.replica.receive(again, response)
          // Behind the three that are closed, before the two that are not.
          const shown = 7 + 10_000 + 100_000
          expect(yield* scalar(b.sql, "SELECT n FROM counters WHERE id = 'behind'")).toBe(shown)
          expect(after).not.toBeNull()
          yield* b.sync
          expect(yield* scalar(stage.world.server, "SELECT n FROM counters WHERE id = 'behind'")).toBe(shown)
          yield* syncAll([a, b])
          yield* expectConverged(stage.world, [a, b])
        })
      )
    )

    it(
      "I4: keeps what a client must be told of its voided record",
      act((stage, a, b) =>
        Effect.gen(function* () {
          yield* a.sync
          // b withdraws earlier what a has withdrawn already, so a's later withdrawal is voided.
          yield* execute(a, Kitchen.deposit({ id: "v", n: 10 }))
          yield* syncAll([a, b])
          yield* execute(b, Kitchen.withdraw({ id: "v", n: 8 }))
          const mine = yield* execute(a, Kitchen.withdraw({ id: "v", n: 9 }))
          yield* a.sync
          yield* b.sync
          for (let n = 0; n < 4; n++) yield* setTo(b, "filler", n)
          yield* b.sync
          yield* compact(stage.world.server, everything)
          const log = yield* logOf(stage)
          expect(log.filter(({ args }) => args !== "").map(({ id, status }) => [id, status])).toEqual([
            [mine.id, "voided"]
          ])
          yield* syncAnyhow(a)
          const rejected = (yield* a.replica.rejected).find(({ id }) => id === mine.id)
          expect(rejected).toMatchObject({ outcome: "voided", args: { id: "v", n: 9 } })
          expect(rejected!.error.message).toContain("insufficient funds")
          yield* a.replica.dismiss(mine.id)
          yield* syncAll([a, b])
          yield* expectConverged(stage.world, [a, b])
        })
      )
    )
  })

  describe("with the default window", () => {
    const act = actor(stageOf(kind, Kitchen.kitchenApp, users))

    it(
      "I3: leaves closed what it has closed, though the window is wide and clocks go back",
      act((stage, a, b) =>
        Effect.gen(function* () {
          const late = yield* setTo(b, "closed", -1)
          yield* setTo(a, "closed", 1)
          yield* a.sync
          // A server with a clock an hour ahead: the floor is the last record, for a direct write has to come after it.
          yield* compact(stage.world.server, { reorderWindowMs: 1 }).pipe(withClockOffset(3_600_000))
          yield* stage.world.server.unsafe("UPDATE counters SET n = n + 100 WHERE id = 'closed'")
          yield* compact(stage.world.server, { reorderWindowMs: 3_600_000 })
          const response = yield* send(stage, b, yield* b.replica.request)
          expect(response.verdicts).toHaveLength(1)
          const log = yield* logOf(stage)
          expect(log.map(({ args }) => args === "")).toEqual([true, false, false])
          expect(log[1]!.id).toBe(late.id)
          // The direct write has happened, so its value stands.
          expect(yield* scalar(stage.world.server, "SELECT n FROM counters WHERE id = 'closed'")).toBe(101)
          yield* syncAll([a, b])
          yield* expectConverged(stage.world, [a, b])
        })
      )
    )

    it(
      "I1: a client from before the tombstones fetches all rows, and keeps what is pending",
      act((stage, a, b) =>
        Effect.gen(function* () {
          for (const id of ["stays", "goes"]) yield* execute(a, Kitchen.claim({ id, name: id }))
          yield* syncAll([a, b])
          // b goes away, with work to do.
          yield* setTo(b, "pending", 1)
          yield* execute(b, Kitchen.claim({ id: "mine", name: "goes" })).pipe(Effect.exit)
          yield* execute(a, Kitchen.release({ id: "goes" }))
          yield* a.sync
          yield* compact(stage.world.server, everything)
          expect(
            yield* scalar(
              stage.world.server,
              "SELECT count(*)::integer FROM synchrotron.row_versions WHERE gone"
            )
          ).toBe(0)
          const names = () =>
            Effect.map(b.sql.unsafe<{ name: string }>("SELECT name FROM names ORDER BY 1"), (rows) =>
              rows.map(({ name }) => name)
            )

          const error = yield* Effect.flip(b.sync)
          expect(error).toBeInstanceOf(Protocol.CursorTooOld)
          expect((error as Protocol.CursorTooOld).message).toContain("keeps its pending records")
          yield* b.replica.forgetCursors
          // Until the rows come the old ones show, and the pending record with them.
          expect(yield* names()).toContain("goes")
          expect(yield* b.replica.pendingCount).toBeGreaterThan(0)
          expect(yield* scalar(b.sql, "SELECT n FROM counters WHERE id = 'pending'")).toBe(1)
          yield* b.sync
          expect(yield* names()).not.toContain("goes")
          expect(yield* b.replica.pendingCount).toBe(0)
          yield* syncAll([a, b])
          yield* expectConverged(stage.world, [a, b])
          expect(yield* scalar(stage.world.server, "SELECT n FROM counters WHERE id = 'pending'")).toBe(1)
        })
      )
    )

    it(
      "I1: records that stay pending are executed again over the rows that come anew",
      act((stage, a, b) =>
        Effect.gen(function* () {
          yield* setTo(a, "anew", 5)
          yield* syncAll([a, b])
          yield* setTo(a, "anew", 50)
          yield* execute(a, Kitchen.claim({ id: "t", name: "t" }))
          yield* execute(a, Kitchen.release({ id: "t" }))
          yield* a.sync
          yield* compact(stage.world.server, everything)
          yield* b.replica.forgetCursors
          const request = yield* b.replica.request
          yield* execute(b, Kitchen.inc({ id: "anew", n: 1 }))
          const received = yield* b.replica.receive(request, yield* send(stage, b, request))
          expect(received.path).toBe("pending")
          expect(yield* scalar(b.sql, "SELECT n FROM counters WHERE id = 'anew'")).toBe(51)
          yield* syncAll([a, b])
          yield* expectConverged(stage.world, [a, b])
        })
      )
    )

    it(
      "I1: keeps the tombstones of a late arrival from its commit on, not from its stamp",
      act((stage, a, b) =>
        Effect.gen(function* () {
          const tombstoneMs = 60_000
          const gone = scalar(
            stage.world.server,
            "SELECT count(*)::integer FROM synchrotron.row_versions WHERE gone AND key LIKE '%tomb%'"
          )
          yield* execute(a, Kitchen.claim({ id: "tomb", name: "tomb" }))
          yield* syncAll([a, b])
          yield* execute(b, Kitchen.release({ id: "tomb" }))
          const compactAfter = (ms: number) =>
            compact(stage.world.server, { tombstoneMs }).pipe(withClockOffset(ms))
          yield* compactAfter(0)
          yield* compactAfter(90_000)
          // The record is stamped 90 seconds before the commit that brings it.
          yield* b.sync
          yield* compactAfter(100_000)
          yield* compactAfter(150_000)
          expect(yield* gone).toBe(1)
          yield* a.sync
          yield* expectConverged(stage.world, [a, b])
          yield* compactAfter(170_000)
          expect(yield* gone).toBe(0)
        })
      )
    )

    it(
      "lets cursors of today go on, and knows an audience that is new to the client",
      act((stage, a, b) =>
        Effect.gen(function* () {
          for (const client of [a, b]) yield* syncAnyhow(client)
          yield* compact(stage.world.server, everything)
          yield* setTo(a, "today", 1)
          yield* syncAll([a, b])
          yield* expectConverged(stage.world, [a, b])
          const request = yield* b.replica.request
          const first = yield* send(stage, b, { ...request, cursors: {} })
          expect(first.tables.length).toBeGreaterThan(0)
          const foreign = { ...request.cursors, strange: 1 as Seq }
          expect(yield* send(stage, b, { ...request, cursors: foreign })).toMatchObject({ verdicts: [] })
        })
      )
    )

    it(
      "I9: frees long args and all patches, and leaves short args that would not pay",
      act((stage, a, b) =>
        Effect.gen(function* () {
          const short = yield* execute(a, Kitchen.writeDoc({ id: "short", body: "x" }))
          const long = yield* execute(a, Kitchen.writeDoc({ id: "long", body: "x".repeat(100_000) }))
          yield* syncAnyhow(a)
          const direct = "f".repeat(100_000)
          yield* stage.world.server.unsafe(`INSERT INTO docs VALUES ('direct', 'u1', '${direct}')`)
          yield* AuthorityLive.compact(stage.world.server, { reorderWindowMs: 0 })
          const log = yield* logOf(stage)
          expect(log.find(({ id }) => id === short.id)?.args).toContain("short")
          expect(log.find(({ id }) => id === long.id)?.args).toBe("")
          expect(log.at(-1)).toMatchObject({ args: "", claims: "", patches: 0 })
          expect(log.reduce((sum, { patches }) => sum + patches, 0)).toBe(0)
          for (const client of [a, b]) yield* syncAnyhow(client)
          yield* expectConverged(stage.world, [a, b])
        })
      )
    )

    it(
      "I5: goes on after a crash between any two of its transactions, and syncs go on in between",
      act((stage, a, b) =>
        Effect.gen(function* () {
          for (let n = 0; n < 12; n++) {
            yield* execute(a, Kitchen.claim({ id: `c${n}`, name: `c${n}` }))
            yield* execute(a, Kitchen.release({ id: `c${n}` }))
          }
          yield* a.sync
          const left = () =>
            scalar(
              stage.world.server,
              "SELECT (SELECT count(*) FROM synchrotron.patches) + (SELECT count(*) FROM synchrotron.row_versions WHERE gone)"
            )
          const before = Number(yield* left())
          expect(before).toBeGreaterThan(24)
          let runs = 0
          for (let finished = false; !finished; runs++) {
            let batches = 0
            const run = yield* Effect.exit(
              compact(stage.world.server, {
                ...everything,
                batchRows: 5,
                onProgress: () => (++batches === 3 ? Effect.die("crash") : Effect.void)
              })
            )
            finished = Exit.isSuccess(run)
            yield* setTo(b, "between", runs)
            yield* syncAnyhow(b)
            yield* syncAnyhow(a)
            yield* expectConverged(stage.world, [a, b], `run ${runs}`)
            expect(runs).toBeLessThan(50)
          }
          expect(runs).toBeGreaterThan(3)
          yield* compact(stage.world.server, everything)
          expect(Number(yield* left())).toBe(0)
        })
      )
    )
  })
})

describe("compaction on a Postgres that others use", () => {
  const act = actor(stageOf("postgres", Kitchen.kitchenApp, users, { reorderWindowRecords: 4 }))

  it(
    "blocks no sync while a batch is open, not even one of the same keys and records",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const late = yield* setTo(b, "open", 1)
        yield* execute(a, Kitchen.claim({ id: "x", name: "x" }))
        yield* execute(a, Kitchen.release({ id: "x" }))
        for (let n = 0; n < 6; n++) yield* setTo(a, "open", n)
        const request = yield* a.replica.request
        const answer = yield* send(stage, a, request)
        const reached = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        const sql = held(stage.world.server, (transaction) =>
          transaction === 2
            ? Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(go))
            : Effect.void
        )
        const options = { reorderWindowRecords: 4, tombstoneMs: 0 }
        const compacting = yield* Effect.fork(compact(sql, options))
        yield* Deferred.await(reached)

        // Another server leaves it alone.
        expect(yield* compact(stage.world.server, options)).toMatchObject({ records: 0, yielded: true })
        // A repeated request, a late arrival, and a new record.
        expect((yield* send(stage, a, request)).verdicts).toEqual(answer.verdicts)
        yield* syncAnyhow(b)
        expect((yield* logOf(stage)).some(({ id }) => id === late.id)).toBe(true)
        yield* a.replica.receive(request, answer)
        yield* execute(a, Kitchen.claim({ id: "x", name: "x" }))
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])

        yield* Deferred.succeed(go, undefined)
        expect(yield* Fiber.join(compacting)).toMatchObject({ records: 4, yielded: false })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )

  it(
    "finds its batches through indexes",
    act((stage, a) =>
      Effect.gen(function* () {
        yield* a.sync
        const { server } = stage.world
        yield* server.unsafe(
          `INSERT INTO synchrotron.records (id, hlc, client_id, user_id, claims, name, version, args, content, status, seq)
           SELECT gen_random_uuid(), lpad(to_hex(n), 12, '0') || '-0000-00000000-0000-0000-0000-000000000000', NULL, 'u', '{}', 'x', 1, '[]', '', 'applied', 0
           FROM generate_series(1, 20000) AS n;
           UPDATE synchrotron.compacted SET hlc = (SELECT hlc FROM synchrotron.records ORDER BY hlc OFFSET 19900 LIMIT 1);
           ANALYZE synchrotron.records`
        )
        const read = Effect.map(
          server.unsafe<{ read: number }>(
            "SELECT pg_stat_get_tuples_returned('synchrotron.records'::regclass)::integer AS read"
          ),
          ([row]) => row!.read
        )
        const flush = server.unsafe("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        yield* flush
        const before = yield* read
        yield* compact(server, { reorderWindowRecords: 4 })
        yield* flush
        // Sequential scans would have returned 20,000.
        expect((yield* read) - before).toBeLessThan(1000)
      })
    )
  )
})

describe.each(kinds)("a server on %s", (kind) => {
  const act = actor(
    stageOf(kind, Kitchen.kitchenApp, users, { reorderWindowRecords: 1, tombstoneMs: 0, compactEveryMs: 20 })
  )

  it(
    "compacts by itself, with its own window",
    act((stage, a, b) =>
      Effect.gen(function* () {
        for (let n = 0; n < 5; n++) yield* execute(a, Kitchen.claim({ id: `n${n}`, name: `n${n}` }))
        yield* a.sync
        yield* execute(a, Kitchen.release({ id: "n0" }))
        yield* syncAnyhow(a)
        const left = scalar(
          stage.world.server,
          "SELECT (SELECT count(DISTINCT record_id) FROM synchrotron.patches) || ' ' || (SELECT count(*) FROM synchrotron.row_versions WHERE gone)"
        )
        yield* Effect.repeat(left, { until: (rest) => rest === "1 0", schedule: Schedule.spaced(10) })
        for (const client of [a, b]) yield* syncAnyhow(client)
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )
})

/** What broke an earlier engine of this kind, each as a test against the real authority and real replicas. */

import type { PgliteSqlClient } from "@synchrotron/sql-pglite"
import { type Action, Protocol } from "@synchrotron/sync-core"
import { Effect, Schema, type Scope } from "effect"
import pg from "pg"
import { describe, expect, it } from "vitest"
import {
  expectConverged,
  type Kind,
  kinds,
  randomOf,
  type Stage,
  scalar,
  stageOf,
  syncAll,
  withClockOffset
} from "./harness.ts"
import * as Kitchen from "./kitchen.ts"
import { exchange, makeWorld, type TestClient } from "./world.ts"

const { clear, copy, deposit, inc, set, withdraw } = Kitchen

/** In a millisecond of its own, so that the order of stamps is that of the test. */
const execute = <R, E>(client: TestClient, operation: Action.Operation<R, E>) =>
  Effect.delay(client.replica.execute(operation), 2)

/** The verdicts of one sync, by record id. */
const syncAndJudge = (stage: Stage, client: TestClient) =>
  Effect.gen(function* () {
    const request = yield* client.replica.request
    const response = yield* exchange(stage.world.authority, client.principal, request)
    yield* client.replica.receive(request, response)
    return new Map(response.verdicts.map((verdict) => [verdict.id as string, verdict]))
  })

const day = 24 * 60 * 60_000

describe.each(kinds)("with the authority on %s,", (kind) => {
  const stageNow = stageOf(kind, Kitchen.kitchenApp, { a: "u1", b: "u2", c: "u3" })
  let fresh = 0
  /** Ids that no other test uses. */
  const id = (name = "") => `${++fresh}${name}`
  const act = <E>(
    body: (stage: Stage, a: TestClient, b: TestClient, c: TestClient) => Effect.Effect<void, E, Scope.Scope>
  ) => {
    const stage = stageNow()
    const { a, b, c } = stage.clients
    return stage.run(body(stage, a!, b!, c!))
  }

  it("I1, I2: three clients increment one counter offline and keep every increment", () =>
    act((stage, a, b, c) =>
      Effect.gen(function* () {
        const x = id()
        yield* execute(a, set({ id: x, n: 100 }))
        yield* syncAll([a, b, c])
        for (const [client, n] of [
          [a, 1],
          [b, 10],
          [c, 100],
          [a, 1000]
        ] as const)
          yield* execute(client, inc({ id: x, n }))
        for (const client of [c, a, b]) yield* client.sync
        yield* syncAll([a, b, c])
        yield* expectConverged(stage.world, [a, b, c])
        expect(yield* scalar(stage.world.server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(1211)
      })
    ))

  it("I1: random schedules of ten set, inc and copy steps converge, 25 seeds", () =>
    act((stage, a, b, c) =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 25; seed++) {
          const random = randomOf(seed)
          const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(random() * items.length)]!
          const ids = [`s${seed}x`, `s${seed}y`]
          for (let step = 0; step < 10; step++) {
            const client = pick([a, b, c])
            if (random() < 0.3) yield* client.sync
            const n = Math.floor(random() * 9)
            yield* execute(
              client,
              pick([
                () => set({ id: pick(ids), n }),
                () => inc({ id: pick(ids), n }),
                () => copy({ from: ids[0]!, to: ids[1]! })
              ])()
            )
          }
          yield* syncAll([a, b, c])
          yield* expectConverged(stage.world, [a, b, c], `seed ${seed}`)
        }
      })
    ))

  it("I5: twenty actions that one client executes at once are twenty records with a patch each", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const ids = Array.from({ length: 20 }, () => id("at once"))
        yield* Effect.forEach(ids, (x) => a.replica.execute(set({ id: x, n: 1 })), {
          concurrency: "unbounded"
        })
        const perRecord = yield* a.sql.unsafe<{ count: number }>(
          "SELECT count(*)::integer AS count FROM synchrotron.patches GROUP BY record_id"
        )
        expect(perRecord.map((row) => row.count)).toEqual(Array(20).fill(1))
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
      })
    ))

  it("I1, I5: actions executed while syncs apply keep their rows, whoever yields when", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = id("during")
        yield* execute(a, set({ id: x, n: 0 }))
        yield* syncAll([a, b])
        for (let round = 0; round < 6; round++) {
          yield* execute(b, inc({ id: x, n: 1000 }))
          yield* b.sync
          yield* Effect.all(
            [a.sync, ...Array.from({ length: 5 }, () => a.replica.execute(inc({ id: x, n: 1 }))), a.sync],
            { concurrency: "unbounded" }
          ).pipe(Effect.withMaxOpsBeforeYield(16 + 5 * round))
        }
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(stage.world.server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(6030)
      })
    ))

  it("I1: an action and an answer that meet both show, whoever yields when", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = id("meet")
        yield* execute(a, set({ id: x, n: 0 }))
        yield* syncAll([a, b])
        for (let ops = 16; ops < 64; ops += 2) {
          yield* execute(b, inc({ id: x, n: 1000 }))
          yield* b.sync
          const request = yield* a.replica.request
          const response = yield* exchange(stage.world.authority, a.principal, request)
          yield* Effect.all([a.replica.execute(inc({ id: x, n: 1 })), a.replica.receive(request, response)], {
            concurrency: 2
          }).pipe(Effect.withMaxOpsBeforeYield(ops))
          const here = yield* scalar(a.sql, `SELECT n FROM counters WHERE id = '${x}'`)
          expect(here, `yielding after ${ops}`).toBe((ops / 2 - 7) * 1001)
          yield* a.sync
          yield* b.sync
        }
        yield* expectConverged(stage.world, [a, b])
      })
    ))

  it("I1: a pending action that a UNIQUE clash held back shows as soon as the clash is gone", () =>
    act((stage, a, b, c) =>
      Effect.gen(function* () {
        const name = id("held back")
        yield* execute(b, Kitchen.claim({ id: `${name}b`, name }))
        yield* syncAll([b, c])
        yield* execute(c, Kitchen.release({ id: `${name}b` }))
        const first = yield* a.replica.request
        const answer = yield* exchange(stage.world.authority, a.principal, first)
        const pending = yield* execute(a, Kitchen.claim({ id: `${name}a`, name }))
        yield* a.replica.receive(first, answer)
        const owner = `SELECT id FROM names WHERE name = '${name}'`
        expect(yield* scalar(a.sql, owner)).toBe(`${name}b`)
        yield* c.sync
        // A request that is full does not bring the action yet.
        const full = { ...(yield* a.replica.request), records: [], after: pending.hlc }
        yield* a.replica.receive(full, yield* exchange(stage.world.authority, a.principal, full))
        expect(yield* scalar(a.sql, owner)).toBe(`${name}a`)
        yield* syncAll([a, b, c])
        yield* expectConverged(stage.world, [a, b, c])
      })
    ))

  it("I4: an action that fails on replay does not stop later syncs", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = id("wallet")
        yield* execute(a, deposit({ id: x, n: 10 }))
        yield* syncAll([a, b])
        yield* execute(a, withdraw({ id: x, n: 8 }))
        const late = yield* execute(b, withdraw({ id: x, n: 8 }))
        yield* a.sync
        yield* execute(b, set({ id: x, n: 1 }))
        const verdicts = yield* syncAndJudge(stage, b)
        expect(verdicts.get(late.id)).toMatchObject({
          outcome: "rejected",
          error: { class: "failed", message: "insufficient funds", detail: { _tag: "Refused", missing: 6 } }
        })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(b.sql, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(1)
        expect(yield* scalar(b.sql, `SELECT balance FROM wallets WHERE id = '${x}'`)).toBe(2)
      })
    ))

  it("I4: a UNIQUE clash is refused as a constraint and does not stop later syncs", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const name = id("name")
        yield* execute(a, Kitchen.claim({ id: `${name}a`, name }))
        const second = yield* execute(b, Kitchen.claim({ id: `${name}b`, name }))
        yield* a.sync
        yield* execute(b, set({ id: name, n: 1 }))
        const verdicts = yield* syncAndJudge(stage, b)
        expect(verdicts.get(second.id)).toMatchObject({ outcome: "rejected", error: { class: "constraint" } })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(b.sql, `SELECT id FROM names WHERE name = '${name}'`)).toBe(`${name}a`)
      })
    ))

  it("I1: values swap under a UNIQUE constraint on the author and on others", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const [x, y] = [id("swap"), id("swap")]
        yield* execute(a, Kitchen.claim({ id: x, name: x }))
        yield* execute(a, Kitchen.claim({ id: y, name: y }))
        yield* syncAll([a, b])
        yield* execute(b, set({ id: x, n: 1 }))
        yield* execute(a, Kitchen.swap({ a: x, b: y }))
        yield* a.sync
        yield* execute(b, Kitchen.swap({ a: x, b: y }))
        yield* syncAll([b, a])
        yield* expectConverged(stage.world, [a, b])
      })
    ))

  it("I4: an action that the server does not know is refused and does not stop later syncs", () =>
    act((stage) =>
      Effect.gen(function* () {
        const newer = yield* stage.world.client("newer", { userId: "u1", app: Kitchen.newerKitchenApp })
        const x = id("novelty")
        const unknown = yield* execute(newer, Kitchen.novelty({ id: x, n: 5 }))
        yield* execute(newer, set({ id: id(), n: 1 }))
        const verdicts = yield* syncAndJudge(stage, newer)
        expect(verdicts.get(unknown.id)).toMatchObject({
          outcome: "rejected",
          error: { class: "unknown_action" }
        })
        yield* newer.sync
        yield* expectConverged(stage.world, [newer])
        expect((yield* newer.replica.rejected).map((record) => record.id)).toEqual([unknown.id])
      })
    ))

  it("I4, I7: one denied action is refused alone; those before and behind it are applied", () =>
    act((stage, a) =>
      Effect.gen(function* () {
        const x = id("denied")
        const before = yield* execute(a, set({ id: x, n: 1 }))
        const denied = yield* execute(a, Kitchen.forgeDoc({ id: x, owner: "u2" }))
        const behind = yield* execute(a, inc({ id: x, n: 1 }))
        const verdicts = yield* syncAndJudge(stage, a)
        expect([before, denied, behind].map((record) => verdicts.get(record.id)!.outcome)).toEqual([
          "applied",
          "rejected",
          "applied"
        ])
        expect(verdicts.get(denied.id)).toMatchObject({ error: { class: "denied" } })
        yield* expectConverged(stage.world, [a])
      })
    ))

  it("I4: an action with no effect is applied, and nothing waits for it", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const nothing = yield* execute(a, clear({ id: "absent" }))
        yield* execute(b, set({ id: id(), n: 1 }))
        const verdicts = yield* syncAndJudge(stage, a)
        expect(verdicts.get(nothing.id)).toMatchObject({ outcome: "applied" })
        yield* syncAll([b, a])
        yield* expectConverged(stage.world, [a, b])
      })
    ))

  it("I1, I4: dismissing a refused action after later remote ones leaves nothing of it", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = id("dismiss")
        yield* execute(a, deposit({ id: x, n: 10 }))
        yield* syncAll([a, b])
        yield* execute(b, withdraw({ id: x, n: 10 }))
        const refused = yield* execute(a, withdraw({ id: x, n: 3 }))
        yield* b.sync
        yield* a.sync
        yield* execute(b, deposit({ id: x, n: 100 }))
        yield* b.sync
        yield* a.sync
        const inbox = yield* a.replica.rejected
        const entry = inbox.find((record) => record.id === refused.id)!
        expect(entry.patches).toHaveLength(1)
        yield* a.replica.dismiss(refused.id)
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(a.sql, `SELECT balance FROM wallets WHERE id = '${x}'`)).toBe(100)
      })
    ))

  it("I1: parents and children with foreign keys, cascades and NOT NULL columns are deleted and put back", () =>
    act((stage, a, b, c) =>
      Effect.gen(function* () {
        const parent = id("parent")
        yield* execute(a, Kitchen.addParent({ id: parent }))
        for (let i = 0; i < 3; i++) yield* execute(a, Kitchen.addChild({ id: id("child"), parent }))
        yield* syncAll([a, b, c])
        // b removes all of it; a adds a child before, c one after.
        const added = yield* execute(a, Kitchen.addChild({ id: id("child"), parent }))
        yield* execute(b, Kitchen.removeParent({ id: parent }))
        const tooLate = yield* execute(c, Kitchen.addChild({ id: id("child"), parent }))
        yield* b.sync
        expect((yield* syncAndJudge(stage, c)).get(tooLate.id)).toMatchObject({
          outcome: "rejected",
          error: { class: "constraint" }
        })
        expect((yield* syncAndJudge(stage, a)).get(added.id)!.outcome).not.toBe("rejected")
        yield* syncAll([a, b, c])
        yield* expectConverged(stage.world, [a, b, c])
        expect(yield* scalar(a.sql, `SELECT count(*)::int FROM children WHERE parent = '${parent}'`)).toBe(0)
        // A client that has never seen them loads what is left.
        const newcomer = yield* stage.world.client("newcomer", { userId: "u1" })
        yield* newcomer.sync
        yield* expectConverged(stage.world, [newcomer])
      })
    ))

  it("I3: a client whose clock is fifty years ahead is refused, stamps again, and nobody ever stamps 2076", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const ahead = withClockOffset(50 * 365 * day)
        const device = yield* stage.world.client("ahead", { userId: "u1" })
        const x = id("future")
        yield* ahead(execute(device, set({ id: x, n: 1 })))
        yield* ahead(execute(device, inc({ id: x, n: 2 })))
        const refusal = yield* Effect.flip(ahead(device.sync))
        expect(refusal).toBeInstanceOf(Protocol.ClockDrift)
        yield* ahead(device.replica.restamp((refusal as Protocol.ClockDrift).serverTimeMs))
        yield* ahead(device.sync)
        yield* ahead(execute(device, inc({ id: x, n: 4 })))
        yield* ahead(device.sync)
        yield* b.sync
        yield* execute(b, inc({ id: x, n: 8 }))
        yield* syncAll([a, b])
        yield* ahead(device.sync)
        yield* expectConverged(stage.world, [a, b, device])
        expect(yield* scalar(stage.world.server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(15)
        const top = Number(yield* scalar(stage.world.server, "SELECT clock_ms FROM synchrotron.realm"))
        expect(top).toBeLessThan(Date.now() + day)
      })
    ))

  it("I3: a client whose clock is fifty years behind is placed in the window and loses nothing", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const behind = withClockOffset(-50 * 365 * day)
        const device = yield* stage.world.client("behind", { userId: "u1" })
        const x = id("past")
        yield* execute(a, set({ id: x, n: 100 }))
        yield* a.sync
        yield* behind(execute(device, inc({ id: x, n: 1 })))
        yield* behind(execute(device, inc({ id: x, n: 2 })))
        yield* behind(device.sync)
        yield* behind(execute(device, inc({ id: x, n: 4 })))
        yield* behind(device.sync)
        yield* syncAll([a, b])
        yield* behind(device.sync)
        yield* expectConverged(stage.world, [a, b, device])
        expect(
          yield* scalar(stage.world.server, "SELECT count(*)::int FROM synchrotron.records WHERE hlc < '01'")
        ).toBe(0)
      })
    ))

  it("I1, I7: an UPDATE that row-level security filters to nothing is `changed`, and its author sees the truth", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = id("doc")
        yield* execute(a, Kitchen.writeDoc({ id: x, body: "of u1" }))
        yield* syncAll([a, b])
        const edit = yield* execute(b, Kitchen.editDoc({ id: x, body: "by u2" }))
        expect((yield* syncAndJudge(stage, b)).get(edit.id)).toMatchObject({ outcome: "changed" })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(b.sql, `SELECT body FROM docs WHERE id = '${x}'`)).toBe("of u1")
      })
    ))

  it("I7: patches, audience and principal cannot be forged, for a request has no place for them", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = id("forged")
        yield* execute(b, Kitchen.writeDoc({ id: x, body: "honest" }))
        const request = yield* b.replica.request
        const encoded = JSON.parse(JSON.stringify(request)) as { records: Array<object> }
        const row = { id: x, owner: "u1", body: "forged" }
        const forgery = {
          userId: "u1",
          principal: { userId: "u1", claims: { sub: "u1" } },
          audiences: ["all", "list:secret"],
          patches: [{ table: "public.docs", key: `["${x}"]`, before: null, after: row }]
        }
        const decoded = Schema.decodeUnknownSync(Protocol.SyncRequest)({
          ...encoded,
          ...forgery,
          records: encoded.records.map((record) => ({ ...record, ...forgery, status: "applied", seq: 0 }))
        })
        expect(decoded).toEqual(request)
        yield* b.replica.receive(request, yield* exchange(stage.world.authority, b.principal, decoded))
        yield* a.sync
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(a.sql, `SELECT owner || ' ' || body FROM docs WHERE id = '${x}'`)).toBe(
          "u2 honest"
        )
        // Another's clock, node and digest in a record change nothing but the word `changed`.
        yield* execute(b, Kitchen.editDoc({ id: x, body: "honest again" }))
        const next = yield* b.replica.request
        const record = next.records[0]!
        const answer = yield* exchange(stage.world.authority, b.principal, {
          ...next,
          records: [
            {
              ...record,
              digest: "0".repeat(32),
              hlc: `${record.hlc.slice(0, 18)}${a.replica.clientId}` as typeof record.hlc
            }
          ]
        })
        expect(answer.verdicts[0]).toMatchObject({ outcome: "changed" })
        expect((answer.verdicts[0] as { hlc: string }).hlc.slice(18)).toBe(b.replica.clientId)
        yield* b.replica.receive(next, answer)
        yield* a.sync
        yield* expectConverged(stage.world, [a, b])
      })
    ))

  it("I1, I8: arrays, jsonb scalars, generated columns, bigint, numeric and JSON null survive the way and back", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const values = [
          {
            ints: [1, -2, 2147483647],
            texts: ["a", null, "NULL", "", '{"x"}', "back\\slash"],
            doc: '"a string"'
          },
          { ints: [], texts: [], doc: "null", big: "9007199254740993", exact: "0.1000" },
          { doc: "12345678901234567890.123456789", big: "-9223372036854775808", exact: "NaN" },
          {
            doc: '{"b":[1,{"a":null}],"a":"\\u00e9\\ud83d\\ude00"}',
            exact: "123456789012345678901234567890.0000000001"
          },
          { doc: "true", mood: 'not "calm"', texts: ["line\nbreak", "tab\t", "'quote'"] },
          { doc: "[]", mood: "calm", big: "4611686018427387903" }
        ]
        const nulls = { ints: null, texts: null, doc: null, big: null, exact: null, mood: null }
        const ids: Array<string> = []
        for (const value of values) {
          const x = id("thing")
          ids.push(x)
          yield* execute(a, Kitchen.putThing({ ...nulls, ...value, id: x }))
        }
        const request = yield* a.replica.request
        const response = yield* exchange(stage.world.authority, a.principal, request)
        expect(response.verdicts.map((verdict) => verdict.outcome)).toEqual(values.map(() => "applied"))
        yield* a.replica.receive(request, response)
        // The other way: undone and replayed under a late arrival, on both and on the authority.
        yield* b.sync
        yield* execute(a, Kitchen.putThing({ ...nulls, id: ids[0]!, doc: "null", texts: [] }))
        for (const x of ids)
          yield* execute(b, Kitchen.putThing({ ...nulls, id: x, ints: [7], big: "9007199254740995" }))
        yield* b.sync
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        const [row] = yield* b.sql.unsafe<Record<string, unknown>>(
          `SELECT big::text, half::text, doc IS NULL AS absent FROM things WHERE id = '${ids[1]}'`
        )
        expect(row).toEqual({ big: "9007199254740995", half: "4503599627370497", absent: true })
      })
    ))

  it("I1, I8: DEFAULT clock_timestamp() and gen_random_uuid() give the record's time and id everywhere", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = id("default")
        const nulls = { ints: null, texts: null, doc: null, big: null, exact: null, mood: null }
        yield* execute(a, Kitchen.putThing({ ...nulls, id: x }))
        const made = yield* scalar(a.sql, `SELECT made::text || token FROM things WHERE id = '${x}'`)
        const verdicts = yield* syncAndJudge(stage, a)
        expect([...verdicts.values()].map((verdict) => verdict.outcome)).toEqual(["applied"])
        yield* b.sync
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(b.sql, `SELECT made::text || token FROM things WHERE id = '${x}'`)).toBe(made)
      })
    ))

  it("I1: a schema-qualified table with a composite key and a generated column merges, and its keys may change", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const tenant = id("te'na\"nt")
        yield* execute(a, Kitchen.order({ tenant, no: 1, qty: 1, price: "19.90" }))
        yield* syncAll([a, b])
        yield* execute(a, Kitchen.order({ tenant, no: 1, qty: 2, price: "1" }))
        yield* execute(b, Kitchen.renumber({ tenant, from: 1, to: 2 }))
        yield* execute(a, Kitchen.order({ tenant, no: 1, qty: 5, price: "2" }))
        yield* b.sync
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        const orders = yield* stage.world.server.unsafe(
          "SELECT no, qty, total::text FROM shop.orders WHERE tenant = $1 ORDER BY no",
          [tenant]
        )
        expect(orders).toEqual([
          { no: 1, qty: 5, total: "10.00" },
          { no: 2, qty: 3, total: "59.70" }
        ])
      })
    ))

  it("I8: triggers of the application fire once per execution, never when rows are put back", () =>
    act((stage, a, b) =>
      Effect.gen(function* () {
        const [x, y] = [id("audited"), id("audited")]
        yield* execute(a, Kitchen.claim({ id: x, name: x }))
        yield* execute(b, Kitchen.claim({ id: y, name: y }))
        yield* b.sync
        yield* a.sync
        yield* b.sync
        yield* execute(b, set({ id: x, n: 1 }))
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        const audit = yield* b.sql.unsafe(
          `SELECT id, times FROM audit WHERE id IN ('${x}', '${y}') ORDER BY id COLLATE "C"`
        )
        expect(audit).toEqual([x, y].sort().map((row) => ({ id: row, times: 1 })))
      })
    ))

  it("I9: a sync takes as many statements after 2,000 records as after 100, idle or with a record", () =>
    act((stage) =>
      Effect.gen(function* () {
        const device = yield* stage.world.client("counting", { userId: "u1" })
        const x = id("history")
        yield* device.sync
        const measure = Effect.gen(function* () {
          yield* device.sync
          const idle = yield* statementsOf(kind, stage, device, device.sync)
          yield* execute(device, inc({ id: x, n: 1 }))
          const busy = yield* statementsOf(kind, stage, device, device.sync)
          return { idle, busy }
        })
        const grow = (count: number) =>
          Effect.gen(function* () {
            for (let i = 0; i < count; i++) yield* device.replica.execute(inc({ id: x, n: 1 }))
            while ((yield* device.replica.pendingCount) > 0) yield* device.sync
          })
        yield* grow(100)
        const few = yield* measure
        yield* grow(1900)
        const many = yield* measure
        expect(many).toEqual(few)
        // And the plans read few rows: nothing but the last patch and records of the window is looked at.
        expect(many.busy.client).toBeLessThan(30)
        expect(many.busy.server).toBeLessThan(40)
      })
    ))
})

describe("with two servers on one Postgres,", () => {
  const stageNow = stageOf("postgres", Kitchen.kitchenApp, { a: "u1", b: "u2", c: "u3", poller: "u1" })

  it("I1, I4: `seq` is gap-free, commits in its order, and a poller misses nothing under concurrent uploads", () => {
    const stage = stageNow()
    const { a, b, c, poller } = stage.clients
    return stage.run(
      Effect.gen(function* () {
        const other = yield* makeWorld(Kitchen.kitchenApp, { _tag: "postgres", url: stage.url! })
        const authorities = [stage.world.authority, other.authority]
        const listener = new pg.Client({ connectionString: stage.url! })
        yield* Effect.promise(() => listener.connect())
        yield* Effect.addFinalizer(() => Effect.promise(() => listener.end()))
        const heard: Array<number> = []
        listener.on("notification", ({ payload }) => heard.push(Number(payload)))
        const before = (yield* stage.world.authority.health).seq
        yield* Effect.promise(() => listener.query("LISTEN synchrotron_commits"))
        let writing = true
        const upload = (client: TestClient, start: number) =>
          Effect.gen(function* () {
            for (let i = 0; i < 30; i++) {
              yield* execute(client, inc({ id: "shared", n: 1 }))
              yield* execute(client, set({ id: `${client.name}${i}`, n: i }))
              const request = yield* client.replica.request
              const answer = yield* exchange(authorities[(start + i) % 2]!, client.principal, request)
              yield* client.replica.receive(request, answer)
            }
          })
        const external = Effect.gen(function* () {
          for (let i = 0; i < 30; i++) {
            yield* other.server.unsafe(`INSERT INTO counters (id, n) VALUES ('external${i}', ${i})`)
            yield* Effect.sleep(3)
          }
        })
        const poll = Effect.gen(function* () {
          for (let i = 0; writing; i++) {
            const request = yield* poller!.replica.request
            const answer = yield* exchange(authorities[i % 2]!, poller!.principal, request)
            yield* poller!.replica.receive(request, answer)
          }
        })
        yield* Effect.all(
          [
            Effect.all([upload(a!, 0), upload(b!, 1), upload(c!, 0), external], {
              concurrency: "unbounded"
            }).pipe(Effect.ensuring(Effect.sync(() => (writing = false)))),
            poll
          ],
          { concurrency: "unbounded" }
        )
        const { seq } = yield* stage.world.authority.health
        expect(seq - before).toBe(120)
        yield* Effect.promise(() => listener.query("SELECT 1"))
        expect(heard).toEqual(Array.from({ length: seq - before }, (_, i) => before + 1 + i))
        yield* syncAll([a!, b!, c!, poller!])
        yield* expectConverged(stage.world, [a!, b!, c!, poller!])
        expect(yield* scalar(stage.world.server, "SELECT n FROM counters WHERE id = 'shared'")).toBe(90)
      })
    )
  })
})

/** Round trips to the client's and the authority's database during an effect. */
const statementsOf = (
  kind: Kind,
  stage: Stage,
  client: TestClient,
  effect: Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function* () {
    const counts = { client: 0, server: 0 }
    const restore = [
      countPglite(client.sql, () => counts.client++),
      kind === "pglite"
        ? countPglite(stage.world.server as PgliteSqlClient, () => counts.server++)
        : countPostgres(() => counts.server++)
    ]
    yield* Effect.ensuring(
      effect,
      Effect.sync(() => {
        for (const f of restore) f()
      })
    )
    return counts
  })

const countPglite = ({ pglite }: PgliteSqlClient, note: () => void) => {
  const original = pglite.execProtocolRawStream
  pglite.execProtocolRawStream = (...args) => {
    note()
    return original.apply(pglite, args)
  }
  return () => {
    pglite.execProtocolRawStream = original
  }
}

const countPostgres = (note: () => void) => {
  const original = pg.Client.prototype.query
  pg.Client.prototype.query = function (this: pg.Client, ...args: Array<never>) {
    note()
    return (original as (...args: Array<never>) => never).apply(this, args)
  } as typeof original
  return () => {
    pg.Client.prototype.query = original
  }
}

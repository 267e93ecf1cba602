import { Clock, Effect } from "effect"
import fc from "fast-check"
import { afterAll, describe, expect, inject, it } from "vitest"
import { createDatabase } from "../../../test/postgres.ts"
import {
  copy,
  countersApp,
  inc,
  join,
  leave,
  limited,
  move,
  note,
  put,
  remove
} from "../../sync-testing/test/counters.ts"
import { embedded, exchange, makeWorld, tablesOf } from "../../sync-testing/test/world.ts"
import type { AnyOperation } from "../src/Action.ts"
import * as Execution from "../src/Execution.ts"
import * as Hlc from "../src/Hlc.ts"
import { type RecordId, Uuids } from "../src/Ids.ts"
import type { SyncRequest, SyncResponse } from "../src/Protocol.ts"
import * as Reconcile from "../src/Reconcile.ts"
import type { Executed, Received } from "../src/Replica.ts"
import { node } from "./support.ts"

describe("I1: the plan", () => {
  const tables = fc
    .uniqueArray(fc.constantFrom("a", "b", "c"), { maxLength: 3 })
    .map((names) => new Set(names))
  const scenario = fc
    .uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 12 })
    .chain((stamps) =>
      fc.record({
        // Even: pending, odd: later; so that no stamp is both.
        records: fc.constant(
          [...stamps]
            .sort((a, b) => a - b)
            .map((ms) => ({
              id: Execution.uuidOf(String(ms)) as RecordId,
              hlc: Hlc.make({ ms, counter: 0 }, node),
              pending: ms % 2 === 0
            }))
        ),
        judged: fc.subarray(stamps.filter((ms) => ms % 2 === 0)),
        crossing: fc.boolean(),
        used: fc.option(tables),
        tables,
        resets: fc.boolean(),
        fast: fc.boolean()
      })
    )
    .map((s) => ({
      ...s,
      pending: s.records.filter((r) => r.pending),
      later: s.records.filter((r) => !r.pending),
      judged: new Set(s.judged.map((ms) => Execution.uuidOf(String(ms)) as RecordId))
    }))

  const check = (assert: (s: Scenario, plan: Plan) => void) =>
    fc.assert(
      fc.property(scenario, (s) => assert(s, Reconcile.plan(s, s, { fast: s.fast }))),
      { numRuns: 500 }
    )
  type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never
  type Plan = ReturnType<typeof Reconcile.plan<Scenario["pending"][number], Scenario["later"][number]>>

  const remaining = (s: Scenario) => s.pending.filter((r) => !s.judged.has(r.id))

  it("a record leaves the pending ones only by a verdict", () =>
    check((s, plan) => {
      const left = remaining(s)
      if (plan.path === "pending" || plan.path === "merge") expect(plan.pending).toEqual(left)
      if (plan.path === "rows") expect(left).toEqual([])
      if (plan.path === "nothing" || plan.path === "disjoint") expect(left).toEqual(s.pending)
    }))

  it("the general path takes the rows alone exactly when nothing stays pending", () =>
    check((s) => {
      const plan = Reconcile.plan(s, s, { fast: false })
      expect(plan.path === "rows").toBe(remaining(s).length === 0)
      expect(["rows", "pending", "merge"]).toContain(plan.path)
    }))

  it("crosses exactly the confirmed records after the oldest pending one", () =>
    check((s, plan) => {
      if (plan.path !== "pending" && plan.path !== "merge") return
      const oldest = plan.pending[0]!.hlc
      expect(plan.later).toEqual(s.later.filter((r) => r.hlc > oldest))
      expect(plan.path).toBe(plan.later.length === 0 ? "pending" : "merge")
    }))

  it("replays each of both once, in HLC order, after the common ancestor", () =>
    check((s, plan) => {
      if (plan.path !== "pending" && plan.path !== "merge") return
      const hlcs = plan.replay.map((r) => r.hlc)
      expect(hlcs).toEqual([...hlcs].sort())
      expect(new Set(hlcs).size).toBe(plan.pending.length + plan.later.length)
      expect(plan.replay[0]).toBe(remaining(s)[0])
    }))

  it("takes a fast path only when nothing was judged, crossed or lost", () =>
    check((s, plan) => {
      if (plan.path === "rows" && !plan.undo) expect(s.pending).toEqual([])
      else if (plan.path !== "nothing" && plan.path !== "disjoint") return
      expect(s.fast).toBe(true)
      expect(s.crossing || s.resets).toBe(false)
      expect(remaining(s)).toEqual(s.pending)
      if (s.pending.length > 0) expect(s.later.filter((r) => r.hlc > s.pending[0]!.hlc)).toEqual([])
      if (plan.path === "nothing") expect(s.tables.size).toBe(0)
      else if (plan.path === "disjoint") for (const table of s.tables) expect(s.used!.has(table)).toBe(false)
    }))
})

const schedulesMax = Number(process.env.SCHEDULES ?? 30)
const paths = new Map<string, number>()

/** A clock that stands where the test puts it. */
const standing = (read: () => number): Clock.Clock =>
  Object.create(Clock.make(), {
    currentTimeMillis: { value: Effect.sync(read) },
    unsafeCurrentTimeMillis: { value: read }
  })

/** The same UUIDs in the same order, so that two replicas are one client twice. */
const repeating = (name: string) => {
  let n = 0
  return { next: Effect.sync(() => Execution.uuidOf(`${name} ${n++}`)) }
}

const randomOf = (seed: number) => {
  let s = seed >>> 0
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

describe.each(["pglite", "postgres"] as const)("I1: fast paths on a client of %s", (kind) => {
  it(`give the tables of the general path after each step of ${schedulesMax} random schedules`, async () => {
    const database = kind === "postgres" ? await createDatabase(inject("postgresUrl")) : null
    await Effect.gen(function* () {
      const world = yield* makeWorld(
        countersApp,
        database === null ? embedded : { _tag: "postgres", url: database.url }
      )
      let now = Date.now()
      const at = <A, E, R>(effect: Effect.Effect<A, E, R>, skewMs = 0) =>
        Effect.withClock(
          effect,
          standing(() => now + skewMs)
        )
      const twin = (fastPaths: boolean) =>
        at(
          world
            .client("twin", { userId: "u1", fastPaths })
            .pipe(Effect.provideService(Uuids, repeating(`twin of ${kind}`)))
        )
      const [fast, slow] = [yield* twin(true), yield* twin(false)]
      const other = yield* at(world.client("other", { userId: "u2" }))
      expect(slow.replica.clientId).toBe(fast.replica.clientId)

      const both = (operation: AnyOperation) =>
        Effect.gen(function* () {
          now += 1
          const results: Array<string> = []
          for (const { replica } of [fast, slow]) {
            const exit = yield* Effect.exit(at(replica.execute(operation)))
            results.push(exit._tag === "Success" ? (exit.value as Executed<unknown>).id : exit._tag)
          }
          expect(results[1]).toBe(results[0])
        })
      const ask = Effect.gen(function* () {
        now += 1
        const [a, b] = [yield* at(fast.replica.request), yield* at(slow.replica.request)]
        expect(b).toEqual(a)
        return a
      })
      const receive = (request: SyncRequest, response: SyncResponse) =>
        Effect.gen(function* () {
          now += 1
          const done: Array<Received> = []
          for (const { replica } of [fast, slow]) done.push(yield* at(replica.receive(request, response)))
          paths.set(done[0]!.path, (paths.get(done[0]!.path) ?? 0) + 1)
          return done
        })
      const compare = (what: string) =>
        Effect.gen(function* () {
          expect(yield* tablesOf(fast.sql, countersApp), what).toEqual(yield* tablesOf(slow.sql, countersApp))
          expect(yield* at(fast.replica.request), what).toEqual(yield* at(slow.replica.request))
        })

      for (const [list, user] of [
        ["A", "u1"],
        ["A", "u2"],
        ["B", "u2"],
        ["B", "u1"]
      ] as const)
        yield* both(join({ list, user }))
      const first = yield* ask
      yield* receive(first, yield* exchange(world.authority, fast.principal, first))
      yield* at(other.sync)

      for (let seed = 1; seed <= schedulesMax; seed++) {
        const random = randomOf(seed)
        const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(random() * items.length)]!
        const ids = ["a", "b"].map((x) => `${seed}${x}`)
        const operation = (): AnyOperation => {
          const [id, n] = [pick(ids), Math.floor(random() * 5)]
          return pick<() => AnyOperation>([
            () => inc({ id, n }),
            () => put({ id, n, list: pick(["A", "B"]) }),
            () => remove({ id }),
            () => copy({ from: id, to: pick(ids) }),
            () => move({ id, list: pick(["A", "B"]) }),
            () => limited({ id, n }),
            () => note({ text: id, list: pick(["A", "B"]) }),
            () => note({ text: id, list: pick(["A", "B"]) }),
            () => pick([join, leave])({ list: "B", user: "u1" })
          ])()
        }
        // The other user, whose clock is up to a second off.
        const foreign = Effect.gen(function* () {
          const skewMs = Math.floor(random() * 2000) - 1000
          yield* Effect.exit(at(other.replica.execute(operation()), skewMs))
          if (random() < 0.8) yield* at(other.sync)
        })
        for (let step = 0; step < 8; step++) {
          const what = `seed ${seed}, step ${step}`
          const dice = random()
          if (dice < 0.35) yield* both(operation())
          else if (dice < 0.5) yield* foreign
          else {
            const request = yield* ask
            // What happens while the request is on its way.
            for (const event of [foreign, Effect.suspend(() => both(operation())), foreign])
              if (random() < 0.4) yield* event
            const response = yield* exchange(world.authority, fast.principal, request)
            if (random() < 0.3) yield* both(operation())
            // Sometimes the response is lost, sometimes it comes twice.
            if (random() < 0.85) yield* receive(request, response)
            if (random() < 0.1) yield* receive(request, response)
          }
          yield* compare(what)
        }
        // Whoever left the list comes back.
        yield* both(join({ list: "B", user: "u1" }))
        yield* at(other.sync)
        for (let round = 0; round < 2; round++) {
          const request = yield* ask
          yield* receive(request, yield* exchange(world.authority, fast.principal, request))
          yield* compare(`seed ${seed}, end`)
        }
        expect(yield* fast.replica.pendingCount).toBe(0)
      }
    }).pipe(Effect.scoped, Effect.runPromise)
    await database?.drop()
  }, 600_000)
})

afterAll(() => {
  for (const path of ["nothing", "rows", "disjoint", "pending", "merge"])
    expect(
      paths.get(path) ?? 0,
      `the path ${path} was never taken: ${JSON.stringify([...paths])}`
    ).toBeGreaterThan(0)
})

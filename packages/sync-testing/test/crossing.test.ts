/** What a client may cross, and so has to hear of in full: canonical records after the stamps of its pending ones. */
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { expectConverged, kinds, scalar, stageOf, syncAll, withClockOffset } from "./harness.ts"
import { inc, kitchenApp } from "./kitchen.ts"
import { exchange } from "./world.ts"

describe.each(kinds)("with the authority on %s,", (kind) => {
  const stage = stageOf(kind, kitchenApp, { a: "u1", b: "u2" })

  it("a client that was away hears of rows, and of no record that it cannot cross", async () => {
    const { clients, run, world } = stage()
    const [a, b] = [clients.a!, clients.b!]
    await run(
      Effect.gen(function* () {
        yield* a.replica.execute(inc({ id: "away", n: 1 }))
        yield* a.sync
        for (let i = 0; i < 5; i++) yield* b.replica.execute(inc({ id: "away", n: 1 }))
        yield* b.sync
        yield* Effect.sleep(2)
        const request = yield* a.replica.request
        const answer = yield* exchange(world.authority, a.principal, request)
        expect(answer.later).toEqual([])
        // What it executes meanwhile it stamps after all of these.
        yield* a.replica.execute(inc({ id: "away", n: 10 }))
        yield* a.replica.receive(request, answer)
        expect(yield* scalar(a.sql, "SELECT n FROM counters WHERE id = 'away'")).toBe(16)
        yield* syncAll([a, b])
        yield* expectConverged(world, [a, b])
      })
    )
  })

  it("I2, I4: an answer is not applied when the clock went back before an action that may cross it", async () => {
    const { clients, run, world } = stage()
    const [a, b] = [clients.a!, clients.b!]
    await run(
      Effect.gen(function* () {
        yield* syncAll([a, b])
        const request = yield* withClockOffset(60_000)(a.replica.request)
        yield* withClockOffset(30_000)(b.replica.execute(inc({ id: "back", n: 1 })))
        yield* withClockOffset(30_000)(b.sync)
        const answer = yield* exchange(world.authority, a.principal, request)
        const own = yield* a.replica.execute(inc({ id: "back", n: 10 }))
        expect(own.hlc < request.after!).toBe(true)
        expect((yield* a.replica.receive(request, answer)).path).toBe("stale")
        expect(yield* a.replica.pendingCount).toBe(1)
        expect(yield* scalar(a.sql, "SELECT n FROM counters WHERE id = 'back'")).toBe(10)
        yield* syncAll([a, b])
        yield* expectConverged(world, [a, b])
      })
    )
  })
})

import { Deferred, Effect, Fiber } from "effect"
import { expect, it } from "vitest"
import { Turns } from "../../src/live/Turns.ts"

it("I9: lets so many run at once, in the order in which they came", () =>
  Effect.gen(function* () {
    const turns = new Turns(2)
    const order: Array<number> = []
    let running = 0
    yield* Effect.forEach(
      Array.from({ length: 20 }, (_, i) => i),
      (i) =>
        turns.take(
          Effect.gen(function* () {
            order.push(i)
            expect(++running).toBeLessThanOrEqual(2)
            yield* Effect.yieldNow()
            running--
          })
        ),
      { concurrency: "unbounded", discard: true }
    )
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    expect(order).toHaveLength(20)
  }).pipe(Effect.runPromise))

it("loses no turn to who fails, leaves, or is interrupted when it was just given", () =>
  Effect.gen(function* () {
    const turns = new Turns(1)
    const gate = yield* Deferred.make<void>()
    const first = yield* Effect.fork(turns.take(Deferred.await(gate)))
    yield* Effect.yieldNow()
    const second = yield* Effect.fork(turns.take(Effect.never))
    const third = yield* Effect.fork(turns.take(Effect.fail("failed")))
    const fourth = yield* Effect.fork(turns.take(Effect.succeed("done")))
    yield* Effect.yieldNow()
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.interrupt(second)
    yield* Fiber.join(first)
    expect(yield* Effect.either(Fiber.join(third))).toMatchObject({ left: "failed" })
    expect(yield* Fiber.join(fourth)).toBe("done")
    expect(yield* turns.take(Effect.succeed("free"))).toBe("free")
  }).pipe(Effect.runPromise))

import { describe, expect, it } from "@effect/vitest"
import { Protocol, type RecordId } from "@synchrotron/sync-core"
import { Effect, Fiber } from "effect"
import { fit } from "../src/fit.ts"
import { Outcomes } from "../src/Outcomes.ts"
import { uuid } from "./fixture.ts"

const id = (n: number) => uuid(n) as RecordId

describe("Outcomes", () => {
  it.effect("gives an outcome to those who asked before and after", () =>
    Effect.gen(function* () {
      const outcomes = new Outcomes()
      const waiting = yield* Effect.forkAll([outcomes.next(id(1)), outcomes.next(id(1))])
      yield* Effect.yieldNow()
      outcomes.record(id(2), { _tag: "changed" })
      outcomes.record(id(1), { _tag: "applied" })
      expect(yield* Fiber.join(waiting)).toEqual([{ _tag: "applied" }, { _tag: "applied" }])
      expect(outcomes.get(id(2))).toEqual({ _tag: "changed" })
    })
  )

  it("I9: remembers so many and no more, the latest ones", () => {
    const outcomes = new Outcomes(3)
    for (const n of [1, 2, 3, 1, 4]) outcomes.record(id(n), { _tag: "applied" })
    expect([1, 2, 3, 4].map((n) => outcomes.get(id(n)) !== undefined)).toEqual([true, false, true, true])
  })
})

describe("fit", () => {
  const request = (sizes: ReadonlyArray<number>) =>
    ({
      records: sizes.map((size, n) => ({ id: id(n), args: "é".repeat(size / 2), hlc: `hlc-${n}` })),
      after: "last"
    }) as unknown as Protocol.SyncRequest

  it("I9: keeps requests under the limit of the protocol, and moves `after` to what stays behind", () => {
    const whole = request(Array.from({ length: 100 }, () => 200_000))
    const part = fit(whole)
    expect(part.records.length).toBeGreaterThan(20)
    expect(new TextEncoder().encode(JSON.stringify(part)).length).toBeLessThan(Protocol.limits.bodyBytesMax)
    expect(part.after).toBe(`hlc-${part.records.length}`)
  })

  it("leaves what fits as it is", () => {
    for (const sizes of [[], [10], Array.from({ length: 1000 }, () => 100)]) {
      const whole = request(sizes)
      expect(fit(whole)).toBe(whole)
    }
  })
})

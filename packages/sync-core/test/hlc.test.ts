import { SqlClient } from "@effect/sql"
import { Effect, Either, Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Hlc from "../src/Hlc.ts"
import type { ClientId } from "../src/Ids.ts"
import { kinds, node, useDatabase } from "./support.ts"

const ms = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: Hlc.msMax - 1 }))
const counter = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.constant(Hlc.counterMax),
  fc.integer({ min: 0, max: Hlc.counterMax })
)
const state = fc.record({ ms, counter })
const clientId = fc.uuid().map((id) => id as ClientId)
const stamp = fc.tuple(state, clientId).map(([s, id]) => Hlc.make(s, id))

const isAfter = (a: Hlc.ClockState, b: Hlc.ClockState) =>
  a.ms > b.ms || (a.ms === b.ms && a.counter > b.counter)

describe("I3: the clock", () => {
  it("goes forward, whichever way the wall clock jumps", () => {
    fc.assert(
      fc.property(state, fc.array(ms, { minLength: 1, maxLength: 50 }), (start, walls) => {
        let clock = start
        for (const wall of walls) {
          const next = Either.getOrThrow(Hlc.tick(clock, wall))
          expect(isAfter(next, clock)).toBe(true)
          expect(next.ms).toBeGreaterThanOrEqual(wall)
          expect(Hlc.make(next, node) > Hlc.make(clock, node)).toBe(true)
          clock = next
        }
      })
    )
  })

  it("follows the wall clock when that is ahead, also between two milliseconds", () => {
    expect(Hlc.tick({ ms: 5, counter: 9 }, 7.9)).toEqual(Either.right({ ms: 7, counter: 0 }))
    expect(Hlc.tick({ ms: 5, counter: 9 }, 5.9)).toEqual(Either.right({ ms: 5, counter: 10 }))
    expect(Hlc.tick({ ms: 5, counter: 9 }, -100)).toEqual(Either.right({ ms: 5, counter: 10 }))
  })

  it("carries a full counter into the milliseconds", () => {
    expect(Hlc.successor({ ms: 5, counter: Hlc.counterMax })).toEqual({ ms: 6, counter: 0 })
    expect(Hlc.tick({ ms: 5, counter: Hlc.counterMax }, 5)).toEqual(Either.right({ ms: 6, counter: 0 }))
    fc.assert(
      fc.property(state, state, (a, b) => {
        const next = Hlc.successor(a)
        expect(isAfter(next, a)).toBe(true)
        // Nothing fits between a state and its successor.
        expect(isAfter(b, a) && isAfter(next, b)).toBe(false)
      })
    )
  })

  it("stamps after everything that it saw", () => {
    fc.assert(
      fc.property(state, fc.array(stamp, { maxLength: 20 }), ms, (start, seen, wall) => {
        const clock = seen.reduce(Hlc.witness, start)
        const next = Hlc.make(Either.getOrThrow(Hlc.tick(clock, wall)), node)
        for (const hlc of seen) {
          const { ms, counter } = Hlc.parts(hlc)
          expect(isAfter(Hlc.parts(next), { ms, counter })).toBe(true)
        }
        expect(isAfter(start, clock)).toBe(false)
      })
    )
  })

  it("refuses times that 48 bits cannot hold", () => {
    for (const wall of [Hlc.msMax + 1, 2 ** 60, Number.POSITIVE_INFINITY]) {
      const result = Hlc.tick(Hlc.clockZero, wall)
      expect(Either.isLeft(result) && result.left).toBeInstanceOf(Hlc.HlcRangeError)
    }
    const full = Hlc.tick({ ms: Hlc.msMax, counter: Hlc.counterMax }, 0)
    expect(Either.isLeft(full) && full.left.message).toContain("Set this device's clock")
    expect(Hlc.tick(Hlc.clockZero, Hlc.msMax)).toEqual(Either.right({ ms: Hlc.msMax, counter: 0 }))
  })

  it("a wall clock that is no number leaves the clock in range", () => {
    const result = Hlc.tick({ ms: 5, counter: 0 }, Number.NaN)
    expect(result).toEqual(Either.right({ ms: 5, counter: 1 }))
  })

  it("refuses stamps ahead of the wall clock by more than the bound, and only those", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 40 }),
        fc.integer({ min: -1000, max: 1000 }),
        (wall, more) => {
          const driftMsMax = 5000
          const hlc = Hlc.make({ ms: wall + driftMsMax + more, counter: 0 }, node)
          const result = Hlc.checkDrift(hlc, wall, driftMsMax)
          expect(Either.isRight(result)).toBe(more <= 0)
          if (Either.isLeft(result)) expect(result.left.message).toContain(`${driftMsMax + more} ms ahead`)
        }
      )
    )
  })
})

describe("the text form of a stamp", () => {
  const decode = Schema.decodeUnknownEither(Hlc.Hlc)

  it("round-trips", () => {
    fc.assert(
      fc.property(state, clientId, (s, id) => {
        const hlc = Hlc.make(s, id)
        expect(Hlc.parts(hlc)).toEqual({ ...s, node: id })
        expect(decode(hlc)).toEqual(Either.right(hlc))
        expect(hlc).toHaveLength(54)
      })
    )
  })

  it("refuses what is no stamp", () => {
    const valid = Hlc.make({ ms: 1, counter: 2 }, node)
    for (const text of [
      "",
      valid.toUpperCase().replace("0", "A"),
      ` ${valid}`,
      `${valid}\n`,
      valid.slice(1),
      `${valid}0`,
      valid.replace("-", "_"),
      valid.replace(/^0/, "g"),
      null,
      42
    ]) {
      expect(Either.isLeft(decode(text)), JSON.stringify(text)).toBe(true)
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(Either.isLeft(decode(text))).toBe(true)
      })
    )
  })

  it("compare is the order of (milliseconds, counter, node)", () => {
    fc.assert(
      fc.property(stamp, stamp, (a, b) => {
        const [x, y] = [Hlc.parts(a), Hlc.parts(b)]
        const expected =
          x.ms - y.ms || x.counter - y.counter || (x.node < y.node ? -1 : x.node > y.node ? 1 : 0)
        expect(Hlc.compare(a, b)).toBe(Math.sign(expected))
      })
    )
  })
})

describe.each(kinds)("I3: order on %s", (kind) => {
  const { run } = useDatabase(kind)

  it('is the same in JavaScript and under COLLATE "C"', () =>
    run(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const stamps = fc.sample(stamp, 500)
        const rows = yield* sql.unsafe<{ hlc: string }>(
          `SELECT hlc FROM jsonb_array_elements_text($1::jsonb) AS x(hlc) ORDER BY hlc COLLATE "C"`,
          [JSON.stringify(stamps)]
        )
        expect(rows.map((row) => row.hlc)).toEqual([...stamps].sort(Hlc.compare))
      })
    ))
})

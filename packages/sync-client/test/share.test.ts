import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { same, shareRows, textOf } from "../src/share.ts"

const value = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.constantFrom("a", "b", null, true, 1.5, -0, 0, Number.NaN, 9007199254740993n, 0n),
  fc.constantFrom(0, 1).map((ms) => new Date(ms)),
  fc.constantFrom([1], [2]).map((bytes) => new Uint8Array(bytes)),
  fc.constantFrom({ a: [1, { b: null }] }, { a: [1, { b: 0 }] }, [[1], [2]])
)
const row = fc.record({ id: fc.integer({ min: 0, max: 5 }), value })
const rows = fc.array(row, { maxLength: 8 })

/** Another object with the same values, as a second run of the query gives them. */
const copy = <A>(value: A): A => structuredClone(value)

describe("shareRows", () => {
  it("gives the rows of the second result, and reuses every row that it can", () => {
    fc.assert(
      fc.property(rows, rows, (previous, next) => {
        const shared = shareRows(previous, copy(next))
        expect(shared).toEqual(next)
        // No row stands twice in the result unless it stood there twice before.
        expect(new Set(shared).size).toBe(shared.length)
        // Which of several equal rows it is does not matter.
        const left = [...previous]
        const reusable = next.filter((row) => {
          const at = left.findIndex((old) => same(old, row))
          return at >= 0 && left.splice(at, 1).length > 0
        })
        expect(shared.filter((row) => previous.includes(row)).length).toBe(reusable.length)
      })
    )
  })

  it("gives the same array when nothing changed", () => {
    fc.assert(
      fc.property(rows, (previous) => {
        expect(shareRows(previous, copy(previous))).toBe(previous)
      })
    )
  })

  it("keeps rows that moved", () => {
    const previous = [1, 2, 3, 4, 5].map((id) => ({ id }))
    const [a, b, c, d, e] = previous
    expect(shareRows(previous, copy([d!, b!, a!, c!, e!]))).toEqual([d, b, a, c, e])
    expect(shareRows(previous, copy([d!, b!, a!, c!, e!]))[0]).toBe(d)
    expect(shareRows(previous, copy([b!, c!]))[1]).toBe(c)
  })

  it("textOf and same agree", () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        // A Date and its text never stand in one column, so they need not differ.
        fc.pre(a instanceof Date === b instanceof Date)
        expect(textOf([a]) === textOf([b])).toBe(same(a, b))
      }),
      { numRuns: 2000 }
    )
  })
})

import { Protocol } from "@synchrotron/sync-core"
import { Either, Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { isTables } from "../src/decode.ts"

const Tables = Schema.Array(Protocol.TableRows)

const odd = fc.constantFrom<unknown>(null, 1, "x", [], {}, [1], { a: 1 }, undefined)
const or = (arbitrary: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 12, arbitrary }, { weight: 1, arbitrary: odd })
const image = or(fc.dictionary(fc.string(), or(fc.option(fc.string()))))
const row = or(fc.tuple(or(fc.string()), or(fc.option(image))))
const table = or(fc.record({ table: or(fc.string()), rows: or(fc.array(row, { maxLength: 3 })) }))

describe("isTables", () => {
  it("accepts what the protocol's schema accepts, and nothing else", () => {
    let accepted = 0
    fc.assert(
      fc.property(or(fc.array(table, { maxLength: 3 })), (tables) => {
        // As it arrives: through JSON.
        const value: unknown = JSON.parse(JSON.stringify(tables) ?? "null")
        const expected = Either.isRight(Schema.decodeUnknownEither(Tables)(value))
        if (expected) accepted++
        expect(isTables(value)).toBe(expected)
      }),
      { numRuns: 3000 }
    )
    expect(accepted).toBeGreaterThan(100)
    expect(isTables([{ table: "x".repeat(257), rows: [] }])).toBe(false)
  })
})

import { SqlError } from "@effect/sql"
import { describe, expect, it } from "vitest"
import { isInfrastructure } from "../src/Execution.ts"

const failedWith = (code: string | undefined) => new SqlError.SqlError({ cause: { code }, message: "" })

describe("I4: what an SQL error is about", () => {
  it.each(["08006", "40001", "40P01", "53300", "57P01", "58030", "XX000", undefined, "ECONNRESET"])(
    "%s: the database",
    (code) => {
      expect(isInfrastructure(failedWith(code))).toBe(true)
    }
  )

  it.each(["23505", "22P02", "42501", "P0001", "25P02", "57014"])(
    "%s: the record, so that the others go on",
    (code) => {
      expect(isInfrastructure(failedWith(code))).toBe(false)
    }
  )
})

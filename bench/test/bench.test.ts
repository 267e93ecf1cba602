import { Effect } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { benchmarks } from "../src/all.ts"
import { closeStage } from "../src/browser/stage.ts"
import { tinyScale } from "../src/measure.ts"

afterAll(closeStage)

describe("benchmarks work at tiny sizes, and check what they measured", () => {
  it.each(benchmarks.map(([name, run]) => ({ name, run })))(
    "$name",
    async ({ name, run }) => {
      const results = await Effect.runPromise(run(tinyScale))
      expect(results.length).toBeGreaterThan(0)
      for (const result of results) expect(result.name).toMatch(new RegExp(`^${name}`))
      for (const result of results) expect(result.ratio).toBeGreaterThan(0)
    },
    120_000
  )
})

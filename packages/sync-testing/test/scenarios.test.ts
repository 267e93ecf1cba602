/** The scenarios themselves: everything in them happens, and what they claim holds on a real authority. */
import { Effect } from "effect"
import { describe, it } from "vitest"
import bank from "../src/scenarios/bank.ts"
import bookings from "../src/scenarios/bookings.ts"
import { stageOf } from "./harness.ts"
import { devicesOf, drive, expectLife } from "./scenarios.ts"

describe.each([bank, bookings])("the scenario $name", (scenario) => {
  const stage = stageOf("pglite", scenario.app, devicesOf(scenario, 5), { client: { purityCheck: true } })

  it("I1, I2, I8: converges, keeps its invariants, and has every action, refusal and verdict in it", () =>
    stage().run(
      Effect.gen(function* () {
        const seen = yield* drive(scenario, stage(), { seed: 1, steps: 500 })
        if (process.env.SEEN) console.log(JSON.stringify(seen, null, 1))
        expectLife(scenario, seen)
      })
    ))
})

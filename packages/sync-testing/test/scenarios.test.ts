/** The scenarios themselves: everything in them happens, and what they claim holds on a real authority. */
import { Effect } from "effect"
import { describe, it } from "vitest"
import bank from "../src/scenarios/bank.ts"
import bookings from "../src/scenarios/bookings.ts"
import { stageOf } from "./harness.ts"
import { devicesOf, drive, expectLife } from "./scenarios.ts"

const cases = [
  { scenario: bank, name: bank.name, verdicts: ["applied", "changed", "failed", "denied"] },
  {
    scenario: bookings,
    name: bookings.name,
    verdicts: ["applied", "changed", "failed", "denied", "constraint"]
  }
]

describe.each(cases)("the scenario $name", ({ scenario, verdicts }) => {
  const stage = stageOf("pglite", scenario.app, devicesOf(scenario, 5), { client: { purityCheck: true } })

  it("I1, I8: converges, keeps its invariants, and has every action, refusal and verdict in it", () =>
    stage().run(
      Effect.gen(function* () {
        expectLife(scenario, yield* drive(scenario, stage(), { seed: 1, steps: 500 }), verdicts)
      })
    ))
})

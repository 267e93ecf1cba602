/** The app under many hands: everything in its scenario happens, and what it claims holds on a real authority. */
import { Effect } from "effect"
import { describe, it } from "vitest"
import { stageOf } from "../../../packages/sync-testing/test/harness.ts"
import { devicesOf, drive, expectLife } from "../../../packages/sync-testing/test/scenarios.ts"
import scenario from "../scenario.ts"

describe("the scenario of the todo app", () => {
  const stage = stageOf("pglite", scenario.app, devicesOf(scenario, 5), { client: { purityCheck: true } })

  it("I1, I8: converges, keeps its invariants, and has every action, refusal and verdict in it", () =>
    stage().run(
      Effect.gen(function* () {
        const seen = yield* drive(scenario, stage(), { seed: 1, steps: 500 })
        // What others may not do, the app says itself: nothing is left for security to deny.
        expectLife(scenario, seen, ["applied", "changed", "failed"])
      })
    ))
})

import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Arena, canaries, faultsOf, openArena, plan, type Scenario, simulate } from "../src/index.ts"
import bank from "../src/scenarios/bank.ts"
import bookings from "../src/scenarios/bookings.ts"

const planned = (scenario: Scenario, seed: number) =>
  plan(scenario, { seed, clients: 4, actions: 40, faults: faultsOf("all") })

const arenaOf = (scenario: Scenario): (() => Arena) => {
  let arena: Arena
  beforeAll(async () => {
    arena = await openArena({ scenario, db: "pglite" })
  })
  afterAll(() => arena?.close())
  return () => arena
}

describe("planted bugs", () => {
  const [bankArena, bookingsArena] = [arenaOf(bank), arenaOf(bookings)]

  it.each(canaries.map((canary) => [canary.name, canary] as const))(
    "%s is found",
    async (_, canary) => {
      const [scenario, arena] =
        canary.scenario === "bookings" ? [bookings, bookingsArena()] : [bank, bankArena()]
      for (let seed = 1; seed <= canary.seedsMax; seed++) {
        const { verdict } = await arena.run(planned(scenario, seed), { canary })
        if (verdict === "fail") return
      }
      expect.fail(`${canary.about} Not found in ${canary.seedsMax} seeds.`)
    },
    300_000
  )
})

it("simulate takes a scenario, or an app with a workload", async () => {
  const { app, name: _, ...workload } = bank
  const report = await simulate({ app, workload, clients: 2, actions: 6, seed: 3, faults: ["latency"] })
  expect(report).toMatchObject({ verdict: "pass", seed: 3, clients: 2 })
  await expect(simulate({})).rejects.toThrow("needs a scenario")
  await expect(simulate({ scenario: bank, canary: "unheard-of" })).rejects.toThrow("skip-undo")
}, 120_000)

import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  type Arena,
  canaries,
  faultNames,
  faultsOf,
  openArena,
  plan,
  type Report,
  type Scenario,
  simulate
} from "../src/index.ts"
import bank from "../src/scenarios/bank.ts"
import bookings from "../src/scenarios/bookings.ts"
import { simulationTests } from "../src/vitest.ts"

const seedsMax = Number(process.env.SIM_SEEDS ?? 12)

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

describe.each([bank, bookings].map((scenario) => [scenario.name, scenario] as const))("%s", (_, scenario) => {
  const { arena, reports } = simulationTests(scenario, { seeds: seedsMax, determinism: false })

  it("I1, I2, I3, I4, I5, I6, I7, I8, I9 were put to the test, with all faults", () => {
    expect(reports).toHaveLength(seedsMax)
    // A run that never saw what an invariant is about has shown nothing about it.
    // Nobody is hidden a row in the bank.
    const hiding = scenario === bank ? [] : (["I6"] as const)
    for (const name of ["I1", "I2", "I3", "I4", "I5", "I7", "I8", "I9", ...hiding] as const)
      expect(
        reports.some(({ checks }) => checks[name] === "pass"),
        name
      ).toBe(true)
    const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
    expect(sum(({ lateArrivals }) => lateArrivals)).toBeGreaterThan(0)
    expect(sum(({ rejected }) => rejected)).toBeGreaterThan(0)
    expect(sum(({ restarts }) => restarts)).toBeGreaterThan(0)
    const happened = new Set(reports.flatMap(({ faults }) => Object.keys(faults)))
    expect(faultNames.filter((name) => !happened.has(name) && name !== "window")).toEqual([])
  })

  it("I8: the same script gives the same trace", async () => {
    for (const seed of [2, 5]) {
      const script = planned(scenario, seed)
      const first = await (await arena()).run(script)
      const second = await (await arena()).run(JSON.parse(JSON.stringify(script)) as typeof script)
      expect(second.trace).toEqual(first.trace)
      expect(second.hash).toBe(first.hash)
    }
  }, 120_000)
})

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

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

describe("clients that share a database", () => {
  const arena = arenaOf(bank)

  it("crash at messages of their own, never at the one that ends their turn", async () => {
    const calm = plan(bank, { seed: 1, clients: 25, actions: 0, faults: faultsOf("none") })
    const report = await arena().run({
      ...calm,
      steps: [
        { at: 10_000, kind: "sync", client: 0 },
        { at: 20_000, kind: "client-crash", client: 0, after: 1, downMs: 1000 },
        // The first and the last share one.
        { at: 30_000, kind: "sync", client: 24 },
        { at: 40_000, kind: "sync", client: 0 }
      ]
    })
    expect(report.failures).toEqual([])
    const told = report.trace.flatMap(({ at, kind, lane }) =>
      at >= 20_000 && at < 45_000 && (kind === "applied" || kind === "crashed") ? [`${lane} ${kind}`] : []
    )
    expect(told).toEqual(["c24 applied", "c0 crashed", "c0 applied"])
  }, 120_000)
})

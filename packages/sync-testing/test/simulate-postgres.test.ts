/** The simulator with its servers on a real Postgres. What it finds is what it finds on PGlite; here it is that it runs. */
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { type Arena, canaries, faultsOf, openArena, plan, type Report } from "../src/index.ts"
import bank from "../src/scenarios/bank.ts"
import bookings from "../src/scenarios/bookings.ts"

/** Seeds with crashes of servers, the first with several servers. */
const seeds = [5, 6]
const repeated = 5

describe.each([
  { scenario: bank, planted: ["server-skips-undo", "replay-as-owner"] },
  { scenario: bookings, planted: ["leak"] }
])("$scenario.name with its servers on Postgres", ({ planted, scenario }) => {
  const planned = (seed: number) => plan(scenario, { seed, clients: 3, actions: 16, faults: faultsOf("all") })
  let arena: Arena
  const reports = new Map<number, Report>()
  beforeAll(async () => {
    arena = await openArena({ scenario, db: { postgres: inject("postgresUrl") } })
  })
  afterAll(() => arena?.close())

  it("I1, I2, I3, I4, I5, I6, I7, I8, I9 hold with all faults", async () => {
    for (const seed of seeds) {
      const report = await arena.run(planned(seed))
      expect(report.failures, `seed ${seed}`).toEqual([])
      expect(report.faults["server-crash"], `seed ${seed}`).toBeGreaterThan(0)
      reports.set(seed, report)
    }
    const crashes = [...reports.values()].flatMap(({ trace }) =>
      trace.filter((event) => event.kind === "crashed" && event.lane.startsWith("s"))
    )
    expect(crashes.length).toBeGreaterThan(0)
    expect([...reports.values()].some(({ lateArrivals }) => lateArrivals > 0)).toBe(true)
  })

  it("I8: the same script gives the same trace", async () => {
    const again = await arena.run(planned(repeated))
    expect(again.trace).toEqual(reports.get(repeated)!.trace)
    expect(again.hash).toBe(reports.get(repeated)!.hash)
  })

  it.each(planted)("the planted bug %s is found", async (name) => {
    const canary = canaries.find((one) => one.name === name)!
    expect((await arena.run(planned(repeated), { canary })).verdict).toBe("fail")
  })
})

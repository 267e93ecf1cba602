/** The simulator with its servers on a real Postgres. */
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { type Arena, canaries, faultNames, faultsOf, openArena, plan, type Report } from "../src/index.ts"
import bank from "../src/scenarios/bank.ts"
import bookings from "../src/scenarios/bookings.ts"

/** A seed in which a server crashes, and records arrive late. */
const repeated = 2

describe.each([
  { scenario: bank, seeds: [6, repeated], planted: ["server-skips-undo", "replay-as-owner"] },
  { scenario: bookings, seeds: [repeated], planted: ["leak"] }
])("$scenario.name with its servers on Postgres", ({ planted, scenario, seeds }) => {
  const planned = (seed: number, faults = faultsOf("all")) =>
    plan(scenario, { seed, clients: 3, actions: 16, faults })
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
      reports.set(seed, report)
    }
    const crashes = reports
      .get(repeated)!
      .trace.filter((event) => event.kind === "crashed" && event.lane.startsWith("s"))
    expect(crashes.length).toBeGreaterThan(0)
    expect(reports.get(repeated)!.lateArrivals).toBeGreaterThan(0)
  })

  if (scenario === bank)
    it("I8: the same script gives the same trace", async () => {
      const again = await arena.run(planned(repeated))
      expect(again.trace).toEqual(reports.get(repeated)!.trace)
      expect(again.hash).toBe(reports.get(repeated)!.hash)
    })

  if (scenario === bookings)
    it("I8: without crashes of servers the trace is that of PGlite", async () => {
      // They count messages, which are other ones on PGlite.
      const script = planned(repeated, new Set(faultNames.filter((fault) => fault !== "server-crash")))
      const onPglite = await openArena({ scenario, db: "pglite" })
      try {
        expect((await arena.run(script)).trace).toEqual((await onPglite.run(script)).trace)
      } finally {
        await onPglite.close()
      }
    })

  it.each(planted)("the planted bug %s is found", async (name) => {
    const canary = canaries.find((one) => one.name === name)!
    for (const seed of [repeated, 1, 3, 7])
      if ((await arena.run(planned(seed), { canary })).verdict === "fail") return
    expect.fail(`${canary.about} Not found.`)
  })
})

import { describe, expect, it } from "vitest"
import { faultNames, faultsOf, plan, type Report, type Scenario } from "../src/index.ts"
import { simulationTests } from "../src/vitest.ts"

/** Small runs, of which there can be many. */
export const size = { clients: 3, actions: 18 }
const seedsMax = Number(process.env.SIM_SEEDS ?? 150)

/** The seeds of a built-in scenario; `unknown`: what its data can show nothing about. */
export const simulated = (scenario: Scenario, unknown: ReadonlyArray<keyof Report["checks"]> = []) =>
  describe(scenario.name, () => {
    const { arena, reports } = simulationTests(scenario, { ...size, seeds: seedsMax, determinism: false })

    it("I1, I2, I3, I4, I5, I6, I7, I8, I9 were put to the test, with all faults", () => {
      expect(reports).toHaveLength(seedsMax)
      // A run that never saw what an invariant is about has shown nothing about it.
      for (const name of ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9"] as const)
        expect(
          reports.some(({ checks }) => checks[name] === "pass"),
          name
        ).toBe(!unknown.includes(name))
      const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
      expect(sum(({ lateArrivals }) => lateArrivals)).toBeGreaterThan(0)
      expect(sum(({ rejected }) => rejected)).toBeGreaterThan(0)
      expect(sum(({ restarts }) => restarts)).toBeGreaterThan(0)
      const paths = new Set(
        reports.flatMap(({ trace }) => trace.flatMap((e) => (e.kind === "applied" ? e.path : [])))
      )
      for (const path of ["chunk", "disjoint", "merge", "nothing", "pending", "rows"] as const)
        expect(paths, path).toContain(path)
      // Requests leave names out in half of the runs, and users' audiences change where not everybody sees all.
      const refused = new Set(
        reports.flatMap(({ trace }) => trace.flatMap((e) => (e.kind === "failed" ? [e.error] : [])))
      )
      expect(refused.has("AudiencesChanged")).toBe(!unknown.includes("I6"))
      const happened = new Set(reports.flatMap(({ faults }) => Object.keys(faults)))
      expect(faultNames.filter((name) => !happened.has(name) && name !== "window")).toEqual([])
    })

    it("I8: the same script gives the same trace", async () => {
      for (const seed of [2, 5]) {
        const script = plan(scenario, { seed, clients: 4, actions: 40, faults: faultsOf("all") })
        const first = await (await arena()).run(script)
        const second = await (await arena()).run(JSON.parse(JSON.stringify(script)) as typeof script)
        expect(second.trace).toEqual(first.trace)
        expect(second.hash).toBe(first.hash)
      }
    }, 120_000)
  })

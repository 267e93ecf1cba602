/** Declares tests of a scenario for vitest. */
import { existsSync } from "node:fs"
import { NodeContext } from "@effect/platform-node"
import { Effect } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { checkDeterminism, type DeterminismOptions } from "./determinism/checkDeterminism.ts"
import { type FaultName, faultsOf } from "./Faults.ts"
import { explain } from "./failures/explain.ts"
import { failuresOf, scriptOf } from "./failures/words.ts"
import { plan } from "./plan.ts"
import type { Report } from "./Report.ts"
import { loadRegressions } from "./regressions.ts"
import { type Arena, openArena } from "./run/Arena.ts"
import type { Scenario } from "./Scenario.ts"
import type { Simulated } from "./simulate.ts"
import { difference } from "./Trace.ts"

export interface SimulationTestsOptions {
  /** How many seeds from 1 on, or which; 10 unless given. */
  readonly seeds?: number | ReadonlyArray<number>
  /** Devices; 4 unless given. */
  readonly clients?: number
  /** Operations of each seed; 40 unless given. */
  readonly actions?: number
  /** All unless given; each seed draws which of them happen, and how often. */
  readonly faults?: "all" | "none" | Iterable<FaultName>
  /**
   * Folder of failures: those that are there are run again, each as a test, and what fails is shrunk and stored there.
   * Without one nothing is stored.
   */
  readonly regressions?: string
  /** Folder for timelines of what fails: pages for a browser. Without one none is written. */
  readonly timelines?: string
  /** How the actions are checked with `checkDeterminism`, or `false` for not at all. */
  readonly determinism?: false | Omit<DeterminismOptions, keyof Simulated>
  /** For how long a failure is shrunk, in milliseconds: 60,000 unless given, 0 for not at all. */
  readonly shrinkMsMax?: number
  /** When a test has taken too long, shrinking not counted, in milliseconds: 120,000 unless given. */
  readonly timeoutMs?: number
}

export interface SimulationTests {
  /** Of the seeds that have run, in their order. For tests that are declared after these. */
  readonly reports: ReadonlyArray<Report>
  /** The databases that the seeds share, for one run at a time. They are closed when the surrounding suite ends. */
  readonly arena: () => Promise<Arena>
}

/**
 * Declares a suite: a test for each seed, one for each failure that is kept, one that a seed does the same again, and one
 * that no action depends on anything but its record. A test that fails says what was violated, when and how, with the smallest script that still fails; a seed in
 * which no client executed an action is skipped, since it shows nothing.
 *
 * Call it where `describe` may be called. What is wrong with the folder of failures fails the suite.
 *
 * @example
 * simulationTests(shop, { seeds: 20, regressions: "test/regressions" })
 */
export const simulationTests = (
  scenario: Scenario,
  options: SimulationTestsOptions = {}
): SimulationTests => {
  const { determinism = {}, regressions, seeds = 10, shrinkMsMax = 60_000, timeoutMs = 120_000 } = options
  const reports: Array<Report> = []
  let opened: Promise<Arena> | undefined
  const arena = () => {
    opened ??= openArena({ scenario, db: "pglite" })
    return opened
  }
  afterAll(async () => (await opened)?.close())

  describe(`simulation of ${scenario.name}`, async () => {
    const kept =
      regressions === undefined || !existsSync(regressions)
        ? []
        : await Effect.runPromise(loadRegressions(regressions).pipe(Effect.provide(NodeContext.layer)))

    for (const { found, path, script } of kept.filter(({ script }) => script.scenario === scenario.name)) {
      it(`stays repaired: ${found}`, { timeout: timeoutMs }, async () => {
        const { failures, verdict } = await (await arena()).run(script)
        if (verdict === "fail")
          expect.fail(`${path} fails again.\n${scriptOf(script)}\n${failuresOf(script.seed, failures)}`)
      })
    }

    const numbers = typeof seeds === "number" ? Array.from({ length: seeds }, (_, i) => i + 1) : seeds
    for (const seed of numbers) {
      it(`seed ${seed}`, { timeout: timeoutMs + shrinkMsMax }, async ({ skip }) => {
        const script = plan(scenario, {
          seed,
          clients: options.clients ?? 4,
          actions: options.actions ?? 40,
          faults: faultsOf(options.faults)
        })
        const report = await (await arena()).run(script)
        reports.push(report)
        if (report.verdict === "unknown") skip("no client executed an action")
        if (report.verdict === "fail")
          expect.fail(await explain({ arena: await arena() }, report, { ...options, shrinkMsMax }))
      })
    }

    if (numbers.length > 0) {
      it("one seed gives one trace", { timeout: timeoutMs }, async ({ skip }) => {
        const first = reports.find(({ verdict }) => verdict !== "unknown")
        if (first === undefined) return skip("no client executed an action")
        const again = await (await arena()).run(first.script)
        const different = difference(first.trace, again.trace)
        if (different !== null)
          expect.fail(
            `Something besides the seed decides: seed ${first.seed} did something else when it ran again. First ${different.was}, then ${different.is}.`
          )
      })
    }

    if (determinism !== false) {
      it("every action depends on its record and the rows alone", { timeout: timeoutMs }, async ({
        skip
      }) => {
        const report = await checkDeterminism({ ...determinism, scenario })
        if (report.verdict === "unknown") skip("no action was executed")
        if (report.verdict === "fail") expect.fail(report.findings.map(({ message }) => message).join("\n\n"))
      })
    }
  })
  return { reports, arena }
}

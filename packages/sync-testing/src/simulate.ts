/** Runs a simulation: what applications call in their tests. */
import type { SyncApp } from "@synchrotron/sync-core"
import { canaries } from "./canaries.ts"
import { type FaultName, faultsOf } from "./Faults.ts"
import { plan } from "./plan.ts"
import type { Report } from "./Report.ts"
import { type Database, openArena } from "./run/Arena.ts"
import { defineScenario, type Scenario } from "./Scenario.ts"

/** What users do, and with what. */
export interface Simulated {
  /** What to simulate; or `app` and `workload` instead. */
  readonly scenario?: Scenario
  readonly app?: SyncApp.SyncApp
  /** What users do with `app`: a scenario without its app. */
  readonly workload?: Omit<Scenario, "name" | "app">
}

export interface SimulateOptions extends Simulated {
  /** Devices; 4 unless given. They are dealt to the users in turn. */
  readonly clients?: number
  /** Operations in all; 40 unless given. */
  readonly actions?: number
  /** Decides everything; 1 unless given. */
  readonly seed?: number
  /** All unless given; each seed draws which of them happen, and how often. */
  readonly faults?: "all" | "none" | Iterable<FaultName>
  /** Name of a planted bug. */
  readonly canary?: string
  /**
   * Where the authority runs: `pglite` unless given, or the connection string of a Postgres (15 or later) on which this
   * user may create databases. A superuser's rights are given up.
   */
  readonly db?: Database
}

/**
 * Simulates clients and an authority with every fault, and judges the run.
 *
 * Rejects only when the simulation itself cannot run (an unknown canary, an app that cannot be installed); what it finds
 * is in the report.
 */
export const simulate = async (options: SimulateOptions): Promise<Report> => {
  const scenario = scenarioOf(options)
  const canary =
    options.canary === undefined ? undefined : canaries.find(({ name }) => name === options.canary)
  if (options.canary !== undefined && canary === undefined)
    throw new Error(
      `There is no planted bug ${options.canary}. There are: ${canaries.map(({ name }) => name).join(", ")}.`
    )
  const arena = await openArena({ scenario, db: options.db ?? "pglite" })
  try {
    const script = plan(scenario, {
      seed: options.seed ?? 1,
      clients: options.clients ?? 4,
      actions: options.actions ?? 40,
      faults: faultsOf(options.faults)
    })
    return await arena.run(script, canary === undefined ? {} : { canary })
  } finally {
    await arena.close()
  }
}

export const scenarioOf = ({ app, scenario, workload }: Simulated): Scenario => {
  if (scenario !== undefined) return scenario
  if (app === undefined || workload === undefined)
    throw new Error("A simulation needs a scenario, or an app and a workload.")
  return defineScenario({ ...workload, app })
}

/** A batch of seeds, run one after the other on databases that they share. */
import type { Canary } from "../canaries.ts"
import type { FaultName } from "../Faults.ts"
import { plan } from "../plan.ts"
import type { Arena, Database } from "../run/Arena.ts"
import type { Scenario } from "../Scenario.ts"
import type { Script } from "../Script.ts"
import { type Outcome, outcomeOf } from "./totals.ts"

/** Survives JSON: child processes are given it. */
export interface Batch {
  /** Name or path. */
  readonly scenario: string
  readonly db: Database
  readonly canary: string | null
  readonly faults: ReadonlyArray<FaultName>
  readonly clients: number
  readonly actions: number
  /** The first seed. */
  readonly seed: number
  /** How many seeds, or null for no end. */
  readonly seeds: number | null
}

/** Which of the seeds: every `jobs`-th from the `job`-th. */
export interface Share {
  readonly job: number
  readonly jobs: number
}

export interface Watch {
  /** The seed that runs is finished, and no other begun. */
  readonly signal: AbortSignal
  readonly onOutcome: (outcome: Outcome) => void
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
}

export const scriptFor = (scenario: Scenario, batch: Batch, seed: number): Script =>
  plan(scenario, { seed, clients: batch.clients, actions: batch.actions, faults: batch.faults })

/** Runs a script, with the canary in it. */
export const runScript = (
  arena: Arena,
  script: Script,
  canary: Canary | undefined,
  onProgress?: Watch["onProgress"]
) => arena.run(script, { ...(canary && { canary }), ...(onProgress && { onProgress }) })

/** Rejects when a seed could not be run at all, which says nothing about what is tested. */
export const runShare = async (
  { arena, scenario, canary }: { arena: Arena; scenario: Scenario; canary: Canary | undefined },
  batch: Batch,
  { job, jobs }: Share,
  { signal, onOutcome, onProgress }: Watch
): Promise<void> => {
  for (let index = job; (batch.seeds === null || index < batch.seeds) && !signal.aborted; index += jobs) {
    const seed = batch.seed + index
    try {
      const report = await runScript(arena, scriptFor(scenario, batch, seed), canary, onProgress)
      onOutcome(outcomeOf(report))
    } catch (cause) {
      throw new Error(`Seed ${seed} could not be run`, { cause })
    }
  }
}

/** Runs a failure again, and makes it small. */
import type { Canary } from "../canaries.ts"
import type { Report } from "../Report.ts"
import type { Arena } from "../run/Arena.ts"
import type { Script } from "../Script.ts"
import { shrink } from "../shrink.ts"

export interface Found {
  /** The smallest script that fails so, and its run. */
  readonly script: Script
  readonly report: Report
  /** Whether the second run of the script failed as the first did, and whether it was the same run. */
  readonly again: "same" | "differently" | "not"
  readonly tried: number
}

/**
 * @param failure the check that failed, and the hash of the run in which it did
 * @param budgetMs for shrinking; 0 for none
 */
export const investigate = async (
  { arena, canary }: { readonly arena: Arena; readonly canary: Canary | undefined },
  script: Script,
  failure: { readonly check: string; readonly hash: string },
  options: {
    readonly budgetMs: number
    readonly onProgress?: (progress: { readonly tried: number; readonly steps: number }) => void
  }
): Promise<Found> => {
  const run = (candidate: Script) => arena.run(candidate, { canary })
  const failsSo = (report: Report) => report.failures.some(({ check }) => check === failure.check)

  const report = await run(script)
  if (!failsSo(report)) return { script, report, again: "not", tried: 0 }
  let smallest = report
  let tried = 0
  const fails = async (candidate: Script) => {
    // What cannot even be run does not fail in the same way.
    const ran = await run(candidate).catch(() => undefined)
    if (ran === undefined || !failsSo(ran)) return false
    smallest = ran
    return true
  }
  const small = await shrink(script, fails, {
    ...options,
    onProgress: (progress) => {
      tried = progress.tried
      options.onProgress?.(progress)
    }
  })
  return {
    script: small,
    report: smallest,
    again: report.hash === failure.hash ? "same" : "differently",
    tried
  }
}

/** Everything about a run that failed, for whoever reads it in a test's output. */
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { NodeContext } from "@effect/platform-node"
import { Effect } from "effect"
import type { Canary } from "../canaries.ts"
import type { Report } from "../Report.ts"
import { saveRegression } from "../regressions.ts"
import type { Arena } from "../run/Arena.ts"
import { timelineHtml } from "../timeline/Timeline.ts"
import { investigate } from "./investigate.ts"
import { failureOf, failuresOf, foundOf } from "./words.ts"

export interface ExplainOptions {
  /** For how long the script is shrunk, in milliseconds; 0 leaves it as it is. */
  readonly shrinkMsMax: number
  /** Folder for the script as JSON. */
  readonly regressions?: string | undefined
  /** Folder for a page of the run. */
  readonly timelines?: string | undefined
}

/** Shrinks a failing run, keeps it, and says what failed and how to see it again. */
export const explain = async (
  { arena, canary }: { readonly arena: Arena; readonly canary?: Canary | undefined },
  report: Report,
  { regressions, shrinkMsMax, timelines }: ExplainOptions
): Promise<string> => {
  const { seed } = report
  const { check, message } = failureOf(report)
  const found = await investigate(
    { arena, canary },
    report.script,
    { check, hash: report.hash },
    { budgetMs: shrinkMsMax }
  )
  const lines = [failuresOf(seed, report.failures), foundOf(seed, check, found, shrinkMsMax === 0)]
  const { scenario } = found.script
  if (regressions !== undefined) {
    const file = await Effect.runPromise(
      saveRegression(regressions, {
        scenario,
        found: message.split("\n", 1)[0] || check,
        check,
        script: found.script
      }).pipe(Effect.provide(NodeContext.layer))
    )
    lines.push(`It is kept in ${file}, and runs with the tests from now on.`)
  }
  if (timelines !== undefined) {
    await mkdir(timelines, { recursive: true })
    const page = join(timelines, `${scenario}-${seed}.html`.replace(/[^\w.-]+/g, "_"))
    await writeFile(page, timelineHtml(found.report))
    lines.push(`Its timeline is in ${page}.`)
  }
  return lines.join("\n")
}

import { writeFileSync, writeSync } from "node:fs"
import type { Reporter, TestModule } from "vitest/node"

/**
 * Ends the run's output with one line that people and scripts can trust: `N passed, N failed`, and
 * `, N skipped` if any were.
 *
 * Failed counts everything that went wrong: tests, files and suites that failed outside a test, and errors
 * that nobody caught. `npm test` sets `SUMMARY_FILE` and prints the line itself, after all else; a plain
 * `vitest run` prints it on exit, after vitest's own summary and the teardown.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandledErrors: ReadonlyArray<unknown>): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        // A pending test never got its result: the worker died or the run was cut short.
        counts[state === "pending" ? "failed" : state] += 1
      }
      counts.failed += module.errors().length
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
    }
    const file = process.env.SUMMARY_FILE
    if (file !== undefined) {
      writeFileSync(file, JSON.stringify(counts))
    } else {
      const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ""
      process.once("exit", () => writeSync(1, `${counts.passed} passed, ${counts.failed} failed${skipped}\n`))
    }
  }
}

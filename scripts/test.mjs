/**
 * `npm test [-- <vitest arguments>]`: installs what is missing (dependencies, browsers), then checks the
 * style, the types and every test. Everything runs even when something before it failed; the exit code is 0
 * only when all of it passed, and the last line is `N passed, N failed`.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { chromium, ensureBrowser, firefox } from "./lib/browsers.mjs"
import { fail, install, root } from "./lib/install.mjs"
import { findPostgres } from "./lib/postgres.mjs"
import { runNode } from "./lib/run.mjs"

const program = (/** @type {string} */ path) => join(root, "node_modules", path)
/** @type {string[]} What failed besides the tests, in words. */
const problems = []

install()
if (!process.env.TEST_DATABASE_URL) {
  try {
    findPostgres()
  } catch (error) {
    fail(`${error instanceof Error ? error.message : error}\n0 passed, 1 failed`)
  }
}
for (const browser of [chromium, firefox]) {
  try {
    process.env[browser.variable] = ensureBrowser(browser)
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
}

console.log("\n> style: biome check")
if ((await runNode([program("@biomejs/biome/bin/biome"), "check", "--error-on-warnings"])) !== 0) {
  problems.push("The style check failed: `npm run format` repairs what it can, the rest is above.")
}
console.log("\n> types: tsc -b")
if ((await runNode([program("typescript/bin/tsc"), "-b", "tsconfig.json", "--pretty"])) !== 0) {
  problems.push("The type check failed: the errors are above the tests; `npm run typecheck` repeats it.")
}
console.log("\n> tests: vitest run")
const counts = await runTests(process.argv.slice(2))

for (const problem of problems) console.log(`\nFAILED  ${problem}`)
const failed = counts.failed + problems.length
process.exitCode = failed > 0 ? 1 : 0
console.log(
  `\n${counts.passed} passed, ${failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ""}`
)

/**
 * Runs vitest and returns the counts of its summary reporter. A run that fails without a failure in the
 * summary, or that ends without one, is a problem of its own.
 */
async function runTests(/** @type {string[]} */ args) {
  const folder = mkdtempSync(join(tmpdir(), "synchrotron-test-"))
  const summary = join(folder, "summary.json")
  // Reporters on the command line replace the configured ones; the summary stays.
  const reporter = args.some((arg) => arg.startsWith("--reporter"))
    ? ["--reporter=./test/summary-reporter.ts"]
    : []
  const code = await runNode([program("vitest/vitest.mjs"), "run", ...args, ...reporter], {
    env: { SUMMARY_FILE: summary }
  })
  const counts = existsSync(summary)
    ? JSON.parse(readFileSync(summary, "utf8"))
    : { passed: 0, failed: 0, skipped: 0 }
  if (code !== 0 && counts.failed === 0) problems.push(`vitest ended with code ${code}: the reason is above.`)
  else if (!existsSync(summary)) problems.push("vitest ended without a summary: no test ran.")
  rmSync(folder, { recursive: true, force: true })
  return counts
}

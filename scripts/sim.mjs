/**
 * `npm run -s sim -- [options]`: installs what is missing, then runs the simulator; stdout is its alone.
 * With `--db postgres` and no database in the environment, a temporary Postgres goes with it.
 */
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { fail, install, root } from "./lib/install.mjs"
import { startPostgres } from "./lib/postgres.mjs"
import { runNode } from "./lib/run.mjs"

install()
const args = process.argv.slice(2)
const wantsPostgres =
  args.includes("--db=postgres") ||
  args.some((arg, index) => arg === "--db" && args[index + 1] === "postgres")
if (wantsPostgres && !process.env.TEST_DATABASE_URL && !process.env.DATABASE_URL) {
  try {
    process.env.TEST_DATABASE_URL = (await startPostgres()).url
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error))
  }
}
process.env.SYNCHROTRON_SIM_COMMAND = "npm run -s sim --"
const imports = [
  join(root, "node_modules", "tsx", "dist", "loader.mjs"),
  // A scenario may be anywhere, and still import the workspace's packages and what they depend on.
  join(root, "scripts", "lib", "workspace-packages.mjs")
]
process.exitCode = await runNode(
  [
    ...imports.flatMap((file) => ["--import", pathToFileURL(file).href]),
    join(root, "packages", "sync-testing", "src", "bin.ts"),
    ...args
  ],
  // npm changes to the root: paths are meant from where the command was typed.
  { cwd: process.env.INIT_CWD ?? process.cwd() }
)

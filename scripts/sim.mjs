/** `npm run sim`: installs what is missing, then runs the simulator of many clients and faults. */
import { install } from "./lib/install.mjs"
import { runTypeScript } from "./lib/run.mjs"

install()
await runTypeScript("packages/sync-testing/src/bin.ts", { args: process.argv.slice(2) })

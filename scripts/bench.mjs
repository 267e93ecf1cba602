/** `npm run bench`: installs what is missing, then runs the benchmarks; stdout is theirs alone. */
import { install } from "./lib/install.mjs"
import { runTypeScript } from "./lib/run.mjs"

install()
await runTypeScript("bench/main.ts", { args: process.argv.slice(2) })

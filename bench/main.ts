/** `npm run bench [-- --json] [-- --only name,name]`: see README.md for what each figure means. */
import { Effect } from "effect"
import { benchmarks } from "./src/all.ts"
import { closeStage } from "./src/browser/stage.ts"
import { fullScale, type Measurement } from "./src/measure.ts"

const only = process.argv.includes("--only")
  ? process.argv[process.argv.indexOf("--only") + 1]!.split(",")
  : null
const json = process.argv.includes("--json")

const results: Array<Measurement> = []
for (const [name, run] of benchmarks) {
  if (only !== null && !only.includes(name)) continue
  if (!json) process.stdout.write(`${name.padEnd(24)}`)
  for (const result of await Effect.runPromise(run(fullScale))) {
    results.push(result)
    if (!json) console.log(`${result.value} ${result.unit}, floor ${result.baseline}, ratio ${result.ratio}`)
  }
}
if (json) console.log(JSON.stringify(results, null, 2))
await closeStage()
process.exit(0)

/** Failures that were found once do not come back, and are stored so that they can be run again. */

import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeContext } from "@effect/platform-node"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { loadScenario } from "../src/cli/scenarios.ts"
import { plan } from "../src/plan.ts"
import { loadRegression, loadRegressions, type Regression, saveRegression } from "../src/regressions.ts"
import bank from "../src/scenarios/bank.ts"
import { simulationTests } from "../src/vitest.ts"

const run = <A, E>(effect: Effect.Effect<A, E, NodeContext.NodeContext>) =>
  Effect.runPromise(effect.pipe(Effect.provide(NodeContext.layer)))

const folder = fileURLToPath(new URL("../regressions", import.meta.url))
const stored = await run(loadRegressions(folder))

it("every file of the folder is a stored failure", async () => {
  const files = (await readdir(folder)).filter((name) => name !== "README.md")
  expect(files).toHaveLength(stored.length)
})

for (const name of new Set(stored.map(({ scenario }) => scenario)))
  simulationTests(await run(loadScenario(name)), { seeds: 0, regressions: folder, determinism: false })

describe("stored failures", () => {
  let temporary: string
  beforeAll(async () => {
    temporary = await mkdtemp(join(tmpdir(), "synchrotron-regressions-"))
  })
  afterAll(() => rm(temporary, { recursive: true, force: true }))

  const regression: Regression = {
    scenario: "bank",
    found: "Money was made by a lost answer.",
    check: "invariant the sum/of money",
    script: plan(bank, { seed: 7, clients: 3, actions: 20, faults: "all" })
  }

  it("are read as they were written, in the order of their names", async () => {
    const own = join(temporary, "own", "folder")
    const first = await run(saveRegression(own, regression))
    const second = await run(saveRegression(own, { ...regression, check: "I4" }))
    expect([first, second]).toEqual([
      join(own, "bank-7-invariant_the_sum_of_money.json"),
      join(own, "bank-7-I4.json")
    ])
    expect(await run(loadRegressions(own))).toEqual([
      { ...regression, check: "I4", path: second },
      { ...regression, path: first }
    ])
  })

  it("are refused with a sentence when there are none, or they are something else", async () => {
    const failing = (path: string) => run(Effect.flip(loadRegression(path)))
    const absent = await failing(join(temporary, "absent.json"))
    expect(absent._tag).toBe("RegressionInaccessible")
    const malformed = async (text: string) => {
      const path = join(temporary, "malformed.json")
      await writeFile(path, text)
      const error = await failing(path)
      expect(error._tag).toBe("RegressionMalformed")
      return error.message
    }
    expect(await malformed("{")).toMatch(/malformed.json is no stored failure/)
    expect(await malformed(JSON.stringify({ ...regression, script: undefined }))).toMatch(/script/)
    expect(await malformed(JSON.stringify({ ...regression, also: 1 }))).toMatch(/also/)
    expect((await run(Effect.flip(loadRegressions(join(temporary, "absent"))))).message).toMatch(
      /absent is not accessible/
    )
  })
})

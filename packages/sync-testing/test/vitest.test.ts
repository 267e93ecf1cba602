/** What a test of an application says when it fails, and what it leaves behind. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { explain } from "../src/failures/explain.ts"
import { canaries, type Report } from "../src/index.ts"
import { plan } from "../src/plan.ts"
import bank from "../src/scenarios/bank.ts"
import { difference } from "../src/Trace.ts"
import { simulationTests } from "../src/vitest.ts"

const { arena, reports } = simulationTests(bank, {
  seeds: [3],
  clients: 2,
  actions: 6,
  faults: ["latency"],
  determinism: { actions: 5, perturbations: ["again"] }
})

it("a seed that ran can be looked at", () => {
  expect(reports).toEqual([expect.objectContaining({ seed: 3, clients: 2, verdict: "pass" })])
})

it("two traces differ where the first event is another", () => {
  const [{ trace }] = reports as [Report]
  expect(difference(trace, trace)).toBeNull()
  const executed = trace.findIndex(({ kind }) => kind === "executed")
  const other = trace.with(executed, { at: 0, lane: "sim", kind: "healed" })
  expect(difference(trace, other)).toEqual({
    was: JSON.stringify(trace[executed]),
    is: '{"at":0,"lane":"sim","kind":"healed"}'
  })
  expect(difference(trace, trace.slice(0, -1))).toEqual({ was: JSON.stringify(trace.at(-1)), is: "nothing" })
})

describe("a failure in a test", () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "synchrotron-vitest-"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it("is explained, shrunk, kept and drawn", async () => {
    const canary = canaries.find(({ name }) => name === "cursor-too-far")!
    const script = plan(bank, { seed: 1, clients: 3, actions: 12, faults: new Set() })
    const report = await (await arena()).run(script, { canary })
    const text = await explain({ arena: await arena(), canary }, report, {
      shrinkMsMax: 5_000,
      regressions: join(folder, "kept"),
      timelines: join(folder, "pages")
    })
    const { check, message } = report.failures[0]!
    expect(text).toContain(`Seed 1 failed.\n  ${check} after `)
    expect(text).toContain(message)
    expect(text).toMatch(/Seed 1, shrunk to \d+ steps? of \d clients? in \d+ runs?:\n {2}c0 is a device of /)
    const [file] = await readdir(join(folder, "kept"))
    expect(text).toContain(
      `It is kept in ${join(folder, "kept", file!)}, and runs with the tests from now on.`
    )
    const stored = JSON.parse(await readFile(join(folder, "kept", file!), "utf8")) as {
      script: typeof script
    }
    expect(stored).toMatchObject({ scenario: "bank", check, script: { seed: 1 } })
    expect(stored.script.steps.length).toBeLessThan(script.steps.length)
    expect(text).toContain(`Its timeline is in ${join(folder, "pages", "bank-1.html")}.`)
    expect(await readFile(join(folder, "pages", "bank-1.html"), "utf8")).toContain("<html")
  })
})

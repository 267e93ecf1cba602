/** A failing script becomes one of which nothing can be left out. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { plan } from "../src/plan.ts"
import type { Scenario } from "../src/Scenario.ts"
import type { Script, Step } from "../src/Script.ts"
import { shrink } from "../src/shrink.ts"

const scenario = {
  name: "shrinks",
  app: { actions: new Map([["a.do@1", {}]]) },
  users: ["ann", "bob", "cem"],
  next: () => undefined,
  membership: () => undefined,
  external: () => undefined
} as unknown as Scenario

const scriptOf = (seed: number, actions = 40) => plan(scenario, { seed, clients: 4, actions, faults: "all" })

const budgetMs = 60_000

const shrunk = (script: Script, fails: (script: Script) => boolean) =>
  shrink(script, async (candidate) => fails(candidate), { budgetMs })

const randomOf = (step: Step) => ("random" in step ? step.random : null)

/** Whether the steps with these numbers are there, in this order. */
const has = (script: Script, randoms: ReadonlyArray<number>) => {
  const found = script.steps.map(randomOf).filter((random) => random !== null && randoms.includes(random))
  return JSON.stringify(found) === JSON.stringify(randoms)
}

const leavingOneOut = (script: Script) =>
  script.steps.map((_, index) => ({ ...script, steps: script.steps.filter((__, at) => at !== index) }))

describe("shrink", () => {
  it("finds the steps that fail together, of the devices that they need, and calms everything else", async () => {
    const script = scriptOf(2)
    const acts = script.steps.filter((step) => step.kind === "act" && step.client > 0)
    const needed = [acts[3]!, acts[17]!, acts.at(-1)!]
    const small = await shrunk(script, (candidate) =>
      has(
        candidate,
        needed.map((step) => randomOf(step)!)
      )
    )
    expect(small).toEqual({
      scenario: "shrinks",
      seed: 2,
      devices: small.devices.map(({ user }) => ({ user, skewMs: 0, lacks: null })),
      serverSkewsMs: [0],
      network: { latencyMsMax: 0, loss: 0, duplication: 0, lostResponse: 0, slow: 0 },
      tickMs: 1,
      reorderWindowMs: null,
      reorderWindowRecords: null,
      chunkRowsMax: null,
      steps: small.steps
    })
    const devices = new Set(needed.map((step) => "client" in step && step.client))
    expect(small.devices).toHaveLength(devices.size)
    expect(small.steps.map(randomOf)).toEqual(needed.map(randomOf))
    expect(small.steps.map((step) => step.at)).toEqual([0, 0, 0])
  })

  it("keeps what the failure needs of the network, the servers, the clocks and the times", async () => {
    const script: Script = {
      ...scriptOf(3, 10),
      network: { latencyMsMax: 500, loss: 0.1, duplication: 0.1, lostResponse: 0.1, slow: 0.1 },
      serverSkewsMs: [5, -7, 9],
      steps: [
        { at: 40_000, kind: "server-crash", server: 1, after: 120, downMs: 9000 },
        { at: 90_000, kind: "offline", client: 3, forMs: 200_000 },
        { at: 90_500, kind: "clock", client: 2, jumpMs: -777_777 }
      ]
    }
    const small = await shrunk(
      script,
      ({ network, serverSkewsMs, steps }) =>
        network.duplication > 0 &&
        serverSkewsMs.length > 1 &&
        steps.some((step) => step.kind === "server-crash" && step.after >= 50) &&
        steps.some((step) => step.kind === "offline" && step.forMs >= 10_000 && step.at >= 50_000) &&
        steps.some((step) => step.kind === "clock" && step.jumpMs < -60_000)
    )
    expect(small.network).toEqual({ latencyMsMax: 0, loss: 0, duplication: 0.1, lostResponse: 0, slow: 0 })
    expect(small.serverSkewsMs).toEqual([0, 0, 0])
    expect(small.steps).toEqual([
      { at: 0, kind: "server-crash", server: 1, after: 100, downMs: 1 },
      { at: 50_000, kind: "offline", client: 1, forMs: 10_000 },
      { at: 50_000, kind: "clock", client: 0, jumpMs: -777_777 }
    ])
  })

  it("gives a failure of which no step can be left out, also when smaller scripts fail and larger ones do not", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 0, max: 2 }), async (seed, remainder) => {
        const script = scriptOf(seed, 12)
        // Neither does a part of a failing script fail, nor a script with a failing part.
        const fails = (candidate: Script) =>
          candidate === script ||
          (candidate.steps.length > 3 &&
            candidate.steps.reduce(
              (sum, step) => sum + (randomOf(step) ?? step.at),
              candidate.devices.length
            ) %
              3 ===
              remainder)
        const small = await shrunk(script, fails)
        expect(fails(small)).toBe(true)
        expect(leavingOneOut(small).filter(fails)).toEqual([])
      }),
      { numRuns: 30 }
    )
  })

  it("tries nothing twice, and tells how far it is", async () => {
    const tried: Array<string> = []
    const told: Array<{ tried: number; steps: number }> = []
    await shrink(
      scriptOf(4),
      async (candidate) => {
        tried.push(JSON.stringify(candidate))
        return candidate.steps.length >= 5
      },
      { budgetMs, onProgress: (progress) => told.push(progress) }
    )
    expect(new Set(tried).size).toBe(tried.length)
    expect(told.map((progress) => progress.tried)).toEqual(tried.map((_, index) => index + 1))
    expect(told.at(-1)!.steps).toBe(5)
  })

  it("ends with the best so far when its budget or its signal does", async () => {
    const script = scriptOf(5)
    expect(await shrink(script, async () => true, { budgetMs: 0 })).toBe(script)
    const abort = new AbortController()
    let runs = 0
    const fails = async (candidate: Script) => {
      if (++runs === 3) abort.abort()
      return candidate.steps.length > 10
    }
    const small = await shrink(script, fails, { budgetMs, signal: abort.signal })
    expect(runs).toBe(3)
    expect(small.steps.length).toBeLessThan(script.steps.length)
  })
})

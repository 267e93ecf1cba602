/** Scripts are a function of the seed, say only what was allowed, and say everything now and then. */
import { Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type FaultName, faultNames } from "../src/Faults.ts"
import { plan } from "../src/plan.ts"
import type { Scenario } from "../src/Scenario.ts"
import { Script, type Step } from "../src/Script.ts"

const years50Ms = 50 * 365 * 24 * 60 * 60_000

const scenario = {
  name: "plans",
  app: { actions: new Map([["a.do@1", {}]]) },
  users: ["ann", "bob", "cem"],
  next: () => undefined,
  membership: () => undefined,
  external: () => undefined
} as unknown as Scenario

const options = fc.record({
  seed: fc.integer(),
  clients: fc.integer({ min: 1, max: 12 }),
  actions: fc.integer({ min: 0, max: 80 }),
  faults: fc.subarray([...faultNames])
})

const faultsIn = (script: Script): ReadonlySet<FaultName> => {
  const { network } = script
  const kinds = new Set(script.steps.map((step) => step.kind))
  const has: Record<FaultName, boolean> = {
    latency: network.latencyMsMax > 100 || network.slow > 0,
    loss: network.loss > 0,
    duplication: network.duplication > 0,
    "lost-response": network.lostResponse > 0,
    partition: kinds.has("partition"),
    offline: kinds.has("offline"),
    "client-crash": kinds.has("client-crash"),
    "server-crash": kinds.has("server-crash"),
    servers: script.serverSkewsMs.length > 1 || script.serverSkewsMs[0] !== 0,
    clock: kinds.has("clock") || script.devices.some((device) => device.skewMs !== 0),
    membership: kinds.has("membership"),
    external: kinds.has("external"),
    throwing: kinds.has("throw"),
    versions: kinds.has("novelty") || script.devices.some((device) => device.lacks !== null),
    forgery: kinds.has("forgery"),
    compaction: kinds.has("compaction") || script.compaction !== undefined,
    window: script.reorderWindowMs !== null || script.reorderWindowRecords !== null,
    chunks: script.chunkRowsMax !== null,
    live: script.feed !== undefined
  }
  return new Set(faultNames.filter((name) => has[name]))
}

const fifty = Array.from({ length: 50 }, (_, seed) =>
  plan(scenario, { seed, clients: 4, actions: 40, faults: "all" })
)

describe("plan", () => {
  it("gives the same script for the same seed, and another for another", () => {
    fc.assert(
      fc.property(options, (given) => {
        expect(plan(scenario, given)).toEqual(
          plan(scenario, { ...given, faults: [...given.faults].reverse() })
        )
      })
    )
    expect(new Set(fifty.map((script) => JSON.stringify(script))).size).toBe(50)
  })

  it("gives scripts that survive JSON", () => {
    const json = Schema.parseJson(Script)
    fc.assert(
      fc.property(options, (given) => {
        const script = plan(scenario, given)
        expect(Schema.decodeSync(json)(Schema.encodeSync(json)(script))).toEqual(script)
      })
    )
  })

  it("has as many operations as were asked for, in order, of clients and servers that are there", () => {
    fc.assert(
      fc.property(options, (given) => {
        const { devices, serverSkewsMs, steps } = plan(scenario, given)
        const operations = steps.filter(
          ({ kind }) => kind === "act" || kind === "throw" || kind === "novelty"
        )
        expect(operations).toHaveLength(given.actions)
        expect(steps.map((step) => step.at)).toEqual(steps.map((step) => step.at).sort((a, b) => a - b))
        expect(devices).toHaveLength(given.clients)
        for (const step of steps) {
          if ("client" in step) expect(step.client).toBeLessThan(given.clients)
          if ("server" in step) expect(step.server).toBeLessThan(serverSkewsMs.length)
          if ("after" in step) expect(step.after).toBeGreaterThan(0)
        }
      })
    )
  })

  it("has only faults that are allowed", () => {
    fc.assert(
      fc.property(options, (given) => {
        expect(given.faults).toEqual(expect.arrayContaining([...faultsIn(plan(scenario, given))]))
      })
    )
    expect(faultsIn(plan(scenario, { seed: 1, clients: 4, actions: 100, faults: "none" }))).toEqual(new Set())
  })

  it("has every kind of step and every fault over 50 seeds, and runs without each of them", () => {
    const kinds = Script.fields.steps.value.members.map((member) => member.fields.kind.literals[0])
    expect(new Set(fifty.flatMap(({ steps }) => steps.map((step: Step) => step.kind)))).toEqual(
      new Set(kinds)
    )
    for (const fault of faultNames) {
      const having = fifty.filter((script) => faultsIn(script).has(fault)).length
      expect(having, fault).toBeGreaterThan(5)
      expect(having, fault).toBeLessThan(45)
    }
  })

  it("has ties: clocks that tick in steps, and devices of one user", () => {
    expect(new Set(fifty.map((script) => script.tickMs))).toEqual(new Set([1, 10, 100, 1000]))
    expect(new Set(fifty.map((script) => script.serverSkewsMs.length))).toEqual(new Set([1, 2, 3]))
    const three = Array.from({ length: 50 }, (_, seed) =>
      plan(scenario, { seed, clients: 3, actions: 0, faults: "none" })
    )
    expect(new Set(three.map(({ devices }) => new Set(devices.map(({ user }) => user)).size))).toEqual(
      new Set([2, 3])
    )
  })

  it("keeps clocks within 50 years, whichever of the steps are left out", () => {
    fc.assert(
      fc.property(options, (given) => {
        const { devices, steps } = plan(scenario, given)
        devices.forEach((device, client) => {
          const jumps = steps.flatMap((step) =>
            step.kind === "clock" && step.client === client ? [step.jumpMs] : []
          )
          const sum = (sign: number) =>
            [device.skewMs, ...jumps].filter((ms) => ms * sign > 0).reduce((a, b) => a + b, 0)
          expect(sum(1)).toBeLessThanOrEqual(years50Ms)
          expect(sum(-1)).toBeGreaterThanOrEqual(-years50Ms)
        })
      })
    )
  })
})

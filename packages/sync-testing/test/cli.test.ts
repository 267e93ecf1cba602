/** The command `synchrotron-sim`: what it prints, what it leaves behind, and how it ends. */
import { spawn } from "node:child_process"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeContext } from "@effect/platform-node"
import { Console, Effect, Exit } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type InvariantName, invariants, type Verdict } from "../src/check/Checker.ts"
import { Engine } from "../src/cli/engine.ts"
import { exitCodeOf, main } from "../src/cli/main.ts"
import { faultsFrom } from "../src/cli/options.ts"
import * as Progress from "../src/cli/progress.ts"
import * as Totals from "../src/cli/totals.ts"
import { faultNames } from "../src/Faults.ts"
import { scriptOf } from "../src/failures/words.ts"
import { plan } from "../src/plan.ts"
import type { Report } from "../src/Report.ts"
import type { Script } from "../src/Script.ts"
import bank from "../src/scenarios/bank.ts"

const root = fileURLToPath(new URL("../../..", import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "synchrotron-cli-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const checksOf = (verdict: Verdict) =>
  Object.fromEntries(invariants.map((name) => [name, verdict])) as Record<InvariantName, Verdict>

const reportOf = (script: Script, change: Partial<Report> = {}): Report => {
  const actions = script.steps.filter(({ kind }) => kind === "act").length
  return {
    verdict: actions === 0 ? "unknown" : "pass",
    seed: script.seed,
    clients: script.devices.length,
    actions,
    confirmed: actions,
    changed: 1,
    rejected: 2,
    voided: 3,
    lateArrivals: 4,
    replays: 5,
    restarts: 6,
    faults: { loss: 7 },
    checks: { ...checksOf("pass"), I7: "unknown" },
    wallMs: 8,
    failures: [],
    hash: JSON.stringify(script),
    trace: [],
    script,
    ...change
  }
}

/** A world in which I4 fails as soon as somebody acts and syncs, and of the seeds only those that end in 3. */
const losing = (script: Script): Report => {
  const kinds = script.steps.map(({ kind }) => kind)
  if (script.seed % 10 !== 3 || !kinds.includes("act") || !kinds.includes("sync")) return reportOf(script)
  return reportOf(script, {
    verdict: "fail",
    checks: { ...checksOf("pass"), I4: "fail", I7: "unknown" },
    failures: [{ check: "I4", at: 1500, message: "c0#1 is lost." }]
  })
}

/** Runs the command on a made-up world. */
const sim = async (
  args: ReadonlyArray<string>,
  run: (script: Script) => Report = losing,
  stop = new AbortController().signal
) => {
  const stdout: Array<string> = []
  const stderr: Array<string> = []
  let arenas = 0
  const engine: Engine["Type"] = {
    openArena: async () => {
      arenas++
      return { run: async (script) => run(script), close: async () => void arenas-- }
    },
    canaries: [],
    stop
  }
  const console = {
    ...globalThis.console,
    log: (text: string) => stdout.push(text),
    error: (text: string) => stderr.push(text)
  }
  const exit = await Effect.runPromiseExit(
    main(["node", "sim", ...args, "--out", folder]).pipe(
      Effect.provideService(Engine, engine),
      Effect.provide(NodeContext.layer),
      Effect.withConsole({
        ...Effect.runSync(Console.consoleWith(Effect.succeed)),
        log: (...texts) => Effect.sync(() => console.log(texts.join(" "))),
        error: (...texts) => Effect.sync(() => console.error(texts.join(" ")))
      })
    )
  )
  expect(arenas).toBe(0)
  return { code: exitCodeOf(exit), exit, stdout: stdout.join("\n"), stderr: stderr.join("\n") }
}

describe("of one seed", () => {
  it("prints one object with --json, and ends with 0 for a pass", async () => {
    const { code, stdout, stderr } = await sim(["--seed", "5", "--clients", "3", "--actions", "9", "--json"])
    expect(code).toBe(0)
    const { actions, ...rest } = JSON.parse(stdout)
    expect(rest).toEqual({
      verdict: "pass",
      seed: 5,
      clients: 3,
      confirmed: actions,
      changed: 1,
      rejected: 2,
      voided: 3,
      lateArrivals: 4,
      replays: 5,
      restarts: 6,
      faults: { loss: 7 },
      checks: { ...checksOf("pass"), I7: "unknown" },
      wallMs: expect.any(Number)
    })
    expect(stderr).toBe("Seed 5")
  })

  it("says in lines what happened and what was not seen", async () => {
    const { stdout } = await sim(["--seed", "5", "--faults", "loss,clock"])
    expect(stdout).toMatch(/^Seed 5\nscenario {2}bank, 4 clients, seed 5\nactions /)
    expect(stdout).toMatch(/^checks {4}I1 pass, .*I7 unknown/m)
    expect(stdout).toMatch(/^not seen {2}I7, clock$/m)
    expect(stdout).toMatch(/^verdict {3}pass$/m)
  })

  it("draws a seed and prints it when none is given", async () => {
    const seeds = [await sim(["--json"]), await sim(["--json"])].map(({ stdout }) => JSON.parse(stdout).seed)
    expect(seeds[0]).not.toBe(seeds[1])
  })

  it("ends with 2 when nothing was executed", async () => {
    const { code, stdout } = await sim(["--actions", "0", "--json"])
    expect(code).toBe(2)
    expect(JSON.parse(stdout).verdict).toBe("unknown")
  })

  it("shrinks a failure, stores it, draws it, and repeats it", async () => {
    const timeline = join(folder, "new", "timeline.html")
    const failed = await sim(["--seed", "3", "--timeline", timeline])
    expect(failed.code).toBe(1)
    expect(failed.stdout).toMatch(/Seed 3 failed\.\n {2}I4 after 1\.5 s: c0#1 is lost\./)
    expect(failed.stdout).toMatch(/shrunk to 2 steps of 1 client/)
    expect(failed.stdout).toMatch(/^ {2}00:00:00.000 {2}c0 acts$/m)
    expect(failed.stdout).toMatch(/^verdict {3}fail$/m)
    expect(await readFile(timeline, "utf8")).toMatch(/<html/)

    const [, file] = /--replay (\S+)/.exec(failed.stdout)!
    expect(file).toBe(join(folder, "bank-3-I4.json"))
    expect(JSON.parse(await readFile(file!, "utf8"))).toMatchObject({
      scenario: "bank",
      check: "I4",
      found: "c0#1 is lost.",
      script: { seed: 3, devices: [{}], steps: [{}, {}] }
    })
    const again = await sim(["--replay", file!])
    expect(again.code).toBe(1)
    expect(again.stdout).toMatch(/c0 acts/)
    const repaired = await sim(["--replay", file!, "--json"], (script) => reportOf(script))
    expect(repaired.code).toBe(0)
    expect(JSON.parse(repaired.stdout)).toMatchObject({ verdict: "pass", seed: 3, clients: 1, actions: 1 })
  })

  it("leaves the script as it is with --no-shrink", async () => {
    const { stdout } = await sim(["--seed", "13", "--no-shrink"])
    const { steps } = plan(bank, { seed: 13, clients: 4, actions: 40, faults: "all" })
    expect(JSON.parse(await readFile(join(folder, "bank-13-I4.json"), "utf8")).script.steps).toEqual(steps)
    expect(stdout).toMatch(new RegExp(`has ${steps.length} steps of 4 clients`))
  })

  it("says so when a seed does not fail again, or fails otherwise", async () => {
    let runs = 0
    const once = await sim(["--seed", "3"], (script) => (runs++ === 0 ? losing(script) : reportOf(script)))
    expect(once.stdout).toMatch(/Run again, seed 3 did not fail I4/)
    expect(once.code).toBe(1)
    const moody = await sim(["--seed", "3"], (script) => ({ ...losing(script), hash: String(runs++) }))
    expect(moody.stdout).toMatch(/Run again, seed 3 failed I4 in another way/)
    expect(moody.code).toBe(1)
  })

  it("ends with 2, and no result, when the simulation itself breaks", async () => {
    const { code, stdout, stderr } = await sim(["--seed", "8", "--json"], () => {
      throw new Error("The disk is full.")
    })
    expect(code).toBe(2)
    expect(stdout).toBe("")
    expect(stderr).toMatch(/Seed 8 could not be run: The disk is full\./)
  })
})

describe("of several seeds", () => {
  it("adds them up, and names the first that failed", async () => {
    const { code, stdout, stderr } = await sim(["--seed", "1", "--seeds", "20", "--jobs", "1", "--json"])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: "fail",
      seed: 3,
      clients: 4,
      changed: 20,
      faults: { loss: 140 },
      checks: { I1: "pass", I4: "fail", I7: "unknown" },
      seeds: 20,
      failedSeeds: 2,
      seedsPerSecond: expect.any(Number)
    })
    expect(stderr).toMatch(/So did 13 \(I4\)\./)
  })

  it("goes on until it is stopped, and reports then", async () => {
    const stop = new AbortController()
    let runs = 0
    const stopping = (script: Script) => {
      if (++runs === 7) stop.abort()
      return reportOf(script)
    }
    const args = ["--seed", "1", "--jobs", "1", "--json"]
    const { code, stdout } = await sim([...args, "--seeds", "0"], stopping, stop.signal)
    expect(JSON.parse(stdout)).toMatchObject({ seeds: 7, verdict: "pass" })
    expect(code).toBe(0)
    // Stopped before the first, so nothing was executed.
    const early = await sim([...args, "--forever"], stopping, stop.signal)
    expect(JSON.parse(early.stdout)).toMatchObject({ seeds: 0, verdict: "unknown" })
    expect(early.code).toBe(2)
  })

  it("gives the same totals in whichever order the runs are reported", () => {
    const outcomes = Array.from({ length: 60 }, (_, seed) =>
      Totals.outcomeOf(losing(plan(bank, { seed, clients: 2, actions: 5, faults: "all" })))
    )
    const inOrder = outcomes.reduce(Totals.add, Totals.none)
    fc.assert(
      fc.property(fc.shuffledSubarray(outcomes, { minLength: outcomes.length }), (shuffled) => {
        expect(shuffled.reduce(Totals.add, Totals.none)).toEqual(inOrder)
      })
    )
    expect(inOrder.byVerdict.fail).toBeGreaterThan(2)
    expect(inOrder.failed.map(({ seed }) => seed % 10)).toEqual(inOrder.failed.map(() => 3))
  })
})

describe("progress", () => {
  const lines = (seeds: number | null, isTTY: boolean) => {
    const written: Array<string> = []
    const progress = Progress.make(seeds, { isTTY, columns: 200, write: (text) => written.push(text) })
    progress.batch(
      Totals.add(
        Totals.none,
        Totals.outcomeOf(reportOf(plan(bank, { seed: 1, clients: 2, actions: 5, faults: "none" })))
      )
    )
    progress.note("something")
    progress.clear()
    return written
  }

  it("is one line that is written again on a terminal, and nothing elsewhere", () => {
    expect(lines(9, true)).toEqual([expect.stringContaining("\r\x1b[2K1/9 seeds, "), "\r\x1b[2K"])
    expect(lines(9, true)[0]).toMatch(/ seeds\/s, .* actions\/s, 0 failed, 1 checks unknown/)
    expect(lines(9, false)).toEqual([])
    expect(lines(null, false)).toEqual([])
  })
})

it("says every step and setting of a script in words", () => {
  for (let seed = 0; seed < 50; seed++) {
    const script = plan(bank, { seed, clients: 3, actions: 20, faults: "all" })
    const text = scriptOf(script)
    expect(text.split("\n").length).toBeGreaterThanOrEqual(script.steps.length + script.devices.length)
    expect(text).not.toMatch(/undefined|NaN|\[object/)
  }
})

describe("a wrong command line", () => {
  it.each([
    [["--clients", "0"], /--clients.* from 1 to 1000/],
    [["--seed", "many"], /many.* integer/],
    [["--faults", "loss,gremlins"], /There is no fault "gremlins"\. .*lost-response/],
    [["--scenario", "absent.ts"], /There is no scenario absent\.ts\. Built in are bank and bookings/],
    [["--canary", "absent"], /There is no planted bug absent/],
    [["--replay", "absent.json"], /absent\.json is not accessible/],
    [["--db", "oracle"], /pglite, postgres/],
    [["--strange"], /--strange/]
  ])("%j is refused with a sentence and 2", async (args, message) => {
    const { code, stdout, stderr } = await sim(args)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(stdout).toBe("")
    expect(code).toBe(2)
  })
})

it("takes all faults, none, or a list", () => {
  expect(Effect.runSync(faultsFrom("all"))).toEqual(faultNames)
  expect(Effect.runSync(faultsFrom("none"))).toEqual([])
  expect(Effect.runSync(faultsFrom("window, loss"))).toEqual(["loss", "window"])
  expect(Exit.isFailure(Effect.runSyncExit(faultsFrom("")))).toBe(true)
})

describe("npm run sim", () => {
  const npm = (
    args: ReadonlyArray<string>,
    options: { cwd?: string; env?: Record<string, string>; interruptAt?: string } = {}
  ) =>
    new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
      const child = spawn(process.execPath, [join(root, "scripts/sim.mjs"), ...args], {
        cwd: options.cwd ?? folder,
        env: { ...process.env, INIT_CWD: options.cwd ?? folder, NODE_OPTIONS: "", ...options.env }
      })
      let [stdout, stderr] = ["", ""]
      child.stdout.setEncoding("utf8").on("data", (chunk) => {
        stdout += chunk
      })
      child.stderr.setEncoding("utf8").on("data", (chunk) => {
        const had = options.interruptAt !== undefined && stderr.includes(options.interruptAt)
        stderr += chunk
        if (!had && options.interruptAt !== undefined && stderr.includes(options.interruptAt))
          child.kill("SIGINT")
      })
      child.once("error", reject)
      child.once("close", (code) => resolve({ code, stdout, stderr }))
    })

  it("is refused with a sentence and 2 when the command is wrong", async () => {
    const { code, stdout, stderr } = await npm(["--scenario", "absent.ts"])
    expect(stderr).toBe(
      `There is no scenario absent.ts. Built in are bank and bookings; any other is the path of a module, and there is no file ${join(folder, "absent.ts")}.\n`
    )
    expect([stdout, code]).toEqual(["", 2])
  })

  it("lists the bugs that can be planted", async () => {
    const { code, stdout } = await npm(["--canary", "list"])
    expect(stdout).toMatch(/^[\w-]+ {2,}\S.*/)
    expect(code).toBe(0)
  })

  it("runs seeds in several processes, and gives what one process gives", async () => {
    const args = ["--seed", "11", "--seeds", "2", "--clients", "3", "--actions", "8", "--json"]
    const two = await npm([...args, "--jobs", "2"])
    const one = await npm([...args, "--jobs", "1"])
    expect(two.stdout.trim().split("\n")).toHaveLength(1)
    const without = ({ stdout }: { stdout: string }) => {
      const { wallMs: _wall, seedsPerSecond: _speed, ...rest } = JSON.parse(stdout)
      return rest
    }
    expect(without(two)).toEqual(without(one))
    expect(without(one)).toMatchObject({ verdict: "pass", seeds: 2, failedSeeds: 0 })
    expect([one.code, two.code]).toEqual([0, 0])
  }, 180_000)

  it("without end is stopped by SIGINT, and gives its result", async () => {
    // What fails is told at once, so it says when there is something to stop.
    // The seed that goes on comes to its end first, and with most faults a broken client may take its time.
    const short = ["--clients", "3", "--actions", "20", "--faults", "latency,loss,client-crash"]
    const args = ["--forever", "--seed", "1", ...short, "--canary", "skip-undo", "--no-shrink", "--json"]
    const { code, stdout } = await npm([...args, "--out", folder], { interruptAt: "saved as" })
    const { failedSeeds, seeds, verdict } = JSON.parse(stdout)
    expect(seeds).toBeGreaterThan(0)
    expect(failedSeeds).toBeGreaterThan(0)
    expect([verdict, code]).toEqual(["fail", 1])
  }, 120_000)

  it("runs a scenario from anywhere", async () => {
    const own = join(folder, "own")
    await mkdir(own)
    await writeFile(
      join(own, "mine.ts"),
      `import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
       import { defineScenario } from "@synchrotron/sync-testing"
       import { Effect, Schema } from "effect"
       const note = Action.make("note", {
         version: 1,
         args: Schema.Struct({ text: Schema.String }),
         run: ({ args, sql, ctx }) => sql\`INSERT INTO notes (id, text) VALUES (\${ctx.uuid("note")}, \${args.text})\`.pipe(Effect.asVoid)
       })
       export default defineScenario({
         app: SyncApp.make({
           name: "mine",
           migrations: [{
             id: "001",
             sql: "CREATE TABLE notes (id uuid PRIMARY KEY, text text NOT NULL)",
             serverSql: "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY everybody ON notes USING (true); GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO PUBLIC"
           }],
           tables: [SyncTable.make("notes", { audience: "'all'" })],
           actions: [note],
           audiences: "SELECT 'all'"
         }),
         users: ["ann", "bob"],
         next: ({ random }) => note({ text: String(random.int(10)) })
       })`
    )
    const { code, stdout, stderr } = await npm(
      ["--scenario", "mine.ts", "--seed", "1", "--actions", "8", "--json"],
      { cwd: own }
    )
    expect(stderr).toBe("Seed 1\n")
    expect(JSON.parse(stdout)).toMatchObject({ verdict: "pass", clients: 4 })
    expect(code).toBe(0)
  }, 120_000)
})

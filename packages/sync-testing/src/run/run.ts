/** Runs a script: steps and messages in virtual time, first with faults, then healed until all have converged. */
import { Cause, Effect } from "effect"
import type { Exchange, World } from "../check/Checker.ts"
import { makeArchive } from "../check/log.ts"
import { digestsOf, makeServerView, readOf, remembering, tablesBy } from "../check/views.ts"
import * as Random from "../Random.ts"
import type { Report } from "../Report.ts"
import type { Scenario } from "../Scenario.ts"
import type { Script } from "../Script.ts"
import { type Event, hash } from "../Trace.ts"
import type { Databases, RunOptions } from "./Arena.ts"
import { role } from "./Arena.ts"
import { serverApp } from "./apps.ts"
import { Checks } from "./Checks.ts"
import { feedTo } from "./feed.ts"
import { Log } from "./Log.ts"
import { send, timeoutMs } from "./network.ts"
import { SimClient } from "./SimClient.ts"
import { SimServer } from "./SimServer.ts"
import type { Simulation } from "./Simulation.ts"
import { perform } from "./steps.ts"
import { make as makeTime, quiet as untilQuiet } from "./VirtualTime.ts"

/** The world begins here, whatever the seed: 2026-01-01. */
const startMs = Date.UTC(2026, 0, 1)
/** Syncs of each client until all must have converged; a late arrival of the last one may concern the first. */
const healingRounds = 4
const healingMs = 20 * 60_000

export const run = async (
  scenario: Scenario,
  script: Script,
  databases: Databases,
  options: RunOptions
): Promise<Report> => {
  const began = performance.now()
  const time = makeTime(startMs)
  const log = new Log(() => time.now() - startMs)
  const quiet = () => untilQuiet(databases.server.underWay)
  const app = serverApp(scenario.app)
  const memory = remembering(readOf(databases.server.probe))
  const archive = makeArchive(readOf(databases.server.probe))
  const serverView = makeServerView(databases.server.probe, app, role, memory.read, archive.removed)
  const checks = new Checks(scenario, log)

  let committedAt = ""
  const onServerIdle = Effect.gen(function* () {
    const version = yield* databases.server.version
    if (version === committedAt) return
    committedAt = version
    memory.forget()
    for (const follower of simulation.followers) follower.wake()
    if (!checks.begun) return
    yield* checks.hook("serverCommitted", (f) => f())
    yield* checks.invariants("the server", serverView.read, yield* digestsOf(serverView.read, app))
  })

  let exchanges = 0
  let writes = 0
  const servers = script.serverSkewsMs.map(
    (skewMs, index) =>
      new SimServer({
        index,
        app,
        slot: databases.server,
        clock: time.clock(() => skewMs, script.tickMs),
        random: Random.make(script.seed, "server", index),
        reorderWindowMs: script.reorderWindowMs,
        reorderWindowRecords: script.reorderWindowRecords,
        chunkRowsMax: script.chunkRowsMax,
        namedAudiencesMax: script.namedAudiencesMax,
        canary: options.canary?.server,
        gate: (resume) => time.schedule(time.now() + 1 + (exchanges % 40), resume),
        onCompacting: Effect.zipRight(
          archive.keep,
          Effect.suspend(() => checks.hook("compacting", (f) => f()))
        ),
        onIdle: onServerIdle,
        onCrash: (message) => log.emit({ lane: `s${index}`, kind: "crashed", message })
      })
  )
  const clients: ReadonlyArray<SimClient> = script.devices.map(
    (device, index) =>
      new SimClient({
        index,
        device,
        scenario,
        slot: databases.clients[index]!,
        time,
        seed: script.seed,
        tickMs: script.tickMs,
        canary: options.canary?.client,
        checks,
        log,
        send: (sent, resume) => send(simulation, clients[index]!, sent, resume),
        namedAudiencesMax: script.namedAudiencesMax,
        livePath:
          script.feed === undefined || device.follows === false
            ? null
            : feedTo(script.feed, () => ({ simulation, client: clients[index]! }))
      })
  )
  const simulation: Simulation = {
    scenario,
    script,
    time,
    log,
    checks,
    serverView,
    servers,
    clients,
    exchange: (from, request): Exchange => ({ number: ++exchanges, client: from.view, request }),
    // In a transaction like psql's; its time is virtual, and what defaults draw follows from the seed.
    write: (sql) =>
      databases.server.probe
        .withTransaction(
          databases.server.probe.unsafe(
            `SET LOCAL synchrotron.now = '${new Date(time.now()).toISOString()}';SET LOCAL synchrotron.seed = '${script.seed}:${++writes}';${sql}`
          )
        )
        .pipe(
          // A COMMIT that fails is a defect.
          Effect.sandbox,
          Effect.match({ onFailure: (cause) => String(causeOf(Cause.squash(cause))), onSuccess: () => null }),
          Effect.tap(() => onServerIdle),
          Effect.runPromise
        ),
    distort: options.canary?.feed ?? ((message) => message),
    followers: new Set(),
    healed: false
  }
  const world: World = {
    app,
    clients: clients.map((client) => client.view),
    server: serverView,
    settings: {
      reorderWindowMs: script.reorderWindowMs ?? 7 * 24 * 3_600_000,
      reorderWindowRecords: script.reorderWindowRecords ?? 10_000,
      chunkRowsMax: script.chunkRowsMax ?? 10_000,
      driftMsMax: 5 * 60_000,
      serverSkewMsMax: Math.max(0, ...script.serverSkewsMs.map(Math.abs)),
      ...(script.compaction === undefined
        ? {}
        : {
            compaction: {
              reorderWindowMs: script.compaction.reorderWindowMs ?? 7 * 24 * 3_600_000,
              reorderWindowRecords: script.compaction.reorderWindowRecords ?? 10_000
            }
          })
    },
    reference: Effect.succeed({ sql: databases.reference.probe, role }),
    tablesOf: (client) => tablesBy(client.read, app),
    now: time.now,
    label: log.label
  }
  const everybody: ReadonlyArray<SimServer | SimClient> = [...servers, ...clients]

  const revive = async (one: SimServer | SimClient) => {
    if (one.up) return
    log.counts.restarts++
    await one.start()
    await quiet()
    log.emit({ lane: one.name, kind: "restarted" })
    if (one instanceof SimClient && one.up)
      await Effect.runPromise(checks.hook("restarted", (f) => f(one.view)))
  }
  /** What has crashed is put away, and comes back after its time. */
  const sweep = async () => {
    for (const one of everybody) {
      const downMs = await one.bury()
      if (downMs !== null) time.schedule(time.now() + downMs, () => revive(one))
    }
  }
  const runUntil = async (until: number) => {
    while (await time.advance(until)) {
      await quiet()
      await sweep()
    }
  }

  try {
    for (const server of servers) await server.start()
    if (scenario.seed !== undefined) {
      const error = await simulation.write(scenario.seed)
      if (error !== null) throw new Error(`The seed of the scenario ${scenario.name} failed: ${error}`)
    }
    await Effect.runPromise(onServerIdle)
    checks.begin(world)
    for (const client of clients) {
      await client.start()
      await quiet()
    }
    if (servers.length > 1) log.fault("servers")
    for (const [done, step] of script.steps.entries()) {
      await runUntil(startMs + step.at)
      await perform(simulation, step)
      await quiet()
      await sweep()
      options.onProgress?.({ done: done + 1, total: script.steps.length })
    }

    simulation.healed = true
    log.emit({ lane: "sim", kind: "healed" })
    for (const one of everybody) {
      one.heal()
      await quiet()
    }
    for (const one of everybody) await revive(one)
    await runUntil(time.now() + healingMs)
    for (let round = 0, calm = false; round < healingRounds && !calm; round++) {
      const before = log.trace.length
      for (const client of clients) {
        client.poke()
        await quiet()
        // A load takes many requests, and virtual time costs nothing.
        await runUntil(time.now() + (script.chunkRowsMax === null ? timeoutMs : healingMs))
      }
      calm = isCalm(log.trace.slice(before), clients.length)
    }
    await Effect.runPromise(checks.hook("finished", (f) => f as unknown as Effect.Effect<void>))
    log.emit({ lane: "sim", kind: "converged" })
  } finally {
    for (const client of clients) await client.close()
    for (const server of servers) await server.close()
  }

  const [tally] = await Effect.runPromise(
    serverView.read<{ confirmed: number; changed: number; voided: number; rejected: number }>(
      `SELECT count(*) FILTER (WHERE status IN ('applied', 'changed'))::integer AS confirmed, count(*) FILTER (WHERE status = 'changed')::integer AS changed,
         count(*) FILTER (WHERE status = 'voided')::integer AS voided, (SELECT count(*)::integer FROM synchrotron.dead_letters) AS rejected
       FROM synchrotron.records WHERE client_id IS NOT NULL`
    )
  )
  const { counts, failures, faults, trace } = log
  return {
    verdict: failures.length > 0 ? "fail" : counts.actions === 0 ? "unknown" : "pass",
    seed: script.seed,
    clients: script.devices.length,
    actions: counts.actions,
    ...tally!,
    lateArrivals: servers.reduce((sum, server) => sum + server.takenBack, 0),
    replays: counts.replays + servers.reduce((sum, server) => sum + server.replayed, 0),
    restarts: counts.restarts,
    faults,
    checks: checks.verdicts,
    wallMs: Math.round(performance.now() - began),
    failures,
    hash: hash(trace),
    trace,
    script
  }
}

/** What Postgres said. */
const causeOf = (error: unknown) => (error instanceof Error && error.cause ? error.cause : error)

/** Whether every client has synced and none has learnt anything: nothing can change any more. */
const isCalm = (events: ReadonlyArray<Event>, clients: number): boolean => {
  const applied = events.filter((event) => event.kind === "applied")
  return (
    new Set(applied.map(({ lane }) => lane)).size === clients &&
    applied.every(({ path, pending }) => path === "nothing" && pending === 0)
  )
}

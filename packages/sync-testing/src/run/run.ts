/** Runs a script: steps and messages in virtual time, first with faults, then healed until all have converged. */
import { type Protocol, Protocol as Wire } from "@synchrotron/sync-core"
import { Cause, Effect, Schema } from "effect"
import { atomicity } from "../check/atomicity.ts"
import { authorization } from "../check/authorization.ts"
import { bounds } from "../check/bounds.ts"
import {
  type Checker,
  type Exchange,
  type Hooks,
  type InvariantName,
  invariants,
  type Verdict,
  type World
} from "../check/Checker.ts"
import { confidentiality } from "../check/confidentiality.ts"
import { convergence } from "../check/convergence.ts"
import { determinism } from "../check/determinism.ts"
import { durability } from "../check/durability.ts"
import { order } from "../check/order.ts"
import { serial } from "../check/serial.ts"
import { digestsOf, makeServerView, tablesBy } from "../check/views.ts"
import type { FaultName } from "../Faults.ts"
import * as Random from "../Random.ts"
import type { Failure, Report } from "../Report.ts"
import type { Scenario } from "../Scenario.ts"
import type { Script, Step } from "../Script.ts"
import { type Event, hash } from "../Trace.ts"
import type { Databases, RunOptions } from "./Arena.ts"
import { role } from "./Arena.ts"
import { serverApp } from "./apps.ts"
import { forge } from "./forgeries.ts"
import { SimClient } from "./SimClient.ts"
import { SimServer } from "./SimServer.ts"
import { make as makeTime, quiet as untilQuiet } from "./VirtualTime.ts"

const checkers: ReadonlyArray<Checker> = [
  convergence,
  serial,
  order,
  durability,
  atomicity,
  confidentiality,
  authorization,
  determinism,
  bounds
]

/** The world begins here, whatever the seed: 2026-01-01. */
const startMs = Date.UTC(2026, 0, 1)
/** How long a client waits for an answer. */
const timeoutMs = 30_000
/** Syncs of each client until all must have converged; a late arrival of the last one may concern the first. */
const healingRounds = 4
const healingMs = 20 * 60_000

export type Hook = <K extends keyof Hooks>(
  name: K,
  call: (hook: NonNullable<Hooks[K]>) => Effect.Effect<void>
) => Effect.Effect<void>

export const run = async (
  scenario: Scenario,
  script: Script,
  databases: Databases,
  options: RunOptions
): Promise<Report> => {
  const began = performance.now()
  const time = makeTime(startMs)
  const trace: Array<Event> = []
  const failures: Array<Failure> = []
  const faults: Partial<Record<FaultName, number>> = {}
  const counts = { actions: 0, lateArrivals: 0, replays: 0, restarts: 0 }
  const labels = new Map<string, string>()
  const at = () => time.now() - startMs
  const emit: Emit = (event) => {
    trace.push({ at: at(), ...event } as Event)
  }
  const fault = (name: FaultName) => {
    faults[name] = (faults[name] ?? 0) + 1
  }
  const violated = (check: string, message: string) => {
    if (failures.length >= 50) return
    failures.push({ check, at: at(), message })
    emit({ lane: "sim", kind: "violated", check, message })
  }
  const label = (id: string) => {
    const known = labels.get(id)
    if (known !== undefined) return known
    const made = `x${labels.size}`
    labels.set(id, made)
    return made
  }
  const quiet = () => untilQuiet(databases.server.underWay)
  const app = serverApp(scenario.app)
  const serverView = makeServerView(databases.server.probe, app, role)

  // ---- the world that checkers see ---------------------------------------------------------------------------

  const hooks: Array<Hooks> = []
  const hook: Hook = (name, call) =>
    Effect.forEach(
      hooks,
      (each) => {
        const found = each[name]
        return found === undefined ? Effect.void : call(found as NonNullable<Hooks[typeof name]>)
      },
      { discard: true }
    )
  let healed = false
  const clients: Array<SimClient> = []
  let exchanges = 0
  const world: World = {
    app,
    clients: [],
    server: serverView,
    settings: {
      reorderWindowMs: script.reorderWindowMs ?? 7 * 24 * 3_600_000,
      reorderWindowRecords: script.reorderWindowRecords ?? 10_000,
      driftMsMax: 5 * 60_000,
      serverSkewMsMax: Math.max(0, ...script.serverSkewsMs.map(Math.abs))
    },
    reference: Effect.succeed({ sql: databases.reference.probe, role }),
    tablesOf: (client) => tablesBy(client.read, app),
    now: time.now,
    label
  }
  const violations = invariantsOf(scenario)
  /** Digests of tables for which all hold. */
  const sound = new Set<string>()
  const checkInvariants = (where: string, read: World["server"]["read"]) =>
    violations === null
      ? Effect.void
      : Effect.gen(function* () {
          const digests = yield* digestsOf(read, app)
          if (sound.has(digests)) return
          const broken = yield* read<{ name: string }>(violations)
          for (const { name } of broken) violated(`invariant ${name}`, `It does not hold on ${where}.`)
          if (broken.length === 0) sound.add(digests)
        })

  // ---- servers and clients -----------------------------------------------------------------------------------

  let committedAt = ""
  const onServerIdle = Effect.gen(function* () {
    const version = yield* databases.server.version
    if (version === committedAt) return
    committedAt = version
    if (hooks.length === 0) return
    yield* hook("serverCommitted", (f) => f())
    yield* checkInvariants("the server", serverView.read)
  })
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
        canary: options.canary?.server,
        gate: (resume) => time.schedule(time.now() + 1 + (exchanges % 40), resume),
        onIdle: onServerIdle,
        onCrash: (message) => emit({ lane: `s${index}`, kind: "crashed", message })
      })
  )

  const client = (index: number): SimClient => {
    const device = script.devices[index]!
    return new SimClient({
      index,
      device,
      scenario,
      slot: databases.clients[index]!,
      time,
      seed: script.seed,
      tickMs: script.tickMs,
      canary: options.canary?.client,
      hook,
      emit,
      label: (id, ordinal) => labels.set(id, `c${index}#${ordinal}`),
      labelOf: label,
      send: (request, resume) => send(clients[index]!, request, resume),
      onExecuted: () => counts.actions++,
      onReplayed: (n) => {
        counts.replays += n
      },
      checkInvariants: (read) => checkInvariants(`c${index}`, read)
    })
  }

  /** A request's way to a server and the answer's way back. What does not arrive is a timeout. */
  const send = (
    from: SimClient,
    request: Protocol.SyncRequest,
    resume: (answer: Answer) => void
  ): Exchange => {
    const exchange: Exchange = { number: ++exchanges, client: from.view, request }
    const body = JSON.stringify(Schema.encodeSync(Wire.SyncRequest)(request))
    const fate = Random.make(script.seed, "network", from.name, ++from.exchanges)
    const { network } = script
    emit({
      lane: from.name,
      kind: "sent",
      exchange: exchange.number,
      records: request.records.map((r) => label(r.id))
    })
    let over = false
    const finish = (answer: Answer) => {
      if (over) return
      over = true
      cancelTimeout()
      resume(answer)
    }
    const cancelTimeout = time.schedule(time.now() + timeoutMs, () => finish({ _tag: "Offline" }))
    const lost = (what: "request" | "answer", why: string) =>
      emit({ lane: from.name, kind: "lost", exchange: exchange.number, what, why })
    const delay = () => {
      const slow = !healed && fate.chance(network.slow)
      if (slow) fault("latency")
      if (slow) return 1 + fate.int(60_000)
      // Some ways are quick, so that a later request overtakes an earlier one.
      return 1 + fate.int(fate.chance(0.5) ? network.latencyMsMax : network.latencyMsMax / 32)
    }
    const deliver = (again: boolean) => async () => {
      const alive = servers.filter((server) => server.up)
      const server = alive.length === 0 ? undefined : fate.pick(alive)
      if (server === undefined) {
        lost("request", "no server")
        if (!again) finish({ _tag: "Offline" })
        return
      }
      emit({ lane: server.name, kind: "arrived", exchange: exchange.number, client: from.name, again })
      const decoded = Schema.decodeUnknownSync(Wire.SyncRequest)(JSON.parse(body))
      const before = server.replayed
      await server.serve(from.principal, decoded, async (result) => {
        if (result._tag === "crashed") {
          lost("answer", "the server crashed")
          if (!again) finish({ _tag: "Offline" })
          return
        }
        if (result._tag === "failed") {
          emit({
            lane: server.name,
            kind: "failed",
            exchange: exchange.number,
            client: from.name,
            error: result.error._tag
          })
          time.schedule(time.now() + delay(), () => finish({ _tag: "Error", error: result.error }))
          return
        }
        const { response } = result
        await Effect.runPromise(hook("served", (f) => f(exchange, response)))
        emit({
          lane: server.name,
          kind: "served",
          exchange: exchange.number,
          client: from.name,
          seq: response.seq,
          rows: response.tables.reduce((sum, t) => sum + t.rows.length, 0),
          later: response.later.map((r) => label(r.id)),
          verdicts: response.verdicts.map((v) => verdictOf(v, label)),
          replayed: server.replayed - before
        })
        const answer = JSON.stringify(Schema.encodeSync(Wire.SyncResponse)(response))
        if (!healed && (fate.chance(network.lostResponse) || from.unreachable)) {
          fault("lost-response")
          return lost("answer", from.unreachable ? "partition" : "lost")
        }
        time.schedule(time.now() + delay(), () => {
          if (!healed && from.unreachable) return void lost("answer", "partition")
          const heard = Schema.decodeUnknownSync(Wire.SyncResponse)(JSON.parse(answer))
          finish({ _tag: "Response", exchange, response: heard })
        })
      })
    }
    if (!healed && from.unreachable) lost("request", "partition")
    else if (!healed && fate.chance(network.loss)) {
      fault("loss")
      lost("request", "lost")
    } else {
      time.schedule(time.now() + delay(), deliver(false))
      if (!healed && fate.chance(network.duplication)) {
        fault("duplication")
        time.schedule(time.now() + delay() + fate.int(120_000), deliver(true))
      }
    }
    return exchange
  }

  const outside = async (kind: "external" | "membership", random: Random.Random) => {
    const make = kind === "external" ? scenario.external : scenario.membership
    if (make === undefined) return
    const query = <Row extends object>(sql: string, params?: ReadonlyArray<unknown>) =>
      Effect.runPromise(serverView.read<Row>(sql, params))
    const sql = await make({ random, query })
    if (sql === undefined) return
    fault(kind)
    const error = await write(sql)
    emit({ lane: "sim", kind, sql, ...(error === null ? {} : { error }) })
  }
  /** In a transaction like psql's; the time of its record is virtual. */
  const write = (sql: string) =>
    databases.server.probe
      .withTransaction(
        databases.server.probe.unsafe(
          `SET LOCAL synchrotron.now = '${new Date(time.now()).toISOString()}';${sql}`
        )
      )
      .pipe(
        // A COMMIT that fails is a defect.
        Effect.sandbox,
        Effect.match({ onFailure: (cause) => String(causeOf(Cause.squash(cause))), onSuccess: () => null }),
        Effect.tap(() => onServerIdle),
        Effect.runPromise
      )

  // ---- steps -------------------------------------------------------------------------------------------------

  const perform = async (step: Step) => {
    if ("client" in step && !clients[step.client]?.up && step.kind !== "clock") return
    switch (step.kind) {
      case "act":
        return clients[step.client]!.act(Random.make(step.random))
      case "throw":
        fault("throwing")
        return clients[step.client]!.act(Random.make(step.random), "throw")
      case "novelty":
        fault("versions")
        return clients[step.client]!.act(Random.make(0), "novelty")
      case "sync":
        return clients[step.client]!.poke()
      case "read":
        return clients[step.client]!.readLater(1 + (step.random % 7))
      case "inbox":
        return clients[step.client]!.inbox(Random.make(step.random))
      case "offline": {
        fault("offline")
        const target = clients[step.client]!
        target.setOnline(false)
        time.schedule(time.now() + step.forMs, () => target.setOnline(true))
        return
      }
      case "partition": {
        fault("partition")
        const target = clients[step.client]!
        target.partition(step.forMs)
        return
      }
      case "client-crash":
        fault("client-crash")
        return clients[step.client]!.crashAfter(step.after, step.downMs)
      case "server-crash": {
        const server = servers[step.server]
        if (server === undefined) return
        fault("server-crash")
        return server.crashAfter(step.after, step.downMs)
      }
      case "clock":
        fault("clock")
        clients[step.client]!.skewMs += step.jumpMs
        emit({ lane: `c${step.client}`, kind: "clock", jumpMs: step.jumpMs })
        return
      case "membership":
      case "external":
        return outside(step.kind, Random.make(step.random))
      case "forgery":
        return forgery(clients[step.client]!, Random.make(step.random))
    }
  }

  const forgery = async (from: SimClient, random: Random.Random) => {
    const server = servers.find((s) => s.up)
    const honest = await from.honestRequest()
    if (server === undefined || honest === null) return
    fault("forgery")
    const audiences = await Effect.runPromise(
      serverView.read<{ audience: string }>(
        "SELECT DISTINCT audience FROM synchrotron.row_versions ORDER BY 1"
      )
    )
    const known = await Effect.runPromise(
      serverView.read<{ client_id: string; user_id: string }>(
        "SELECT client_id, user_id FROM synchrotron.clients ORDER BY 1"
      )
    )
    const { body, name } = forge(
      JSON.parse(JSON.stringify(Schema.encodeSync(Wire.SyncRequest)(honest))) as Parameters<typeof forge>[0],
      random,
      {
        strangers: known.filter((c) => c.user_id !== from.principal.userId).map((c) => c.client_id),
        audiences: audiences.map((a) => a.audience)
      } as unknown as Parameters<typeof forge>[2]
    )
    const answered = async (error: string | null) => {
      emit({ lane: from.name, kind: "forged", what: name, answer: error ?? "answered" })
      await Effect.runPromise(hook("forged", (f) => f(name, error)))
    }
    const decoded = Schema.decodeUnknownEither(Wire.SyncRequest)(JSON.parse(JSON.stringify(body)))
    if (decoded._tag === "Left") return answered("InvalidRequest")
    const exchange: Exchange = { number: ++exchanges, client: from.view, request: decoded.right }
    await server.serve(
      from.principal,
      decoded.right,
      async (result) => {
        if (result._tag === "served")
          await Effect.runPromise(hook("served", (f) => f(exchange, result.response)))
        await answered(
          result._tag === "served" ? null : result._tag === "failed" ? result.error._tag : "Unavailable"
        )
      },
      { whole: true }
    )
  }

  /** What has crashed is put away, and comes back after its time. */
  const sweep = async () => {
    for (const one of [...servers, ...clients]) {
      const downMs = await one.bury()
      if (downMs === null) continue
      time.schedule(time.now() + downMs, () => revive(one))
    }
  }
  const revive = async (one: SimServer | SimClient) => {
    if (one.up) return
    counts.restarts++
    await one.start()
    await quiet()
    emit({ lane: one.name, kind: "restarted" })
    if (one instanceof SimClient && one.up) await Effect.runPromise(hook("restarted", (f) => f(one.view)))
  }
  const runUntil = async (until: number) => {
    while (await time.advance(until)) {
      await quiet()
      await sweep()
    }
  }

  // ---- the run -----------------------------------------------------------------------------------------------

  const observedCounts = new Map<InvariantName, number>()
  try {
    for (const server of servers) await server.start()
    if (scenario.seed !== undefined) {
      const error = await write(scenario.seed)
      if (error !== null) throw new Error(`The seed of the scenario ${scenario.name} failed: ${error}`)
    }
    for (let i = 0; i < script.devices.length; i++) clients.push(client(i))
    Object.assign(world, { clients: clients.map((c) => c.view) })
    await Effect.runPromise(onServerIdle)
    for (const checker of checkers) {
      hooks.push(
        checker.hooks(world, {
          observed: () =>
            observedCounts.set(checker.invariant, (observedCounts.get(checker.invariant) ?? 0) + 1),
          violated: (message) => violated(checker.invariant, message)
        })
      )
    }
    for (const one of clients) {
      await one.start()
      await quiet()
    }
    if (servers.length > 1) fault("servers")
    for (const [done, step] of script.steps.entries()) {
      await runUntil(startMs + step.at)
      await perform(step)
      await quiet()
      await sweep()
      options.onProgress?.({ done: done + 1, total: script.steps.length })
    }
    healed = true
    emit({ lane: "sim", kind: "healed" })
    for (const one of [...servers, ...clients]) {
      one.heal()
      await quiet()
    }
    for (const one of [...servers, ...clients]) await revive(one)
    await runUntil(time.now() + healingMs)
    for (let round = 0, calm = false; round < healingRounds && !calm; round++) {
      const before = trace.length
      for (const one of clients) {
        one.poke()
        await quiet()
        await runUntil(time.now() + timeoutMs)
      }
      calm = isCalm(trace.slice(before), clients.length)
    }
    await Effect.runPromise(hook("finished", (f) => f as unknown as Effect.Effect<void>))
    emit({ lane: "sim", kind: "converged" })
  } finally {
    for (const one of clients) await one.close()
    for (const server of servers) await server.close()
  }

  const [tally] = await Effect.runPromise(
    serverView.read<{ applied: number; changed: number; voided: number; rejected: number }>(
      `SELECT count(*) FILTER (WHERE status = 'applied')::integer AS applied, count(*) FILTER (WHERE status = 'changed')::integer AS changed,
         count(*) FILTER (WHERE status = 'voided')::integer AS voided, (SELECT count(*)::integer FROM synchrotron.dead_letters) AS rejected
       FROM synchrotron.records WHERE client_id IS NOT NULL`
    )
  )
  const checks = Object.fromEntries(
    invariants.map((name): [InvariantName, Verdict] => [
      name,
      failures.some((f) => f.check === name)
        ? "fail"
        : (observedCounts.get(name) ?? 0) > 0
          ? "pass"
          : "unknown"
    ])
  ) as Report["checks"]
  const late = servers.reduce((sum, server) => sum + server.takenBack, 0)
  return {
    verdict: failures.length > 0 ? "fail" : counts.actions === 0 ? "unknown" : "pass",
    seed: script.seed,
    clients: script.devices.length,
    actions: counts.actions,
    confirmed: tally!.applied + tally!.changed,
    changed: tally!.changed,
    rejected: tally!.rejected,
    voided: tally!.voided,
    lateArrivals: late,
    replays: counts.replays + servers.reduce((sum, server) => sum + server.replayed, 0),
    restarts: counts.restarts,
    faults,
    checks,
    wallMs: Math.round(performance.now() - began),
    failures,
    hash: hash(trace),
    trace,
    script
  }
}

/** What Postgres said. */
const causeOf = (error: unknown) => (error instanceof Error && error.cause ? error.cause : error)

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
export type Emit = (event: DistributiveOmit<Event, "at">) => void

export type Answer =
  | { readonly _tag: "Offline" }
  | { readonly _tag: "Error"; readonly error: Protocol.SyncError }
  | { readonly _tag: "Response"; readonly exchange: Exchange; readonly response: Protocol.SyncResponse }

export const verdictOf = (verdict: Protocol.Verdict, label: (id: string) => string) => ({
  record: label(verdict.id),
  outcome: verdict.outcome,
  ...("error" in verdict ? { why: `${verdict.error.class}: ${verdict.error.message}` } : {})
})

/** Whether every client has synced and none has learnt anything: nothing can change any more. */
const isCalm = (events: ReadonlyArray<Event>, clients: number): boolean => {
  const applied = events.filter((event) => event.kind === "applied")
  return (
    new Set(applied.map(({ lane }) => lane)).size === clients &&
    applied.every(({ path, pending }) => path === "nothing" && pending === 0)
  )
}

/** One statement for all of them: the names of those that do not hold. */
const invariantsOf = ({ invariants = [] }: Scenario): string | null =>
  invariants.length === 0
    ? null
    : invariants
        .map(({ name, sql }) => `SELECT '${name.replaceAll("'", "''")}' AS name WHERE EXISTS (${sql})`)
        .join(" UNION ALL ")

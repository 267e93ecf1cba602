/** What a script's steps do. */
import { Protocol as Wire } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import * as Random from "../Random.ts"
import type { Step } from "../Script.ts"
import { forge } from "./forgeries.ts"
import type { SimClient } from "./SimClient.ts"
import type { Simulation } from "./Simulation.ts"

export const perform = async (simulation: Simulation, step: Step): Promise<void> => {
  const { log, servers, time } = simulation
  if (step.kind === "membership" || step.kind === "external")
    return outside(simulation, step.kind, Random.make(step.random))
  if (step.kind === "server-crash") {
    const server = servers[step.server]
    if (server === undefined) return
    log.fault("server-crash")
    return server.crashAfter(step.after, step.downMs)
  }
  if (step.kind === "compaction") return compact(simulation, step.server)
  const client = simulation.clients[step.client]
  if (client === undefined || !(client.up || step.kind === "clock")) return
  switch (step.kind) {
    case "act":
      return client.act(Random.make(step.random))
    case "throw":
      log.fault("throwing")
      return client.act(Random.make(step.random), "throw")
    case "novelty":
      log.fault("versions")
      return client.act(Random.make(0), "novelty")
    case "sync":
      return client.poke()
    case "read":
      return client.readLater(1 + (step.random % 7))
    case "inbox":
      return client.inbox(Random.make(step.random))
    case "offline":
      log.fault("offline")
      client.setOnline(false)
      time.schedule(time.now() + step.forMs, () => client.setOnline(true))
      return
    case "partition":
      log.fault("partition")
      return client.partition(step.forMs)
    case "client-crash":
      log.fault("client-crash")
      return client.crashAfter(step.after, step.downMs)
    case "clock":
      log.fault("clock")
      client.skewMs += step.jumpMs
      log.emit({ lane: client.name, kind: "clock", jumpMs: step.jumpMs })
      return
    case "forgery":
      return forgery(simulation, client, Random.make(step.random))
  }
}

const compact = async ({ log, script, servers }: Simulation, index: number): Promise<void> => {
  const server = servers[index]
  if (server === undefined || !server.up || script.compaction === undefined) return
  log.fault("compaction")
  await server.compact(script.compaction, async ({ patches, records, tombstones }) =>
    log.emit({ lane: server.name, kind: "compacted", records, patches, tombstones })
  )
}

const outside = async (
  { log, scenario, serverView, write }: Simulation,
  kind: "external" | "membership",
  random: Random.Random
): Promise<void> => {
  const sql = await scenario[kind]?.({
    random,
    query: <Row extends object>(sql: string, params?: ReadonlyArray<unknown>) =>
      Effect.runPromise(serverView.read<Row>(sql, params))
  })
  if (sql === undefined) return
  log.fault(kind)
  const error = await write(sql)
  log.emit({ lane: "sim", kind, sql, ...(error === null ? {} : { error }) })
}

const forgery = async (
  { checks, exchange, log, servers, serverView }: Simulation,
  from: SimClient,
  random: Random.Random
): Promise<void> => {
  const server = servers.find((s) => s.up)
  const honest = await from.honestRequest()
  if (server === undefined || honest === null) return
  log.fault("forgery")
  const audiences = await Effect.runPromise(
    serverView.read<{ audience: string }>("SELECT DISTINCT audience FROM synchrotron.row_versions ORDER BY 1")
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
    log.emit({ lane: from.name, kind: "forged", what: name, answer: error ?? "answered" })
    await Effect.runPromise(checks.hook("forged", (f) => f(name, error)))
  }
  const decoded = Schema.decodeUnknownEither(Wire.SyncRequest)(JSON.parse(JSON.stringify(body)))
  if (decoded._tag === "Left") return answered("InvalidRequest")
  const sent = exchange(from, decoded.right)
  await server.serve(
    from.principal,
    decoded.right,
    async (result) => {
      if (result._tag === "served")
        await Effect.runPromise(checks.hook("served", (f) => f(sent, result.response)))
      await answered(
        result._tag === "served" ? null : result._tag === "failed" ? result.error._tag : "Unavailable"
      )
    },
    { whole: true }
  )
}

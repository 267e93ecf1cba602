/** A request's way to a server and the answer's way back. */
import { Audiences, type Protocol, Protocol as Wire } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import type { Exchange } from "../check/Checker.ts"
import * as Random from "../Random.ts"
import type { SimClient } from "./SimClient.ts"
import type { SimServer } from "./SimServer.ts"
import type { Simulation } from "./Simulation.ts"

/** How long a client waits for an answer. */
export const timeoutMs = 30_000
const slowMsMax = 60_000
/** How much later than a request its duplicate may come. */
const againMsMax = 120_000

export type Answer =
  | { readonly _tag: "Offline" }
  | { readonly _tag: "Error"; readonly error: Protocol.SyncError }
  | { readonly _tag: "Response"; readonly exchange: Exchange; readonly response: Protocol.WireResponse }

/** Sends a request; `resume` gets the answer, once. What does not arrive is a timeout. */
export const send = (
  simulation: Simulation,
  from: SimClient,
  { request, whole }: { readonly request: Protocol.WireRequest; readonly whole: Protocol.SyncRequest },
  resume: (answer: Answer) => void
): Exchange => {
  const { checks, log, script, servers, time } = simulation
  const { network } = script
  const exchange = simulation.exchange(from, whole)
  const body = JSON.stringify(Schema.encodeSync(Wire.WireRequest)(request))
  const fate = Random.make(script.seed, "network", from.name, ++from.exchanges)
  const faulty = () => !simulation.healed
  const later = (ms: number, event: () => void | Promise<void>) => time.schedule(time.now() + ms, event)
  const told = { exchange: exchange.number, client: from.name }

  let over = false
  const finish = (answer: Answer) => {
    if (over) return
    over = true
    cancelTimeout()
    resume(answer)
  }
  const cancelTimeout = later(timeoutMs, () => finish({ _tag: "Offline" }))
  const lost = (what: "request" | "answer", why: string) =>
    log.emit({ lane: from.name, kind: "lost", exchange: exchange.number, what, why })
  const delay = () => {
    if (faulty() && fate.chance(network.slow)) {
      log.fault("latency")
      return 1 + fate.int(slowMsMax)
    }
    // Some ways are quick, so that a later request overtakes an earlier one.
    return 1 + fate.int(fate.chance(0.5) ? network.latencyMsMax : network.latencyMsMax / 32)
  }

  const answer = async (server: SimServer, response: Protocol.SyncResponse, replayed: number) => {
    await Effect.runPromise(checks.hook("served", (f) => f(exchange, response)))
    if (response.next !== null) log.fault("chunks")
    log.emit({
      lane: server.name,
      kind: "served",
      ...told,
      seq: response.seq,
      rows: Wire.countRows(response.tables),
      later: response.later.map((r) => log.label(r.id)),
      verdicts: response.verdicts.map(log.verdict),
      replayed
    })
    const body = JSON.stringify(Schema.encodeSync(Wire.WireResponse)(Audiences.shorten(request, response)))
    if (faulty() && (fate.chance(network.lostResponse) || from.unreachable)) {
      log.fault("lost-response")
      return lost("answer", from.unreachable ? "partition" : "lost")
    }
    later(delay(), () => {
      if (faulty() && from.unreachable) return lost("answer", "partition")
      finish({
        _tag: "Response",
        exchange,
        response: Schema.decodeUnknownSync(Wire.WireResponse)(JSON.parse(body))
      })
    })
  }

  /** `again`: nobody waits for the answer to a duplicate alone. */
  const deliver = (again: boolean) => async () => {
    const alive = servers.filter((server) => server.up)
    if (alive.length === 0) {
      lost("request", "no server")
      if (!again) finish({ _tag: "Offline" })
      return
    }
    const server = fate.pick(alive)
    log.emit({ lane: server.name, kind: "arrived", ...told, again })
    const before = server.replayed
    const arrived = Schema.decodeUnknownSync(Wire.WireRequest)(JSON.parse(body))
    await server.serve(from.principal, arrived, async (result) => {
      if (result._tag === "crashed") {
        lost("answer", "the server crashed")
        if (!again) finish({ _tag: "Offline" })
      } else if (result._tag === "failed") {
        const { error } = result
        log.emit({ lane: server.name, kind: "failed", ...told, error: error._tag })
        later(delay(), () => finish({ _tag: "Error", error }))
      } else await answer(server, result.response, server.replayed - before)
    })
  }

  log.emit({
    lane: from.name,
    kind: "sent",
    exchange: exchange.number,
    records: request.records.map((r) => log.label(r.id))
  })
  if (faulty() && from.unreachable) lost("request", "partition")
  else if (faulty() && fate.chance(network.loss)) {
    log.fault("loss")
    lost("request", "lost")
  } else {
    later(delay(), deliver(false))
    if (faulty() && fate.chance(network.duplication)) {
      log.fault("duplication")
      later(delay() + fate.int(againMsMax), deliver(true))
    }
  }
  return exchange
}

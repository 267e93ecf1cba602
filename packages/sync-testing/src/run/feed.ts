/**
 * How a client hears of commits: the real feed of a server and the real decision of the client, with a path between them
 * that loses, delays, doubles and reorders. Connections break with processes, and begin again with what comes from then on.
 */
import { type Listener, type LivePath, LiveShape } from "@synchrotron/sync-client"
import { Audiences, Live, Protocol, type Seq } from "@synchrotron/sync-core"
import { Effect, Queue } from "effect"
import type { Exchange } from "../check/Checker.ts"
import * as Random from "../Random.ts"
import type { Feed } from "../Script.ts"
import type { SimClient } from "./SimClient.ts"
import type { Told } from "./SimServer.ts"
import type { Simulation } from "./Simulation.ts"

/** Until a server is tried again that is down or out of reach. */
const againMs = 10_000
const slowMsMax = 60_000
const mustRefetch = '"control":"must-refetch"'

export interface Follower {
  /** There was a commit. */
  readonly wake: () => void
}

interface Parties {
  readonly simulation: Simulation
  readonly client: SimClient
}

type Row = Readonly<Record<"seq" | "from", string>> & { readonly answer: string | null }

export const feedTo = (feed: Feed, parties: () => Parties): LivePath => ({
  run: (listener) =>
    Effect.gen(function* () {
      const events = yield* Queue.unbounded<Effect.Effect<void>>()
      const connection = new Connection(feed, parties(), listener, (event) => events.unsafeOffer(event))
      const { followers } = parties().simulation
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          followers.add(connection)
          connection.wake()
        }),
        () =>
          Effect.sync(() => {
            followers.delete(connection)
            connection.ended = true
          })
      )
      return yield* Effect.forever(Effect.flatten(Queue.take(events)))
    }).pipe(Effect.scoped, Effect.ensuring(listener.up(false)))
})

/** Connections of all clients so far, by run: each has a fate of its own. */
const connections = new WeakMap<Simulation, number>()

class Connection implements Follower {
  ended = false
  private looks = false
  private offset: { readonly seq: Seq; readonly place: string } | "now" = "now"
  private handle: { readonly digest: string; readonly since: Seq; readonly text: string } | null = null
  private readonly fate: Random.Random
  private readonly feed: Feed
  private readonly parties: Parties
  private readonly listener: Listener
  private readonly tell: (event: Effect.Effect<void>) => void

  constructor(feed: Feed, parties: Parties, listener: Listener, tell: (event: Effect.Effect<void>) => void) {
    this.feed = feed
    this.parties = parties
    this.listener = listener
    this.tell = tell
    const { client, simulation } = parties
    const number = (connections.get(simulation) ?? 0) + 1
    connections.set(simulation, number)
    this.fate = Random.make(simulation.script.seed, "feed", client.name, number)
  }

  wake(): void {
    this.lookAfter(this.delay())
  }

  /** One look is under way or to come, and sees all that happened before it. */
  private lookAfter(ms: number): void {
    if (this.looks || this.ended) return
    this.looks = true
    this.later(ms, () => this.look())
  }

  private async look(): Promise<void> {
    const { client, simulation } = this.parties
    if (this.ended) return
    this.looks = false
    const alive = simulation.servers.filter((server) => server.up)
    if (alive.length === 0 || (!simulation.healed && client.unreachable)) return this.lookAfter(againMs)
    const server = this.fate.pick(alive)
    const request = {
      table: Live.feedTable,
      columns: null,
      client: client.id,
      schema: simulation.scenario.app.schemaHash,
      offset: this.offset,
      handle: this.handle,
      live: "poll",
      cursor: 0
    } as const
    await server.tell(client.principal, request, async (told) => {
      if (this.ended) return
      if (told === null) return this.lookAfter(againMs)
      if (told.messages.some((message) => message.includes(mustRefetch))) return this.begin()
      await this.take(told, server.name)
    })
  }

  /** Another connection, as when the handle is no more. */
  private begin(): void {
    this.offset = "now"
    this.handle = null
    this.tell(Effect.zipRight(this.listener.up(false), this.listener.missed))
    this.lookAfter(this.delay())
  }

  private async take(told: Told, lane: string): Promise<void> {
    const first = this.offset === "now"
    this.offset = told.next
    this.handle ??= { digest: told.digest, since: told.since, text: "" }
    if (first) return this.arrive(this.delay(), Effect.zipRight(this.listener.up(true), this.listener.missed))
    for (const text of told.messages) await this.send(text, told.audiences, lane)
  }

  private async send(text: string, audiences: Told["audiences"], lane: string): Promise<void> {
    const { client, simulation } = this.parties
    const { checks, distort, healed, log } = simulation
    const { value } = JSON.parse(text) as { readonly value: Row }
    const message = distort(await Effect.runPromise(LiveShape.readMessage(value)))
    const { seq } = message
    const answer =
      message.answer &&
      Audiences.named(message.answer, { digest: Audiences.digestOf(audiences), names: audiences })
    const from = Number(value.from) as Seq
    const exchange = simulation.exchange(client, this.askedFor(from, audiences))
    if (answer !== null) await Effect.runPromise(checks.hook("served", (f) => f(exchange, answer)))
    log.emit({
      lane,
      kind: "told",
      exchange: exchange.number,
      client: client.name,
      from,
      seq,
      rows: answer === null ? null : Protocol.countRows(answer.tables)
    })
    log.fault("live")
    if (!healed && (client.unreachable || this.fate.chance(this.feed.loss)))
      return log.emit({
        lane: client.name,
        kind: "lost",
        exchange: exchange.number,
        what: "answer",
        why: client.unreachable ? "partition" : "lost"
      })
    const heard = { exchange, answer }
    this.deliver(message, heard)
    if (!healed && this.fate.chance(this.feed.duplication)) this.deliver(message, heard)
  }

  /** A sync that would have got this answer. */
  private askedFor(from: Seq, audiences: ReadonlyArray<string>): Protocol.SyncRequest {
    const { client, simulation } = this.parties
    return {
      protocol: 0,
      app: simulation.scenario.app.name,
      schema: simulation.scenario.app.schemaHash,
      clientId: client.id as Protocol.SyncRequest["clientId"],
      clientTimeMs: 0,
      seq: from,
      cursors: Object.fromEntries(
        audiences.map((audience) => [audience, from])
      ) as Protocol.SyncRequest["cursors"],
      records: [],
      after: null
    }
  }

  private deliver(
    message: Live.Message,
    heard: { readonly exchange: Exchange; readonly answer: Protocol.SyncResponse | null }
  ): void {
    const again = { ...message }
    this.parties.client.heard.set(again, heard)
    this.arrive(this.delay(), this.listener.message(again))
  }

  private arrive(ms: number, event: Effect.Effect<void>): void {
    this.later(ms, () => {
      if (!this.ended) this.tell(event)
    })
  }

  private delay(): number {
    const { script, healed } = this.parties.simulation
    if (!healed && this.fate.chance(this.feed.slow)) return 1 + this.fate.int(slowMsMax)
    return (
      1 +
      this.fate.int(this.fate.chance(0.5) ? script.network.latencyMsMax : script.network.latencyMsMax / 32)
    )
  }

  private later(ms: number, event: () => void | Promise<void>): void {
    const { time } = this.parties.simulation
    time.schedule(time.now() + ms, event)
  }
}

/**
 * Answers `GET /v1/shape`. What is there is answered at once, in chunks. A live request that finds nothing waits:
 *
 *     read ──► something, or another handle ──────────────────────────► answer
 *       ▲  └─► nothing ──► wait ──► news ──► read
 *       │                     └──► hold time is over, server stops ──► up-to-date alone
 *       └──────────────────── a stream goes on until its time is over
 */
import { IncomingMessage } from "node:http"
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import type { Principal, Protocol } from "@synchrotron/sync-core"
import { Clock, Effect, Random, type Scope } from "effect"
import { EventStream, type Piece, type Sink } from "../live/EventStream.ts"
import { bodyOf, takeOver } from "../live/sinks.ts"
import { formatOffset, mustRefetch, parse, type ShapeRequest, schemaHeader, upToDate } from "./protocol.ts"
import type { Chunk, Refetch } from "./read.ts"
import type { ShapesService, Source } from "./Shapes.ts"

type Response = HttpServerResponse.HttpServerResponse

/** What the server says about the requests that it takes. */
export interface Gate {
  /** Refuses when the server stops or has too much to do. */
  readonly admit: <A, E, R>(request: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Protocol.Unavailable, R>
  readonly stopping: () => boolean
}

export const respond = (
  shapes: ShapesService,
  requests: Gate,
  principal: Principal
): Effect.Effect<
  Response,
  Protocol.InvalidRequest | Protocol.Unavailable,
  HttpServerRequest.HttpServerRequest | Scope.Scope
> =>
  Effect.gen(function* () {
    const { url } = yield* HttpServerRequest.HttpServerRequest
    const request = yield* parse(new URL(url, "http://server").searchParams)
    const source = yield* shapes.find(principal, request)
    const session = { shapes, requests, principal, request, source }
    const first = yield* requests.admit(source.read(request.offset))
    if (first._tag === "Refetch") return yield* refetch(first)
    if (request.live === "no") return yield* answer(session, first)
    if (request.live === "stream") return yield* stream(session, first)
    // Counted until the response is sent to its end.
    yield* shapes.hub.open
    return yield* poll(session, first)
  })

interface Session {
  readonly shapes: ShapesService
  readonly requests: Gate
  readonly principal: Principal
  readonly request: ShapeRequest
  readonly source: Source
}

const poll = (session: Session, first: Chunk) =>
  Effect.gen(function* () {
    const untilMs = (yield* Clock.currentTimeMillis) + session.shapes.holdMs
    let chunk = first
    while (isQuiet(chunk) && (yield* news(session, chunk, untilMs))) {
      const next = yield* readOn(session, chunk)
      if (next._tag === "Refetch") return yield* refetch(next)
      chunk = next
    }
    return yield* answer(session, chunk)
  })

/** The answer is a stream that outlives the request; Node's own answers are written to, as they cost least. */
const stream = (session: Session, first: Chunk) =>
  Effect.gen(function* () {
    const { principal, requests, shapes, source } = session
    const { hub, keepAliveMs, runFork, stallMsMax, streamMs } = shapes
    const request = yield* HttpServerRequest.HttpServerRequest
    const clock = yield* Effect.clock
    const untilMs = clock.unsafeCurrentTimeMillis() + streamMs
    const fields = {
      ...(yield* headers(session, first)),
      "content-type": "text/event-stream",
      // Proxies that know this one do not wait for the end of the stream.
      "x-accel-buffering": "no"
    }
    const leave = yield* hub.enter
    let next = first.next
    const pieceOf = (chunk: Chunk): Piece => {
      next = chunk.next
      const { audiences, seq, upToDate } = chunk
      return {
        text: isQuiet(chunk) ? "" : events(chunk),
        more: !upToDate,
        waiting: { principal, audiences, since: seq }
      }
    }
    const options = {
      clock,
      runFork,
      watch: hub.watch,
      // Once the status is sent, there is no way to say what is wrong; the client comes back, and is told.
      read: Effect.suspend(() => source.read(next)).pipe(
        Effect.map((read) => (read._tag === "Refetch" ? null : pieceOf(read))),
        Effect.catchAllCause(() => Effect.succeed(null))
      ),
      stopping: requests.stopping,
      untilMs,
      keepAliveMs,
      stallMsMax,
      onEnd: leave
    }
    const make = (sink: Sink) => new EventStream({ ...pieceOf(first), text: events(first) }, sink, options)
    if (!(request.source instanceof IncomingMessage))
      return HttpServerResponse.raw(bodyOf(make), { headers: fields })
    takeOver(NodeHttpServerRequest.toServerResponse(request), make)
    return HttpServerResponse.empty({ status: 200, headers: fields })
  })

const isQuiet = (chunk: Chunk) => chunk.upToDate && chunk.messages.length === 0

/** Waits for a reason to read on; false when the time is over, or the server stops. */
const news = ({ principal, shapes }: Session, { audiences, seq }: Chunk, untilMs: number) =>
  shapes.hub.news({ principal, audiences, since: seq, untilMs })

const readOn = ({ source }: Session, { next }: Chunk) => source.read(next)

const answer = (session: Session, chunk: Chunk) =>
  Effect.map(headers(session, chunk), (headers) =>
    HttpServerResponse.text(`[${lines(chunk).join(",\n")}]`, { contentType: "application/json", headers })
  )

const headers = ({ request, source }: Session, chunk: Chunk) =>
  Effect.gen(function* () {
    const handle = typeof request.offset === "object" ? request.handle : null
    const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    return {
      ...private_,
      "electric-handle": handle?.text ?? (yield* newHandle(chunk)),
      "electric-offset": formatOffset(chunk.next),
      [schemaHeader]: source.schema,
      ...(chunk.upToDate && { "electric-up-to-date": "" }),
      ...(request.live !== "no" && { "electric-cursor": String(Math.max(seconds, request.cursor + 1)) })
    }
  })

const refetch = (refetch: Refetch) =>
  Effect.map(newHandle(refetch), (handle) =>
    HttpServerResponse.text(mustRefetch, {
      status: 409,
      contentType: "application/json",
      headers: { ...private_, "electric-handle": handle }
    })
  )

/** One user's rows are for no cache. */
const private_ = { "cache-control": "no-store" }

/** Never one that was there before: a client gives up a handle for good when it is told that it is no more. */
const newHandle = ({ digest, since }: Pick<Chunk, "digest" | "since">) =>
  Effect.map(
    Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
    (nonce) => `${digest}-${since}-${nonce.toString(16)}`
  )

const lines = (chunk: Chunk): ReadonlyArray<string> =>
  chunk.upToDate ? [...chunk.messages, upToDate(chunk.next.seq)] : chunk.messages

const events = (chunk: Chunk): string =>
  lines(chunk)
    .map((line) => `data: ${line}\n\n`)
    .join("")

/**
 * Answers `GET /v1/shape`. What is there is answered at once, in chunks. A live request that finds nothing waits:
 *
 *     read ──► something, or another handle ──────────────────────────► answer
 *       ▲  └─► nothing ──► wait ──► news ──► read
 *       │                     └──► hold time is over, server stops ──► up-to-date alone
 *       └──────────────────── a stream goes on until its time is over
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { Principal, Protocol } from "@synchrotron/sync-core"
import { Clock, Effect, Option, Random, type Scope, Stream } from "effect"
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
    // Counted until the response is sent to its end.
    yield* shapes.hub.open
    return yield* request.live === "poll" ? poll(session, first) : stream(session, first)
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

const stream = (session: Session, first: Chunk) =>
  Effect.gen(function* () {
    const untilMs = (yield* Clock.currentTimeMillis) + session.shapes.streamMs
    return HttpServerResponse.stream(
      eventsFrom(session, { text: events(first), read: readOf(first), untilMs }),
      {
        contentType: "text/event-stream",
        // Proxies that know this one do not wait for the end of the stream.
        headers: { ...(yield* headers(session, first)), "x-accel-buffering": "no" }
      }
    )
  })

/** How far a stream has read. It may last, so it holds no rows. */
type Read = Pick<Chunk, "audiences" | "next" | "seq" | "upToDate">

const readOf = ({ audiences, next, seq, upToDate }: Read): Read => ({ audiences, next, seq, upToDate })

interface Streaming {
  /** What was read and not sent yet. */
  text: string
  read: Read
  readonly untilMs: number
}

/** Rows of one commit after another, with a word to say that they are complete. */
const eventsFrom = (session: Session, state: Streaming) =>
  Stream.encodeText(
    Stream.repeatEffectOption(
      Effect.gen(function* () {
        while (state.text === "") yield* streamOn(session, state)
        const { text } = state
        state.text = ""
        return text
      })
    )
  )

/** Waits and reads once; fails with `None` where the stream ends. */
const streamOn = (session: Session, state: Streaming) =>
  Effect.gen(function* () {
    if (state.read.upToDate) {
      const nowMs = yield* Clock.currentTimeMillis
      if (nowMs >= state.untilMs || session.requests.stopping()) return yield* ended
      const silentUntilMs = Math.min(state.untilMs, nowMs + session.shapes.keepAliveMs)
      if (!(yield* news(session, state.read, silentUntilMs))) {
        state.text = keepAlive
        return
      }
    }
    // Once the status is sent, there is no way to say that the database does not answer.
    const next = yield* Effect.catchAll(readOn(session, state.read), () => ended)
    // The client comes back, and is told that its handle is no more.
    if (next._tag === "Refetch") return yield* ended
    state.read = readOf(next)
    if (!isQuiet(next)) state.text = events(next)
  })

const ended = Effect.fail(Option.none())

const keepAlive = ": keep-alive\n\n"

const isQuiet = (chunk: Chunk) => chunk.upToDate && chunk.messages.length === 0

/** Waits for a reason to read on; false when the time is over, or the server stops. */
const news = ({ principal, shapes }: Session, { audiences, seq }: Read, untilMs: number) =>
  shapes.hub.news({ principal, audiences, since: seq, untilMs })

const readOn = ({ source }: Session, { next }: Read) => source.read(next)

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

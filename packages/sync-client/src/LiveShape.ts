/**
 * The live path over Electric's client: `ShapeStream` on the feed of this client (see sync-core's `Live`), by server-sent
 * events or long polls. It begins with what comes from now on, so each stream that comes up asks for one sync.
 *
 * | what happens                                        | what is done                                                      |
 * |-----------------------------------------------------|-------------------------------------------------------------------|
 * | the network breaks, 429, 5xx                        | `ShapeStream` tries again with backoff and goes on where it was   |
 * | 401                                                 | the token is asked for once more; the second time the stream ends |
 * | must-refetch, also as 409: the audiences are others | the stream ends, and a sync is asked for                          |
 * | another 4xx, such as a server without a feed        | the stream ends                                                   |
 * | nothing is heard for `liveSilenceMsMax`             | the stream ends                                                   |
 *
 * A stream that ends is followed by another one: at once, or with backoff when several in a row were short.
 */
import { FetchError, type Message, type Row, ShapeStream } from "@electric-sql/client"
import { Live, Seq } from "@synchrotron/sync-core"
import { Clock, Deferred, Effect, type ParseResult, Queue, Random, Runtime, Schema } from "effect"
import * as Limits from "./Limits.ts"
import type { Listener, LivePath } from "./LivePath.ts"
import { backoffMs, settings } from "./SessionState.ts"
import * as TransportHttp from "./TransportHttp.ts"

export interface Options {
  /** Where the server is; `/v1/shape` is appended. */
  readonly url: string
  readonly token: TransportHttp.Token
  readonly fetch?: typeof globalThis.fetch | undefined
  readonly clientId: string
  /** The application's schema hash: rows of another schema are not for this client. */
  readonly schema: string
  /** `long-poll` where what is between does not let events through; `sse` falls back to it by itself. */
  readonly mode: "sse" | "long-poll"
}

export const make = (options: Options): LivePath => ({
  run: (listener) =>
    Effect.gen(function* () {
      let short = 0
      while (true) {
        const beganMs = yield* Clock.currentTimeMillis
        yield* stream(options, listener)
        yield* listener.up(false)
        const lastedMs = (yield* Clock.currentTimeMillis) - beganMs
        short = lastedMs < Limits.liveMsMin ? short + 1 : 0
        if (short > 1) yield* Effect.sleep(backoffMs("retryable", short - 1, yield* Random.next, settings))
      }
    }).pipe(Effect.ensuring(listener.up(false)))
})

type Batch = ReadonlyArray<Message<Row<never>>>

/** One stream, until it ends. */
const stream = (options: Options, listener: Listener) =>
  Effect.scoped(
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime()
      const runFork = Runtime.runFork(runtime)
      const nowMs = () => Runtime.runSync(runtime, Clock.currentTimeMillis)
      const batches = yield* Queue.dropping<Batch>(Limits.liveQueueMax)
      const ended = yield* Deferred.make<void>()
      const end = () => void Deferred.unsafeDone(ended, Effect.void)
      let heardMs = nowMs()
      const hear = () => {
        heardMs = nowMs()
      }
      const controller = yield* Effect.acquireRelease(
        Effect.sync(() => new AbortController()),
        (controller) => Effect.sync(() => controller.abort())
      )
      let refused = 0
      const shape = new ShapeStream<Row<never>>({
        url: `${base(options.url)}/v1/shape`,
        params: { table: Live.feedTable, client: options.clientId, schema: options.schema },
        offset: "now",
        liveSse: options.mode === "sse",
        headers: {
          authorization: async () => `Bearer ${await Effect.runPromise(TransportHttp.tokenOf(options.token))}`
        },
        signal: controller.signal,
        fetchClient: hearing(options.fetch ?? globalThis.fetch, hear),
        backoffOptions: {
          initialDelay: settings.retryMsMin,
          maxDelay: settings.retryMsMax,
          multiplier: 2,
          onFailedAttempt: () => void runFork(listener.up(false))
        },
        onError: (error) => {
          runFork(listener.up(false))
          return error instanceof FetchError && error.status === 401 && ++refused === 1 ? {} : undefined
        },
        // Hidden pages follow as well: they would have to ask otherwise.
        runtimeVisibility: { subscribe: () => () => {} },
        warnOnHttp: false
      })
      shape.subscribe((batch) => {
        refused = 0
        // What finds no room leaves a gap, which only a sync fills.
        if (!batches.unsafeOffer(batch)) runFork(listener.missed)
      }, end)
      yield* Effect.addFinalizer(() => Effect.sync(() => shape.unsubscribeAll()))

      let first = true
      const take = (message: Batch[number]) =>
        Effect.gen(function* () {
          const { headers } = message
          if ("key" in message) return yield* tell(message.value, listener)
          if (headers.control === "must-refetch") {
            yield* listener.missed
            return end()
          }
          if (headers.control !== "up-to-date") return
          yield* listener.up(true)
          if (first) yield* listener.missed
          first = false
        })
      const following = Effect.forever(
        Effect.flatMap(Queue.take(batches), (batch) => Effect.forEach(batch, take, { discard: true }))
      )
      const silence = Effect.gen(function* () {
        yield* Effect.sleep(Limits.liveSilenceMsMax / 4)
        if (nowMs() - heardMs > Limits.liveSilenceMsMax) end()
      })
      yield* Effect.raceFirst(Deferred.await(ended), Effect.raceFirst(following, Effect.forever(silence)))
    })
  )

const base = (url: string) => {
  const absolute = url.startsWith("/") && "location" in globalThis ? new URL(url, location.href).href : url
  return absolute.replace(/\/+$/, "")
}

const tell = (value: Row<never>, listener: Listener) =>
  Effect.matchEffect(readMessage(value), { onFailure: () => listener.missed, onSuccess: listener.message })

/** A row of the feed as a message; one without an answer is of a server that may not read rows. */
export const readMessage = (
  value: Readonly<Record<string, unknown>>
): Effect.Effect<Live.Message, ParseResult.ParseError> =>
  Effect.gen(function* () {
    const { answer, from = value.seq, seq } = value
    return {
      seq: yield* decodeSeq(Number(seq)),
      from: yield* decodeSeq(Number(from)),
      answer: typeof answer === "string" ? yield* TransportHttp.decodeResponse(answer) : null
    }
  })

const decodeSeq = Schema.decodeUnknown(Seq)

/** Tells when something comes: a connection may break without anybody noticing. */
const hearing =
  (fetch: typeof globalThis.fetch, hear: () => void): typeof globalThis.fetch =>
  async (input, init) => {
    hear()
    const response = await fetch(input, init)
    hear()
    if (response.body === null) return response
    const heard = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) => {
        hear()
        controller.enqueue(bytes)
      }
    })
    return new Response(response.body.pipeThrough(heard), response)
  }

/**
 * The transport over a channel of messages, such as a WebSocket, in both directions: what the session asks, and a request
 * that waits, whose answers are the live path. The messages are `Duplex`'s. The channel is opened when the session has
 * something to ask, and again after it broke.
 *
 *     session ── sync ──► request ──► answer ──► where the client is now
 *        ▲                                          │ ▲
 *        │                                          ▼ │ the next one
 *        └── message ◄── answer, when there is something new ◄── request that waits
 */
import { Audiences, Duplex, Protocol } from "@synchrotron/sync-core"
import { Deferred, Effect, Option, Queue, Schema, type Scope } from "effect"
import { Offline } from "./Errors.ts"
import * as Limits from "./Limits.ts"
import type { Listener, LivePath } from "./LivePath.ts"
import type { Transport, WireError } from "./Transport.ts"
import { type Options, readAnswer, tokenOf } from "./TransportHttp.ts"

/** An open connection. */
export interface Channel {
  readonly send: (message: string) => void
  readonly close: () => void
}

/** What a connection tells. After `onClose` it tells nothing more. */
export interface Events {
  readonly onMessage: (message: string) => void
  readonly onClose: () => void
}

/** Opens a connection to the URL; rejects when there is none to be had. */
export type Open = (url: string, events: Events) => Promise<Channel>

/**
 * For the option `transport` of a client.
 *
 * @example
 * createSyncClient({ app, dataDir, server: { url: "wss://sync.example.com", token }, transport: TransportDuplex.over(openWebSocket) })
 */
export const over =
  (open: Open) =>
  (options: Options): Effect.Effect<Transport & { readonly livePath: LivePath }, never, Scope.Scope> =>
    Effect.gen(function* () {
      const line = yield* makeLine(open, options)
      const timeoutMs = options.timeoutMs ?? Limits.messageTimeoutMs
      const ask = Audiences.over((request) => within(timeoutMs, line, line.ask(request, false)))
      const wait = Audiences.over((request) => within(Limits.liveSilenceMsMax, line, line.ask(request, true)))
      /** Where the client will be when it has applied the last answer. */
      const places = yield* Queue.sliding<Protocol.SyncRequest>(1)

      const sync = Effect.fn("TransportDuplex.sync")(function* (request: Protocol.SyncRequest) {
        const response = yield* ask(request)
        // Until all chunks of a load are here there is nothing to follow.
        if (response.next === null) yield* Queue.offer(places, placeAfter(request, response))
        return response
      })

      /** Waits and tells, from one place to the next, until the connection breaks. */
      const follow = (listener: Listener, from: Protocol.SyncRequest) =>
        Effect.gen(function* () {
          yield* listener.up(true)
          for (let at = from; ; ) {
            const answer = yield* wait(at)
            if (!Duplex.isNews(at, answer)) continue
            yield* listener.message({ seq: answer.seq, from: at.seq!, answer })
            if (answer.next !== null) return yield* Effect.never
            at = placeAfter(at, answer)
          }
        }).pipe(
          Effect.tapError(() => listener.up(false)),
          // The session opens the next connection. What the server refuses is tried again after the session's next exchange.
          Effect.catchTag("Offline", () => Effect.delay(listener.missed, Limits.retryMsMin)),
          Effect.ignore,
          Effect.zipRight(Effect.never)
        )

      const livePath: LivePath = {
        run: (listener) =>
          Effect.gen(function* () {
            let place = yield* Queue.take(places)
            // An exchange of the session leads to another place.
            while (true) place = yield* Effect.raceFirst(Queue.take(places), follow(listener, place))
          }).pipe(Effect.ensuring(Effect.zipRight(line.hangUp, listener.up(false))))
      }
      return { sync, livePath }
    })

/** Without records: what is pending then, a message cannot take into account. */
const placeAfter = (
  request: Protocol.SyncRequest,
  response: Protocol.SyncResponse
): Protocol.SyncRequest => ({
  ...Duplex.next(request, response),
  after: null
})

/** A connection that does not answer may be dead and not know it. */
const within = <A>(timeoutMs: number, line: Line, effect: Effect.Effect<A, WireError>) =>
  Effect.timeoutFail(effect, {
    duration: timeoutMs,
    onTimeout: () => new Offline({ message: `The server did not answer within ${timeoutMs} ms.` })
  }).pipe(Effect.tapErrorTag("Offline", () => line.hangUp))

interface Line {
  /** One message and its answer, over the connection that is there or a new one. */
  readonly ask: (
    request: Protocol.WireRequest,
    wait: boolean
  ) => Effect.Effect<Protocol.WireResponse, WireError>
  /** Closes the connection, if there is one. */
  readonly hangUp: Effect.Effect<void>
}

interface Connection {
  readonly channel: Channel
  /** Requests without an answer, by id. */
  readonly asked: Map<number, Deferred.Deferred<Protocol.WireResponse, WireError>>
}

const makeLine = (open: Open, { token, url }: Options): Effect.Effect<Line, never, Scope.Scope> =>
  Effect.gen(function* () {
    const opening = yield* Effect.makeSemaphore(1)
    let connection: Connection | undefined
    let closed = false
    let lastId = 0

    const lose = (lost: Connection) => {
      if (connection === lost) connection = undefined
      for (const answer of lost.asked.values()) Deferred.unsafeDone(answer, Effect.fail(broken))
      lost.asked.clear()
    }

    const connect = Effect.tryPromise({
      try: async () => {
        const asked: Connection["asked"] = new Map()
        let ended = false
        let made: Connection | undefined
        const channel = await open(url, {
          onMessage: (message) => take(asked, message),
          onClose: () => {
            ended = true
            if (made !== undefined) lose(made)
          }
        })
        if (closed) channel.close()
        if (ended || closed) throw broken
        made = { channel, asked }
        connection = made
        return made
      },
      catch: (error) =>
        new Offline({
          message: `The server cannot be reached: ${error instanceof Error ? error.message : String(error)}`
        })
    })

    const hangUp = Effect.sync(() => {
      const old = connection
      if (old === undefined) return
      lose(old)
      old.channel.close()
    })
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        Effect.sync(() => {
          closed = true
        }),
        hangUp
      )
    )

    return {
      hangUp,
      ask: (request, wait) =>
        Effect.gen(function* () {
          const bearer = yield* tokenOf(token)
          const body = yield* Effect.orDie(encodeRequest(request))
          const { asked, channel } = yield* opening.withPermits(1)(
            Effect.suspend(() => (connection === undefined ? connect : Effect.succeed(connection)))
          )
          const id = ++lastId
          const answer = yield* Deferred.make<Protocol.WireResponse, WireError>()
          asked.set(id, answer)
          yield* Effect.try({
            try: () => channel.send(Duplex.write({ id, token: bearer, ...(wait ? { wait } : {}) }, body)),
            catch: () => broken
          })
          return yield* Effect.ensuring(
            Deferred.await(answer),
            Effect.sync(() => asked.delete(id))
          )
        })
    }
  })

const broken = new Offline({ message: "The connection broke." })

/** Gives a message to who asked for it. What nobody waits for any more is dropped. */
const take = (asked: Connection["asked"], message: string): void => {
  const { body, head } = Option.getOrElse(readHead(message), () => ({ body: "", head: { id: 0, ok: false } }))
  const answer = asked.get(head.id)
  asked.delete(head.id)
  if (answer !== undefined)
    Deferred.unsafeDone(answer, head.ok ? readAnswer(body) : Effect.flip(readError(body)))
}

const readHead = Duplex.reader(Duplex.AnswerHead)
const encodeRequest = Schema.encode(Schema.parseJson(Protocol.WireRequest))
const decodeError = Schema.decodeUnknown(Schema.parseJson(Protocol.SyncError))

const readError = (body: string): Effect.Effect<WireError> =>
  Effect.orElseSucceed(
    decodeError(body),
    () =>
      new Protocol.Unavailable({ message: `The answer is no error of the protocol: ${body.slice(0, 200)}` })
  )

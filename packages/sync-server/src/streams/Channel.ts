/**
 * Answers a client over a channel of messages, as `Duplex` describes them. Each request is checked as over HTTP: its token,
 * its size, its schema. What a connection has under way is bounded, and ends with it, but for what has begun to be judged.
 */
import { Audiences, Duplex, type Principal, Protocol } from "@synchrotron/sync-core"
import { Effect, FiberMap, FiberSet, Option, Redacted, type Scope } from "effect"
import { Authenticator, authenticate } from "../Auth.ts"
import { parseSyncRequest } from "../http/body.ts"
import { causeError, encodeError } from "../http/errors.ts"
import type { Requests } from "../http/requests.ts"
import { Hub } from "../live/Hub.ts"
import { holdMsDefault, SyncStreams } from "./Streams.ts"

export interface ChannelOptions {
  /** Bytes of a message; `Protocol.limits.bodyBytesMax` unless given. */
  readonly bodyBytesMax?: number | undefined
  /** Requests of one connection that are answered at the same time; 8 unless given. */
  readonly channelRequestsMax?: number | undefined
  /** How long a request waits for something new, in milliseconds; 20,000 unless given. */
  readonly holdMs?: number | undefined
}

export interface Channel {
  /** Takes a message of the client, and sends the answer when it is there. */
  readonly receive: (message: string) => Effect.Effect<void>
}

const read = Duplex.reader(Duplex.RequestHead)

/** A connection for the life of the scope. `send` is done when the channel has room for another message. */
export const make = (
  requests: Pick<Requests, "admit" | "finish">,
  send: (message: string) => Effect.Effect<void>,
  options: ChannelOptions
): Effect.Effect<Channel, never, SyncStreams | Authenticator | Hub | Scope.Scope> =>
  Effect.gen(function* () {
    const streams = yield* SyncStreams
    const authenticator = yield* Authenticator
    const hub = yield* Hub
    const {
      bodyBytesMax = Protocol.limits.bodyBytesMax,
      channelRequestsMax = 8,
      holdMs = holdMsDefault
    } = options
    const answering = yield* FiberSet.make<void>()
    const waiting = yield* FiberMap.make<"next", void>()

    const answer = (head: Duplex.RequestHead, body: string) =>
      Effect.gen(function* () {
        const principal = yield* authenticate(authenticator, Redacted.make(head.token))
        const request = yield* parseSyncRequest(() => body)
        if (head.wait === true && request.records.length > 0)
          return yield* invalid("A request that waits has no records.")
        const response =
          head.wait === true
            ? yield* wait(principal, request)
            : yield* requests.admit(requests.finish(streams.inbound(principal, request)))
        return Audiences.shorten(request, response)
      }).pipe(
        Effect.map((response) => Duplex.write({ id: head.id, ok: true }, JSON.stringify(response))),
        Effect.catchTag("BodyRefused", ({ message }) => invalid(message)),
        Effect.catchAllCause((cause) => Effect.map(causeError(cause), (error) => refusal(head.id, error))),
        Effect.flatMap(send)
      )

    const wait = (principal: Principal, request: Protocol.WireRequest) =>
      // Admitted at the beginning alone: who waits keeps nobody out.
      Effect.scoped(requests.admit(hub.open).pipe(Effect.zipRight(streams.next(principal, request, holdMs))))

    return {
      receive: (message) =>
        Effect.gen(function* () {
          if (Buffer.byteLength(message) > bodyBytesMax)
            return yield* send(refusal(0, tooLarge(bodyBytesMax)))
          const parts = Option.getOrUndefined(read(message))
          if (parts === undefined) return yield* send(refusal(0, noMessage))
          const { body, head } = parts
          if (head.wait === true) yield* FiberMap.run(waiting, "next", answer(head, body))
          else if ((yield* FiberSet.size(answering)) < channelRequestsMax)
            yield* FiberSet.run(answering, answer(head, body))
          else yield* send(refusal(head.id, busy(channelRequestsMax)))
        })
    }
  })

const refusal = (id: number, error: Protocol.SyncError): string =>
  Duplex.write({ id, ok: false }, JSON.stringify(encodeError(error)))

const invalid = (message: string) => new Protocol.InvalidRequest({ message })
const noMessage = invalid(
  "The message does not begin with a line of JSON that has an id and a token, followed by a request."
)
const tooLarge = (bytesMax: number) => invalid(`The message is larger than ${bytesMax} bytes.`)
const busy = (requestsMax: number) =>
  new Protocol.Unavailable({
    message: `This connection has ${requestsMax} requests under way already.`,
    retryAfterMs: 1000
  })

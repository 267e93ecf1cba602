/**
 * The transport over HTTP: `POST <url>/v1/sync` with a bearer token, JSON both ways. Compression is left to the
 * platform: browsers and Node ask for gzip and unpack it by themselves.
 *
 * | answer                                          | becomes                                                    |
 * |-------------------------------------------------|------------------------------------------------------------|
 * | 200 with a sync response                        | the response                                               |
 * | a body that is a `Protocol.SyncError`           | that error; `retryAfterMs` from `retry-after` if it has none |
 * | 401, 403 of another kind (a proxy's)            | `Unauthorized`                                             |
 * | 413 of another kind                             | `InvalidRequest`                                           |
 * | anything else: 404, 429, 5xx, HTML with a 200   | `Unavailable`, for such answers come from what is between  |
 * | no answer, a timeout, a token that cannot be had | `Offline`                                                 |
 */
import { FetchHttpClient, HttpClient, HttpClientRequest, type HttpClientResponse } from "@effect/platform"
import { Audiences, Protocol } from "@synchrotron/sync-core"
import { Clock, Effect, Layer, Option, Schema } from "effect"
import { Offline } from "./Errors.ts"
import * as Limits from "./Limits.ts"
import { Transport, type WireError } from "./Transport.ts"

/** A bearer token, or a function that gives one; it is called for each request, so it may renew the token. */
export type Token = string | (() => string | Promise<string>)

export interface Options {
  /** Where the server is, such as `https://sync.example.com`; `/v1/sync` is appended. */
  readonly url: string
  readonly token: Token
  /** Milliseconds until the answer must begin; 30 seconds unless given. Reading it may take 5 minutes more. */
  readonly timeoutMs?: number | undefined
}

/** The transport over a given HttpClient. */
export const make = (options: Options): Effect.Effect<Transport, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http) => {
    // Trace headers would make every cross-origin request ask for a preflight that servers refuse.
    const client = HttpClient.withTracerPropagation(http, false)
    const url = `${options.url.replace(/\/+$/, "")}/v1/sync`
    const timeoutMs = options.timeoutMs ?? Limits.requestTimeoutMs
    const exchange = Effect.fn("TransportHttp.exchange")((request: Protocol.WireRequest) =>
      Effect.gen(function* () {
        const token = yield* tokenOf(options.token)
        const body = yield* Effect.orDie(encodeRequest(request))
        const post = HttpClientRequest.post(url).pipe(
          HttpClientRequest.bearerToken(token),
          HttpClientRequest.bodyText(body, "application/json")
        )
        const response = yield* within(timeoutMs, Effect.mapError(client.execute(post), unreachable))
        const text = yield* within(Limits.answerTimeoutMs, Effect.mapError(response.text, unreachable))
        return yield* response.status === 200 ? readAnswer(text) : Effect.flip(readError(response, text))
      })
    )
    return { sync: Audiences.over(exchange) }
  })

/** The transport over `fetch`: the platform's, or the one given (a server in the same process, a test's). */
export const makeFetch = (
  options: Options & { readonly fetch?: typeof globalThis.fetch | undefined }
): Effect.Effect<Transport> => {
  const transport = Effect.provide(make(options), FetchHttpClient.layer)
  return options.fetch === undefined
    ? transport
    : Effect.map(transport, ({ sync }) => ({
        sync: (request) => Effect.provideService(sync(request), FetchHttpClient.Fetch, options.fetch!)
      }))
}

export const layer = (options: Options): Layer.Layer<Transport, never, HttpClient.HttpClient> =>
  Layer.effect(Transport, make(options))

export const layerFetch = (options: Parameters<typeof makeFetch>[0]): Layer.Layer<Transport> =>
  Layer.effect(Transport, makeFetch(options))

/** The token as a string. A function that fails is taken for a network that fails: renewing needs one. */
export const tokenOf = (token: Token): Effect.Effect<string, Offline> =>
  typeof token === "string"
    ? Effect.succeed(token)
    : Effect.tryPromise({
        try: async () => token(),
        catch: (error) => new Offline({ message: `The token could not be had: ${messageOf(error)}` })
      })

const within = <A>(timeoutMs: number, effect: Effect.Effect<A, Offline>): Effect.Effect<A, Offline> =>
  Effect.timeoutFail(effect, {
    duration: timeoutMs,
    onTimeout: () => new Offline({ message: `The server did not answer within ${timeoutMs} ms.` })
  })

const encodeRequest = Schema.encode(Schema.parseJson(Protocol.WireRequest))
/** Reads a sync response from its JSON text. */
export const decodeResponse = Schema.decodeUnknown(Schema.parseJson(Protocol.WireResponse))
const decodeError = Schema.decodeUnknown(Schema.parseJson(Protocol.SyncError))

/** An answer's body. */
export const readAnswer = (text: string): Effect.Effect<Protocol.WireResponse, WireError> =>
  Effect.mapError(
    decodeResponse(text),
    ({ message }) =>
      new Protocol.Unavailable({ message: `The answer is not a sync response: ${message.slice(0, 500)}` })
  )

const readError = (response: HttpClientResponse.HttpClientResponse, text: string): Effect.Effect<WireError> =>
  Effect.gen(function* () {
    const retryAfterMs = retryAfter(response.headers["retry-after"], yield* Clock.currentTimeMillis)
    const known = yield* Effect.option(decodeError(text))
    if (Option.isSome(known)) {
      const error = known.value
      return error._tag === "Unavailable" && error.retryAfterMs === undefined
        ? unavailable(error.message, retryAfterMs)
        : error
    }
    const message = `The server answered ${response.status}: ${text.slice(0, 200)}`
    if (response.status === 401 || response.status === 403) return new Protocol.Unauthorized({ message })
    if (response.status === 413) return new Protocol.InvalidRequest({ message })
    return unavailable(message, retryAfterMs)
  })

const unavailable = (message: string, retryAfterMs: number | undefined) =>
  new Protocol.Unavailable(retryAfterMs === undefined ? { message } : { message, retryAfterMs })

/** `retry-after` in milliseconds: seconds or a date (RFC 9110, 10.2.3); undefined when absent or unreadable. */
export const retryAfter = (header: string | undefined, nowMs: number): number | undefined => {
  if (header === undefined) return undefined
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - nowMs
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

const unreachable = (error: { readonly message: string; readonly cause?: unknown }) =>
  new Offline({ message: `The server cannot be reached: ${messageOf(error.cause ?? error)}` })

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

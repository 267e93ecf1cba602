/** Every failure as a response: the encoded tagged error with its status. */
import { HttpServerError, HttpServerResponse } from "@effect/platform"
import { Protocol } from "@synchrotron/sync-core"
import { Cause, Effect, Option, Schema } from "effect"
import { openApiPath, statusByTag } from "../Api.ts"

const retryAfterMsDefault = 1000

export const encodeError = Schema.encodeSync(Protocol.SyncError)
const isSyncError = Schema.is(Protocol.SyncError)

/** The response to an error; `status` only where it is not the error's own. */
export const errorResponse = (
  error: Protocol.SyncError,
  status: number = statusByTag[error._tag]
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(encodeError(error), { status, headers: headers(error) })

const headers = (error: Protocol.SyncError): Record<string, string> => {
  if (error._tag === "Unauthorized") return { "www-authenticate": "Bearer" }
  if (error._tag !== "Unavailable") return {}
  const retryAfterMs = error.retryAfterMs ?? retryAfterMsDefault
  return { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }
}

/** The request's body cannot be taken at all: 413 too large, 415 in an encoding that the server does not know. */
export class BodyRefused {
  readonly _tag = "BodyRefused"
  readonly status: 413 | 415
  readonly message: string
  constructor(status: 413 | 415, message: string) {
    this.status = status
    this.message = message
  }
  get response() {
    return errorResponse(new Protocol.InvalidRequest({ message: this.message }), this.status)
  }
}

/**
 * The response to whatever went wrong. What nobody foresaw is logged, and the client is told to try again: its records
 * are safe where they are, and giving up on them would lose them (I4).
 */
export const causeResponse = (
  cause: Cause.Cause<unknown>
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  if (error instanceof HttpServerError.RouteNotFound)
    return Effect.succeed(
      errorResponse(new Protocol.InvalidRequest({ message: noRoute(error.request) }), 404)
    )
  return Effect.map(causeError(cause), (error) => errorResponse(error))
}

/** The same as an error of the protocol. */
export const causeError = (cause: Cause.Cause<unknown>): Effect.Effect<Protocol.SyncError> => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  if (isSyncError(error)) return Effect.succeed(error)
  if (Cause.isInterruptedOnly(cause))
    return Effect.succeed(new Protocol.Unavailable({ message: "The server is stopping." }))
  return Effect.as(
    Effect.logError("A request failed in a way that nobody foresaw", cause),
    new Protocol.Unavailable({ message: "The server failed on this request; its log says why." })
  )
}

const noRoute = (request: { readonly method: string; readonly url: string }) =>
  `There is no ${request.method} ${clip(request.url.split("?")[0]!, 100)} here, but POST /v1/sync, GET /v1/shape, GET /v1/health and GET ${openApiPath}.`

/** A server made of an `Authority` alone. */
export const noShapes = errorResponse(
  new Protocol.InvalidRequest({ message: "This server serves no shapes: it was started without them." }),
  404
)

/** Text that may be long, short enough for a message. */
export const clip = (text: string, charsMax = 200): string =>
  text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`

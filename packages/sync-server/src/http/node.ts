/** The app on Node's own HTTP server, with a shutdown that loses no answer. */
import { createServer, type Server } from "node:http"
import type { HttpServerError } from "@effect/platform"
import { type HttpApp, HttpBody, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import type { Authenticator } from "../Auth.ts"
import type { Authority } from "../Authority.ts"
import * as App from "./app.ts"

export interface NodeOptions extends App.HttpOptions {
  /** Address to listen on; 127.0.0.1 unless given, which only this machine can reach. */
  readonly host?: string
  /** 4400 unless given; 0 takes a free one. */
  readonly port?: number
}

export const hostDefault = "127.0.0.1"
export const portDefault = 4400

/** Listens while the layer lives; `HttpServer.address` says where. */
export const layer = (
  options: NodeOptions
): Layer.Layer<HttpServer.HttpServer, HttpServerError.ServeError, Authority | Authenticator> =>
  Layer.scoped(
    HttpServer.HttpServer,
    Effect.gen(function* () {
      const { app, requests } = yield* App.make(options)
      const node = createServer()
      const answering = answersOf(node)
      const server = yield* NodeHttpServer.make(() => node, {
        host: options.host ?? hostDefault,
        port: options.port ?? portDefault
      })
      yield* server.serve(interruptible(lastWhen(requests.stopping, app)))
      yield* Effect.addFinalizer(() =>
        Effect.flatMap(requests.stop, (leftMs) => stop(node, answering, leftMs))
      )
      return server
    })
  )

/** Tells clients not to send another request on this connection. */
const lastWhen = (stopping: () => boolean, app: HttpApp.Default): HttpApp.Default =>
  Effect.map(app, (response) =>
    stopping() ? HttpServerResponse.setHeader(response, "connection", "close") : response
  )

/**
 * Effect's server sends bytes without letting itself be interrupted, and waits for their end for ever when the client
 * hangs up before it: with all that the request's scope holds, such as a place among those who wait. A stream it gives up.
 */
const interruptible = (app: HttpApp.Default): HttpApp.Default =>
  Effect.map(app, (response) => {
    const { body } = response
    return body._tag === "Uint8Array"
      ? HttpServerResponse.setBody(
          response,
          HttpBody.stream(Stream.make(body.body), body.contentType, body.contentLength)
        )
      : response
  })

/** Listens no more, waits for the answers that are under way, but not for ever, and hangs up. */
const stop = (node: Server, answering: ReadonlySet<unknown>, leftMs: number) =>
  Effect.sync(() => node.close()).pipe(
    Effect.zipRight(
      Effect.repeat(
        Effect.delay(
          Effect.sync(() => answering.size),
          pollMs
        ),
        { until: (left) => left === 0 }
      )
    ),
    // Finalizers are uninterruptible, and a timeout has to interrupt.
    Effect.interruptible,
    Effect.timeoutOption(leftMs),
    Effect.zipRight(Effect.sync(() => node.closeAllConnections()))
  )

/** The answers that are not sent to their end. Connections say less: browsers open some that they never use. */
const answersOf = (node: Server): ReadonlySet<unknown> => {
  const answering = new Set<unknown>()
  node.on("request", (_, response) => {
    answering.add(response)
    response.once("close", () => answering.delete(response))
  })
  return answering
}

const pollMs = 20

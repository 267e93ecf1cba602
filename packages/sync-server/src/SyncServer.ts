/**
 * The sync server. {@link layerHttp} listens on Node, {@link handler} is a function from `Request` to `Response` for every
 * other server.
 */
import { HttpApp } from "@effect/platform"
import { Effect, type Scope } from "effect"
import type { Authenticator } from "./Auth.ts"
import type { Authority } from "./Authority.ts"
import * as App from "./http/app.ts"
import * as Node from "./http/node.ts"

export type { Database } from "./database.ts"
export type { Cors, HttpOptions } from "./http/app.ts"
export type { NodeOptions } from "./http/node.ts"

export type Handler = (request: Request) => Promise<Response>

/** The HTTP interface alone, on Node; for applications that bring their own authority or authenticator. */
export const layerHttp = Node.layer

/** The HTTP interface alone, as a web-standard handler that works while the scope is open. */
export const handler = (
  options: App.HttpOptions = {}
): Effect.Effect<Handler, never, Authority | Authenticator | Scope.Scope> =>
  Effect.gen(function* () {
    const { app } = yield* App.make(options)
    const run = HttpApp.toWebHandlerRuntime(yield* Effect.runtime<never>())(app)
    return (request) => run(request)
  })

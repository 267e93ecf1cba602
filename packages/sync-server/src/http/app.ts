/**
 * The {@link Api} as an `HttpApp`, for any server. A request passes, from outside in:
 * CORS, gzip, errors to responses, routes, authentication, admission, body, authority.
 */
import {
  HttpApiBuilder,
  type HttpApp,
  HttpMiddleware,
  HttpServer,
  HttpServerResponse
} from "@effect/platform"
import { Audiences, Protocol } from "@synchrotron/sync-core"
import { Effect, Layer, Option, type Scope } from "effect"
import { Api, Authentication, CurrentPrincipal, openApiPath } from "../Api.ts"
import { Authenticator, authenticate } from "../Auth.ts"
import { Authority } from "../Authority.ts"
import { Electric, type ElectricService } from "../electric/Electric.ts"
import { exposedHeaders } from "../shape/protocol.ts"
import { respond } from "../shape/respond.ts"
import { Shapes, type ShapesService } from "../shape/Shapes.ts"
import { readSyncRequest } from "./body.ts"
import { causeResponse, noShapes } from "./errors.ts"
import { compress } from "./gzip.ts"
import * as Requests from "./requests.ts"

export interface Cors {
  /** Origins such as `https://app.example.com` that browsers may call from. */
  readonly allowedOrigins: ReadonlyArray<string>
}

export interface HttpOptions {
  /** Any origin unless given: tokens are sent by the application, never by the browser on its own. `false`: none. */
  readonly cors?: Cors | false | undefined
  readonly limits?: {
    /** Bytes of a body, as sent and inflated; `Protocol.limits.bodyBytesMax` unless given. */
    readonly bodyBytesMax?: number
    /** Requests that are answered at the same time; 128 unless given. More are told to come back. */
    readonly requestsMax?: number
    /** How long a stopping server waits for the requests that it has begun, in milliseconds; 10,000 unless given. */
    readonly drainMsMax?: number
  }
}

export const drainMsMaxDefault = 10_000
/** A health check that takes longer finds the server unavailable. */
const healthMsMax = 5_000

/** The app, and the requests that it is answering; they drain when the scope closes. */
export const make = (
  options: HttpOptions
): Effect.Effect<
  { readonly app: HttpApp.Default; readonly requests: Requests.Requests },
  never,
  Authority | Authenticator | Scope.Scope
> =>
  Effect.gen(function* () {
    const shapes = yield* Effect.serviceOption(Shapes)
    const electric = yield* Effect.serviceOption(Electric)
    const requests = yield* Requests.make({
      requestsMax: options.limits?.requestsMax ?? 128,
      drainMsMax: options.limits?.drainMsMax ?? drainMsMaxDefault,
      onStop: Option.match(shapes, { onNone: () => Effect.void, onSome: ({ hub }) => hub.close })
    })
    const bodyBytesMax = options.limits?.bodyBytesMax ?? Protocol.limits.bodyBytesMax
    const routes = HttpApiBuilder.api(Api).pipe(
      Layer.provide(handlers({ requests, bodyBytesMax, shapes, electric })),
      Layer.provide(authentication),
      Layer.provideMerge(HttpServer.layerContext)
    )
    const openApi = Layer.provide(HttpApiBuilder.middlewareOpenApi({ path: openApiPath }), routes)
    // Fresh, because the router is a layer of its own, and two servers in one program would share it.
    const context = yield* Layer.build(
      Layer.fresh(
        Layer.mergeAll(
          routes,
          openApi,
          HttpApiBuilder.middleware((app) => Effect.catchAllCause(app, causeResponse)),
          HttpApiBuilder.Router.Live,
          HttpApiBuilder.Middleware.layer
        )
      )
    )
    const api = Effect.provide(yield* Effect.provide(HttpApiBuilder.httpApp, context), context)
    const app = compress(api)
    return { app: options.cors === false ? app : cors(options.cors)(app), requests }
  })

interface Handling {
  readonly requests: Requests.Requests
  readonly bodyBytesMax: number
  readonly shapes: Option.Option<ShapesService>
  readonly electric: Option.Option<ElectricService>
}

const handlers = ({ bodyBytesMax, electric, requests, shapes }: Handling) =>
  HttpApiBuilder.group(Api, "v1", (routes) =>
    Effect.map(Authority, (authority) =>
      routes
        .handleRaw("sync", ({ request }) =>
          requests.admit(
            Effect.gen(function* () {
              const principal = yield* CurrentPrincipal
              const body = yield* readSyncRequest(request, bodyBytesMax)
              const response: typeof Protocol.WireResponse.Encoded = Audiences.shorten(
                body,
                yield* requests.finish(authority.sync(principal, body))
              )
              // What the authority made needs no check, and its type says that its encoded form is the same.
              return HttpServerResponse.unsafeJson(response, { headers: { "cache-control": "no-store" } })
            }).pipe(Effect.catchTag("BodyRefused", (refused) => Effect.succeed(refused.response)))
          )
        )
        .handleRaw("shape", () =>
          Effect.gen(function* () {
            const principal = yield* CurrentPrincipal
            const forwarded = Option.isSome(electric)
              ? yield* electric.value.forward(requests, principal)
              : undefined
            if (forwarded !== undefined) return forwarded
            return Option.isSome(shapes) ? yield* respond(shapes.value, requests, principal) : noShapes
          })
        )
        .handle("health", () =>
          requests.admit(
            authority.health.pipe(
              Effect.timeoutFail({
                duration: healthMsMax,
                onTimeout: () =>
                  new Protocol.Unavailable({
                    message: `The database did not answer within ${healthMsMax} ms.`
                  })
              }),
              Effect.map(({ seq }) => ({ status: "ok", protocol: Protocol.protocolVersion, seq }) as const)
            )
          )
        )
    )
  )

const authentication = Layer.effect(
  Authentication,
  Effect.map(Authenticator, (authenticator) => ({ bearer: (token) => authenticate(authenticator, token) }))
)

const cors = (options: Cors | undefined) =>
  HttpMiddleware.cors({
    allowedOrigins: options?.allowedOrigins ?? [],
    allowedMethods: ["GET", "POST"],
    allowedHeaders: ["authorization", "content-type", "content-encoding"],
    exposedHeaders: ["retry-after", ...exposedHeaders],
    maxAge: 86_400
  })

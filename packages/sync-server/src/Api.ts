/**
 * The HTTP interface as a declaration: routes, schemas and statuses. `http/app.ts` serves it, `GET /v1/openapi.json`
 * describes it to others.
 *
 * | route                  | needs a token | answers                                    |
 * |------------------------|---------------|--------------------------------------------|
 * | `POST /v1/sync`        | yes           | `Protocol.WireResponse`                    |
 * | `GET /v1/shape`        | yes           | rows of a table, over Electric's protocol  |
 * | `GET /v1/health`       | no            | {@link Health}, or 503 without a database  |
 * | `GET /v1/openapi.json` | no            | the OpenAPI 3.1 document                   |
 *
 * Every error, also of a route that does not exist, has a tagged error of the protocol as its JSON body.
 */
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "@effect/platform"
import { type Principal, Protocol } from "@synchrotron/sync-core"
import { Context, Schema } from "effect"

/** The status of each error. `InvalidRequest` is also 404 (no such route), 413 (too large) and 415 (unknown encoding). */
export const statusByTag = {
  InvalidRequest: 400,
  Unauthorized: 401,
  ClientMismatch: 403,
  SchemaMismatch: 409,
  ClockDrift: 409,
  CursorTooOld: 409,
  AudiencesChanged: 409,
  Unavailable: 503
} as const satisfies Record<Protocol.SyncError["_tag"], number>

/** The server can reach its database. */
export const Health = Schema.Struct({
  status: Schema.Literal("ok"),
  protocol: Schema.Literal(Protocol.protocolVersion),
  /** The last commit. */
  seq: Schema.Int
})
export type Health = typeof Health.Type

/** The user of the current request, as {@link Authentication} found it. */
export class CurrentPrincipal extends Context.Tag("@synchrotron/sync-server/CurrentPrincipal")<
  CurrentPrincipal,
  Principal
>() {}

/** Asks for `Authorization: Bearer <token>` and turns the token into the {@link CurrentPrincipal}. */
export class Authentication extends HttpApiMiddleware.Tag<Authentication>()(
  "@synchrotron/sync-server/Authentication",
  {
    failure: Schema.Union(
      Protocol.Unauthorized.annotations(HttpApiSchema.annotations({ status: statusByTag.Unauthorized })),
      Protocol.Unavailable.annotations(HttpApiSchema.annotations({ status: statusByTag.Unavailable }))
    ),
    provides: CurrentPrincipal,
    security: { bearer: HttpApiSecurity.bearer }
  }
) {}

const sync = HttpApiEndpoint.post("sync", "/sync")
  .annotate(OpenApi.Summary, "Push pending records and pull changes, in one round trip")
  .setPayload(Protocol.WireRequest)
  .addSuccess(Protocol.WireResponse)
  .addError(Protocol.InvalidRequest, { status: statusByTag.InvalidRequest })
  .addError(Protocol.InvalidRequest, { status: 413 })
  .addError(Protocol.InvalidRequest, { status: 415 })
  .addError(Protocol.ClientMismatch, { status: statusByTag.ClientMismatch })
  .addError(Protocol.SchemaMismatch, { status: statusByTag.SchemaMismatch })
  .addError(Protocol.ClockDrift, { status: statusByTag.ClockDrift })
  .addError(Protocol.CursorTooOld, { status: statusByTag.CursorTooOld })
  .addError(Protocol.AudiencesChanged, { status: statusByTag.AudiencesChanged })
  .addError(Protocol.Unavailable, { status: statusByTag.Unavailable })
  .middleware(Authentication)

const shape = HttpApiEndpoint.get("shape", "/shape")
  .annotate(OpenApi.Summary, "A synced table as its user sees it, live, over Electric's HTTP shape protocol")
  .annotate(
    OpenApi.Description,
    "For `@electric-sql/client` and what is built on it. Parameters: `table`, `offset`, `handle`, `live`, `live_sse`, `columns`. A handle that is no more is answered with 409. The table `synchrotron.feed` tells this project's own clients of commits; it needs `client` and `schema`."
  )
  .addSuccess(Schema.Array(Schema.Unknown))
  .addError(Protocol.InvalidRequest, { status: statusByTag.InvalidRequest })
  .addError(Protocol.Unavailable, { status: statusByTag.Unavailable })
  .middleware(Authentication)

const health = HttpApiEndpoint.get("health", "/health")
  .annotate(OpenApi.Summary, "Whether the server reaches its database")
  .addSuccess(Health)
  .addError(Protocol.Unavailable, { status: statusByTag.Unavailable })

/** The declaration; `HttpApiClient.make(Api)` gives a typed client of it. */
export class Api extends HttpApi.make("synchrotron")
  .add(HttpApiGroup.make("v1", { topLevel: true }).add(sync).add(shape).add(health).prefix("/v1"))
  .annotate(OpenApi.Title, "Synchrotron")
  .annotate(OpenApi.Version, String(Protocol.protocolVersion)) {}

/** Where the OpenAPI document is. */
export const openApiPath = "/v1/openapi.json"

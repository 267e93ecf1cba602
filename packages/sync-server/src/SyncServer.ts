/**
 * The sync server of an application.
 *
 * | start it with        | and it is                                                                      |
 * |----------------------|--------------------------------------------------------------------------------|
 * | {@link layer}        | a server of its own on Node                                                    |
 * | {@link makeHandler}  | a function from `Request` to `Response`, to mount in Hono, Next, Bun and others |
 * | {@link layerHttp}    | as `layer`, for an `Authority` and an `Authenticator` of your own              |
 * | {@link handler}      | as `makeHandler`, for the same                                                 |
 */
import { HttpApp, type HttpServer, type HttpServerError } from "@effect/platform"
import type { SqlError } from "@effect/sql"
import type { PgliteLocked } from "@synchrotron/sql-pglite"
import type {
  DatabaseTooNew,
  MigrationChanged,
  Principal,
  Protocol,
  TablesUnsupported
} from "@synchrotron/sync-core"
import { Cause, Effect, Exit, Layer, type Redacted, Runtime, Scope, Stream } from "effect"
import { type Authenticator, type JwtOptions, layerJwt, type SecretTooShort } from "./Auth.ts"
import type { Authority } from "./Authority.ts"
import * as authority from "./authority/index.ts"
import * as database from "./database.ts"
import * as Electric from "./electric/Electric.ts"
import * as App from "./http/app.ts"
import * as Node from "./http/node.ts"
import * as Hub from "./live/Hub.ts"
import * as Shapes from "./shape/Shapes.ts"
import * as Channel from "./streams/Channel.ts"
import * as Streams from "./streams/Streams.ts"

export type { Database } from "./database.ts"
export type { ElectricOptions } from "./electric/Electric.ts"
export type { Cors, HttpOptions } from "./http/app.ts"
export { hostDefault, type NodeOptions, portDefault } from "./http/node.ts"
export type { LiveOptions } from "./shape/Shapes.ts"

/** The role as which records are executed, unless another is given. It is created when it does not exist. */
export const roleDefault = "synchrotron_user"

export type Options = AuthenticatorOptions &
  App.HttpOptions &
  Partial<authority.AuthorityOptions> & {
    readonly app: authority.AuthorityOptions["app"]
    readonly database: database.Database
    /** Limits of `GET /v1/shape`, which shows clients of Electric the synced tables. */
    readonly live?: Shapes.LiveOptions
    /** An Electric behind this server, which then serves the live feed by forwarding to it. Needs a Postgres. */
    readonly electric?: Electric.ElectricOptions | undefined
  }

/** Tokens are JWTs signed with `jwtSecret`, or whatever the application's own authenticator takes. */
export type AuthenticatorOptions =
  | { readonly jwtSecret: Redacted.Redacted | string; readonly jwt?: Omit<JwtOptions, "secret"> }
  | { readonly authenticator: Layer.Layer<Authenticator> }

/** Why a server does not start; every message says what to do. */
export type StartError =
  | SecretTooShort
  | PgliteLocked
  | TablesUnsupported
  | DatabaseTooNew
  | MigrationChanged
  | authority.AuthoritySetupError
  | SqlError.SqlError

export type Handler = (request: Request) => Promise<Response>

/** A connection of one client over whatever carries messages; see docs/streams.md. */
export interface Connection {
  /** Takes a message of the client. */
  readonly receive: (message: string) => void
  /** The connection has ended. What was begun to be judged is judged to its end; the rest is given up. */
  readonly close: () => Promise<void>
}

/** The two halves of sync, which check no token: who calls them says who the principal is. */
export interface PromiseStreams {
  /** See {@link Streams.SyncStreams.inbound}. Rejects with a `Protocol.SyncError`. */
  readonly inbound: (principal: Principal, request: Protocol.SyncRequest) => Promise<Protocol.SyncResponse>
  /** See {@link Streams.SyncStreams.outbound}. Asking for the next answer says that the one before is dealt with. */
  readonly outbound: (
    principal: Principal,
    request: Protocol.SyncRequest
  ) => AsyncIterable<Protocol.SyncResponse>
}

/** A server that is mounted in another one. */
export interface Mounted {
  /** Answers every path below `/v1/`. */
  readonly handler: Handler
  /** Serves a client whose messages come by another way than HTTP; `send` may give a promise of when there is room for more. */
  readonly connect: (send: (message: string) => void | Promise<void>) => Connection
  readonly streams: PromiseStreams
  /** Finishes what was begun, and closes the database. Then all answers are `Unavailable`. */
  readonly close: () => Promise<void>
}

/**
 * The whole server: database, authority, tokens and HTTP on Node. It listens when the layer is built. When the layer's
 * scope closes, it stops listening, finishes what it has begun, and closes the database, in this order.
 *
 * @example
 * SyncServer.layer({ app, database: { _tag: "embedded", dataDir: "./data" }, jwtSecret, port: 4400 }).pipe(
 *   Layer.launch,
 *   NodeRuntime.runMain // closes the scope on SIGINT and SIGTERM
 * )
 */
export const layer = (
  options: Options & Node.NodeOptions
): Layer.Layer<HttpServer.HttpServer, StartError | HttpServerError.ServeError> =>
  Layer.provide(layerHttp(options), services(options))

/**
 * The whole server but for the listening. Opens the database, and rejects with a {@link StartError} when it cannot.
 *
 * @example
 * const sync = await SyncServer.makeHandler({ app, database: { _tag: "postgres", url }, jwtSecret })
 * new Hono().all("/v1/*", (c) => sync.handler(c.req.raw))
 */
export const makeHandler = async (options: Options & Channel.ChannelOptions): Promise<Mounted> => {
  const scope = await Effect.runPromise(Scope.make())
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const started = await Layer.build(services(options)).pipe(
    Effect.flatMap((context) => Effect.provide(mount(options), context)),
    Scope.extend(scope),
    Effect.runPromiseExit
  )
  if (Exit.isSuccess(started)) return { ...started.value, close }
  await close()
  throw Cause.squash(started.cause)
}

const mount = (options: App.HttpOptions & Channel.ChannelOptions) =>
  Effect.gen(function* () {
    const { app, requests } = yield* App.make(options)
    const runtime = yield* Effect.runtime<Streams.SyncStreams | Hub.Hub | Authenticator>()
    const streams = yield* Streams.SyncStreams
    const respond = HttpApp.toWebHandlerRuntime(runtime)(app)
    const connect: Mounted["connect"] = (send) => {
      const scope = Effect.runSync(Scope.make())
      const channel = Channel.make(
        requests,
        (message) => Effect.promise(async () => send(message)),
        options
      ).pipe(Scope.extend(scope), Runtime.runSync(runtime))
      return {
        receive: (message) => void Runtime.runFork(runtime)(channel.receive(message)),
        close: () => Runtime.runPromise(runtime)(Scope.close(scope, Exit.void))
      }
    }
    return {
      handler: (request: Request) => respond(request),
      connect,
      streams: {
        inbound: (principal: Principal, request: Protocol.SyncRequest) =>
          Runtime.runPromise(runtime)(streams.inbound(principal, request)),
        outbound: (principal: Principal, request: Protocol.SyncRequest) =>
          Stream.toAsyncIterableRuntime(streams.outbound(principal, request), runtime)
      }
    }
  })

/** The HTTP interface alone, on Node. */
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

/** All that the interfaces stand on, for those who build their own: the authority, the two halves, shapes, tokens. */
export const services = (
  options: Options
): Layer.Layer<Authority | Authenticator | Hub.Hub | Shapes.Shapes | Streams.SyncStreams, StartError> =>
  Layer.merge(
    onDatabase(options),
    "authenticator" in options
      ? options.authenticator
      : layerJwt({ ...options.jwt, secret: options.jwtSecret })
  )

const onDatabase = ({ electric, live = {}, role = roleDefault, ...options }: Options) => {
  const { app } = options
  const judging = authority.layerOnPrepared({ ...options, role })
  const reading = Shapes.layer(app, live)
  return Layer.mergeAll(
    judging,
    Layer.provide(Streams.layer, judging),
    electric === undefined ? reading : Layer.merge(reading, Electric.layer(app, electric))
  ).pipe(
    Layer.provideMerge(Hub.layer({ app, sessionsMax: live.sessionsMax })),
    Layer.provide(authority.layerPrepared({ app, role })),
    Layer.provide(database.notifications(options.database)),
    Layer.provide(database.layer(options.database))
  )
}

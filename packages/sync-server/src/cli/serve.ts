/** `synchrotron-server serve`: runs the server until a signal stops it. */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { Command } from "@effect/cli"
import { HttpServer } from "@effect/platform"
import type { SyncApp } from "@synchrotron/sync-core"
import { Console, Context, Effect, Layer, Option } from "effect"
import { type Database, describe } from "../database.ts"
import * as SyncServer from "../SyncServer.ts"
import { compactEveryMs, databaseOf, databaseOptions, retention, retentionOf } from "./database.ts"
import { CommandFailed, sentence } from "./failure.ts"
import { jwtSecret, port, secretOf, text } from "./options.ts"

export const serve = Command.make(
  "serve",
  {
    app: text("app", "SYNCHROTRON_APP", "Module whose default export is the SyncApp"),
    ...databaseOptions,
    role: text(
      "role",
      "SYNCHROTRON_ROLE",
      `Database role as which records are executed; ${SyncServer.roleDefault} unless given`
    ),
    host: text("host", "SYNCHROTRON_HOST", `Address to listen on; ${SyncServer.hostDefault} unless given`),
    port: port("port", "SYNCHROTRON_PORT", "Port to listen on", SyncServer.portDefault),
    issuer: text("jwt-issuer", "SYNCHROTRON_JWT_ISSUER", "Demanded claim iss of tokens"),
    audience: text("jwt-audience", "SYNCHROTRON_JWT_AUDIENCE", "Demanded claim aud of tokens"),
    origins: text(
      "cors-origins",
      "SYNCHROTRON_CORS_ORIGINS",
      "Origins that browsers may call from, separated by commas; any unless given"
    ),
    electricUrl: text(
      "electric-url",
      "ELECTRIC_URL",
      "Electric that serves the live feed behind this server; the secret comes from ELECTRIC_SECRET"
    ),
    ...retention,
    compactEveryMs
  },
  (options) =>
    Effect.gen(function* () {
      const secret = yield* jwtSecret
      const electricSecret = yield* secretOf("ELECTRIC_SECRET")
      const app = yield* loadApp(options.app)
      const database = databaseOf(options)
      const host = Option.getOrElse(options.host, () => SyncServer.hostDefault)
      const server = yield* Layer.build(
        SyncServer.layer({
          app,
          database,
          host,
          port: options.port,
          role: Option.getOrElse(options.role, () => SyncServer.roleDefault),
          jwtSecret: secret,
          jwt: {
            issuer: Option.getOrUndefined(options.issuer),
            audience: Option.getOrUndefined(options.audience)
          },
          electric: Option.getOrUndefined(
            Option.map(options.electricUrl, (url) => ({ url, secret: Option.getOrUndefined(electricSecret) }))
          ),
          cors: Option.getOrUndefined(Option.map(options.origins, originsOf)),
          ...retentionOf(options),
          compactEveryMs: options.compactEveryMs
        })
      ).pipe(
        Effect.mapError(
          (error) => new CommandFailed({ message: explain(error, database, host, options.port) })
        )
      )
      const { address } = Context.get(server, HttpServer.HttpServer)
      const bound = address._tag === "TcpAddress" ? address.port : options.port
      yield* Console.log(
        `synchrotron-server listening on http://${host.includes(":") ? `[${host}]` : host}:${bound} (${describe(database)})`
      )
      yield* Effect.never
    }).pipe(Effect.scoped)
).pipe(
  Command.withDescription(
    "Runs the server. The secret that signs the users' tokens comes from SYNCHROTRON_JWT_SECRET"
  )
)

const originsOf = (list: string) => ({ allowedOrigins: list.split(",").map((origin) => origin.trim()) })

const loadApp = (path: Option.Option<string>): Effect.Effect<SyncApp.SyncApp, CommandFailed> =>
  Effect.gen(function* () {
    if (Option.isNone(path))
      return yield* new CommandFailed({
        message:
          "Name the module whose default export is your SyncApp: --app path, or the variable SYNCHROTRON_APP."
      })
    const file = resolve(path.value)
    const module = yield* Effect.tryPromise({
      try: (): Promise<{ readonly default?: unknown }> => import(pathToFileURL(file).href),
      catch: (cause) => new CommandFailed({ message: cannotLoad(file, cause) })
    })
    if (!isSyncApp(module.default))
      return yield* new CommandFailed({
        message: `The default export of ${file} is not a SyncApp. Export what SyncApp.make returns: export default SyncApp.make({ ... })`
      })
    return module.default
  })

const cannotLoad = (file: string, cause: unknown) =>
  (cause as NodeJS.ErrnoException).code === "ERR_UNKNOWN_FILE_EXTENSION"
    ? `Node cannot load ${file} as it is. Compile it to JavaScript, or run with NODE_OPTIONS="--import tsx".`
    : `The application ${file} cannot be loaded: ${sentence(cause)}`

const isSyncApp = (value: unknown): value is SyncApp.SyncApp => {
  const app = value as Partial<SyncApp.SyncApp> | undefined | null
  return (
    typeof app?.name === "string" &&
    typeof app.schemaHash === "string" &&
    Array.isArray(app.migrations) &&
    Array.isArray(app.tables) &&
    // Not instanceof: the module may have been made with another realm's Map.
    typeof app.actions?.get === "function"
  )
}

const explain = (
  error: Error & { readonly _tag: string },
  database: Database,
  host: string,
  port: number
) => {
  if (error._tag === "ServeError") {
    const code = (error.cause as NodeJS.ErrnoException | undefined)?.code
    if (code === "EADDRINUSE") return `Port ${port} on ${host} is in use. Choose another one with --port.`
    return `The server cannot listen on ${host}:${port}: ${sentence(error)}`
  }
  return error._tag === "SqlError"
    ? `The database cannot be used (${describe(database)}): ${sentence(error)}`
    : sentence(error)
}

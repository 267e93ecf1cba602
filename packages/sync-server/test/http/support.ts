/** A scripted authority behind the real HTTP interface, reached through Node's server or through the web handler. */

import { HttpServer } from "@effect/platform"
import type { Protocol, RecordId } from "@synchrotron/sync-core"
import { Auth, Authority, type AuthorityService, SyncServer, tokens } from "@synchrotron/sync-server"
import { Context, Effect, Exit, Layer, Scope } from "effect"

export const secret = "a secret for tests that is long enough"
export const clientId = "6f1c0000-0000-4000-8000-0000000000e2"

export const response: Protocol.SyncResponse = {
  protocol: 2,
  seq: 7 as Protocol.SyncResponse["seq"],
  serverTimeMs: 1000,
  audiences: [],
  verdicts: [],
  notices: [],
  tables: [],
  next: null,
  later: [],
  clock: { ms: 0, counter: 0 }
}

/** A valid request as JSON. */
export const request = (overrides: Record<string, unknown> = {}) => ({
  protocol: 2,
  app: "test",
  schema: "hash",
  clientId,
  clientTimeMs: 1000,
  cursors: {},
  records: [],
  after: null,
  ...overrides
})

/** A valid pending record as JSON, the `n`th. */
export const record = (n: number, overrides: Record<string, unknown> = {}) => ({
  id: `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}` as RecordId,
  name: "todo.add",
  version: 1,
  args: { title: "milk" },
  hlc: `0199c2f4a1b0-${n.toString(16).padStart(4, "0")}-${clientId}`,
  digest: null,
  ...overrides
})

export const token = (userId = "ann", claims: Record<string, unknown> = {}) =>
  tokens.signDevelopmentToken({ secret, userId, claims })

export interface Subject {
  readonly fetch: (path: string, init?: RequestInit & { readonly duplex?: "half" }) => Promise<Response>
  /** Posts JSON to `/v1/sync` as ann. */
  readonly sync: (body: unknown, headers?: Record<string, string>) => Promise<Response>
  readonly close: () => Promise<void>
  /** Port of Node's server; 0 for the web handler. */
  readonly port: number
}

export interface SubjectOptions extends SyncServer.NodeOptions {
  readonly sync?: AuthorityService["sync"]
  readonly health?: AuthorityService["health"]
}

export const subjects = ["node", "web"] as const

/** Starts the interface over one of the two transports. */
export const start = async (
  transport: (typeof subjects)[number],
  options: SubjectOptions = {}
): Promise<Subject> => {
  const scope = Effect.runSync(Scope.make())
  const services = Layer.merge(
    Layer.succeed(Authority, {
      sync: options.sync ?? (() => Effect.succeed(response)),
      health: options.health ?? Effect.succeed({ seq: 7 })
    }),
    Auth.layerJwt({ secret })
  )
  const run = <A, E>(effect: Effect.Effect<A, E, Authority | Auth.Authenticator | Scope.Scope>) =>
    Effect.runPromise(Scope.extend(Effect.provide(effect, services), scope))
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const bearer = `Bearer ${await token()}`
  const subject = (fetch: Subject["fetch"], port: number): Subject => ({
    fetch,
    sync: (body, headers) =>
      fetch("/v1/sync", {
        method: "POST",
        headers: { authorization: bearer, "content-type": "application/json", ...headers },
        body: JSON.stringify(body)
      }),
    close,
    port
  })
  if (transport === "web") {
    const handler = await run(SyncServer.handler(options))
    return subject((path, init) => handler(new Request(`http://localhost${path}`, init)), 0)
  }
  const context = await run(Layer.build(SyncServer.layerHttp({ port: 0, ...options })))
  const { address } = Context.get(context, HttpServer.HttpServer)
  const port = address._tag === "TcpAddress" ? address.port : 0
  return subject((path, init) => fetch(`http://127.0.0.1:${port}${path}`, init), port)
}

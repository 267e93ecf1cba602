/** A real authority and real clients in one process, with the network in the test's hand. */
import type { SqlClient } from "@effect/sql"
import { SqlClient as Sql } from "@effect/sql"
import { PgliteClient, type PgliteSqlClient } from "@synchrotron/sql-pglite"
import { type Principal, Protocol, Replica, type SyncApp } from "@synchrotron/sync-core"
import { Authority, AuthorityLive, type AuthorityService, ServerDatabase } from "@synchrotron/sync-server"
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { testImage } from "../../../test/image.ts"

export interface TestClient {
  readonly name: string
  readonly principal: Principal
  readonly replica: Replica.Replica
  readonly sql: PgliteSqlClient
  /** One round trip over the encoded protocol. */
  readonly sync: Effect.Effect<Replica.Received, unknown>
}

export interface World {
  readonly authority: AuthorityService
  readonly server: SqlClient.SqlClient
  readonly app: SyncApp.SyncApp
  readonly client: (
    name: string,
    options?: Partial<Replica.ReplicaOptions> & { readonly dataDir?: string }
  ) => Effect.Effect<TestClient, unknown, Scope.Scope>
}

/** A new local database is loaded from an image, which takes a tenth of the time. */
const image = Effect.runSync(Effect.cached(Effect.promise(testImage)))

export const embedded: ServerDatabase.Database = { _tag: "embedded", dataDir: "memory://", image: testImage }

export const makeWorld = (
  app: SyncApp.SyncApp,
  database: ServerDatabase.Database,
  options: Partial<AuthorityLive.AuthorityOptions> = {}
): Effect.Effect<World, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      AuthorityLive.layer({ app, role: "synchrotron_user", ...options }).pipe(
        Layer.provideMerge(ServerDatabase.layer(database))
      )
    )
    const service = Context.get(context, Authority)
    // A test may run a client under a clock of its own; the server keeps the world's.
    const clock = yield* Effect.clock
    const authority: AuthorityService = {
      ...service,
      sync: (principal, request) => Effect.withClock(service.sync(principal, request), clock)
    }
    const client: World["client"] = (name, clientOptions = {}) =>
      Effect.gen(function* () {
        const local = yield* Layer.build(
          PgliteClient.layer({ dataDir: clientOptions.dataDir ?? "memory://", image: yield* image })
        )
        const userId = clientOptions.userId ?? name
        const replica = yield* Replica.make({ app, userId, ...clientOptions }).pipe(Effect.provide(local))
        const principal: Principal = { userId, claims: { sub: userId } }
        const sync = Effect.gen(function* () {
          const request = yield* replica.request
          return yield* replica.receive(request, yield* exchange(authority, principal, request))
        })
        return { name, principal, replica, sql: Context.get(local, PgliteClient) as PgliteSqlClient, sync }
      })
    return { authority, server: Context.get(context, Sql.SqlClient), app, client }
  })

/** One request to an authority and its answer, both encoded on the way. */
export const exchange = (authority: AuthorityService, principal: Principal, request: Protocol.SyncRequest) =>
  Effect.gen(function* () {
    const response = yield* authority.sync(principal, yield* travel(Protocol.SyncRequest, request))
    return yield* travel(Protocol.SyncResponse, response)
  })

/** Through JSON and the schema, as on the wire. */
export const travel = <A, I>(schema: Schema.Schema<A, I>, value: A): Effect.Effect<A> =>
  Schema.encode(schema)(value).pipe(
    Effect.map((encoded) => JSON.parse(JSON.stringify(encoded)) as unknown),
    Effect.flatMap(Schema.decodeUnknown(schema)),
    Effect.orDie
  )

/** All rows of the synced tables in text form, by table, in key order. */
export const tablesOf = (sql: SqlClient.SqlClient, app: SyncApp.SyncApp) =>
  Effect.gen(function* () {
    const content: Record<string, ReadonlyArray<string>> = {}
    for (const { name } of app.tables) {
      const rows = yield* sql.unsafe<{ row: string }>(
        `SELECT t::text AS row FROM ${name} AS t ORDER BY t::text COLLATE "C"`
      )
      content[name] = rows.map((r) => r.row)
    }
    return content
  })

/** The same as the user sees it on the server, under row-level security and by audience. */
export const viewOf = (world: World, userId: string) =>
  world.server.withTransaction(
    Effect.gen(function* () {
      yield* world.server.unsafe(
        `SET LOCAL timezone = 'UTC';SET LOCAL ROLE synchrotron_user;SELECT set_config('synchrotron.user_id', '${userId}', true), set_config('request.jwt.claims', '{"sub":"${userId}"}', true)`
      )
      const content: Record<string, ReadonlyArray<string>> = {}
      for (const { name, audience } of world.app.tables) {
        const rows = yield* world.server.unsafe<{ row: string }>(
          `SELECT t::text AS row FROM ${name} AS t WHERE (SELECT ${audience} FROM (SELECT t.*) AS x) IN (${world.app.audiences}) ORDER BY t::text COLLATE "C"`
        )
        content[name] = rows.map((r) => r.row)
      }
      return content
    })
  )

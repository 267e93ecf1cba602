/** Replicas and an authority in this process. */
import { SqlClient } from "@effect/sql"
import { PgliteClient, type PgliteSqlClient } from "@synchrotron/sql-pglite"
import { type Principal, type Protocol, Replica, type SyncApp } from "@synchrotron/sync-core"
import { Authority, AuthorityLive, type AuthorityService, ServerDatabase } from "@synchrotron/sync-server"
import { Context, Effect, Layer, type Scope } from "effect"
import { app as items } from "./workload.ts"

export interface BenchClient {
  readonly replica: Replica.Replica
  readonly sql: PgliteSqlClient
  readonly principal: Principal
}

/** Booting from an image takes a tenth of the time of a new database. */
const image = Effect.runSync(Effect.cached(PgliteClient.prepareImage()))

export const makeClient = (
  userId: string,
  app: SyncApp.SyncApp = items
): Effect.Effect<BenchClient, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Layer.build(PgliteClient.layer({ image: yield* image }))
    const replica = yield* Replica.make({ app, userId }).pipe(Effect.provide(context))
    return {
      replica,
      sql: Context.get(context, PgliteClient),
      principal: { userId, claims: { sub: userId } }
    }
  })

export const makeServer = (
  database: ServerDatabase.Database,
  app: SyncApp.SyncApp = items
): Effect.Effect<
  { readonly authority: AuthorityService; readonly sql: SqlClient.SqlClient },
  unknown,
  Scope.Scope
> =>
  Effect.map(
    Layer.build(
      AuthorityLive.layer({ app, role: "synchrotron_user" }).pipe(
        Layer.provideMerge(ServerDatabase.layer(database))
      )
    ),
    (context) => ({
      authority: Context.get(context, Authority),
      sql: Context.get(context, SqlClient.SqlClient)
    })
  )

/** One round trip, with nothing between client and authority. */
export const sync = (client: BenchClient, authority: AuthorityService) =>
  Effect.gen(function* () {
    const request = yield* client.replica.request
    return yield* client.replica.receive(request, yield* authority.sync(client.principal, request))
  })

/** A sync that leaves every pending record unsent, as when a queue is longer than one request. */
export const pullOnly = (client: BenchClient, authority: AuthorityService) =>
  Effect.gen(function* () {
    const request = yield* client.replica.request
    const held: Protocol.SyncRequest = {
      ...request,
      records: [],
      after: request.records[0]?.hlc ?? request.after
    }
    return { request: held, response: yield* authority.sync(client.principal, held) }
  })

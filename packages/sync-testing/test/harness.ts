/** One authority and its clients for all tests of a `describe`, on embedded PGlite or on the real Postgres of the run. */
import type { Replica, SyncApp } from "@synchrotron/sync-core"
import type { AuthorityLive } from "@synchrotron/sync-server"
import { Clock, Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll, expect, inject } from "vitest"
import { createDatabase, type TestDatabase } from "../../../test/postgres.ts"
import { embedded, makeWorld, type TestClient, tablesOf, viewOf, type World } from "./world.ts"

export const kinds = ["pglite", "postgres"] as const
export type Kind = (typeof kinds)[number]

export interface Stage {
  readonly world: World
  /** By name: `clients.a!`. */
  readonly clients: Readonly<Record<string, TestClient>>
  /** The Postgres database; null for the embedded authority. */
  readonly url: string | null
  readonly run: <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Promise<A>
}

/**
 * Sets the stage before the tests of the surrounding `describe` and clears it after them.
 *
 * @param users user by client name
 * @returns a function, for the stage is there only once the tests run
 */
export const stageOf = (
  kind: Kind,
  app: SyncApp.SyncApp,
  users: Readonly<Record<string, string>>,
  options: Partial<AuthorityLive.AuthorityOptions> & {
    readonly client?: Partial<Replica.ReplicaOptions>
  } = {}
): (() => Stage) => {
  let stage: Stage | undefined
  let database: TestDatabase | undefined
  const scope = Effect.runSync(Scope.make())
  const run: Stage["run"] = (effect) => Effect.runPromise(Effect.scoped(effect))
  beforeAll(async () => {
    if (kind === "postgres") database = await createDatabase(inject("postgresUrl"))
    const { client: clientOptions, ...authority } = options
    stage = await Effect.gen(function* () {
      const world = yield* makeWorld(
        app,
        database === undefined ? embedded : { _tag: "postgres", url: database.url },
        authority
      )
      const clients: Record<string, TestClient> = {}
      for (const [name, userId] of Object.entries(users))
        clients[name] = yield* world.client(name, { ...clientOptions, userId })
      return { world, clients, url: database?.url ?? null, run }
    }).pipe(Scope.extend(scope), Effect.runPromise)
  })
  afterAll(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await database?.drop()
  })
  return () => stage!
}

/** Every client syncs until nothing is pending or new: twice, for a late arrival of the last may concern the first. */
export const syncAll = (clients: ReadonlyArray<TestClient>) =>
  Effect.gen(function* () {
    for (let round = 0; round < 2; round++) for (const client of clients) yield* client.sync
  })

/** I1 itself: nothing is pending, and the tables are the server's as the user sees them. */
export const expectConverged = (world: World, clients: ReadonlyArray<TestClient>, hint = "") =>
  Effect.gen(function* () {
    for (const client of clients) {
      expect(yield* client.replica.pendingCount, `${hint} pending of ${client.name}`).toBe(0)
      expect(yield* tablesOf(client.sql, world.app), `${hint} tables of ${client.name}`).toEqual(
        yield* viewOf(world, client.principal.userId)
      )
    }
  })

/** Mulberry32: a small seeded generator, so that a failing seed repeats. */
export const randomOf = (seed: number) => {
  let s = seed >>> 0
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Runs an effect on a device whose clock is off by `offsetMs`. */
export const withClockOffset = (offsetMs: number) => {
  const real = Clock.make()
  const clock: Clock.Clock = Object.assign(Object.create(real), {
    currentTimeMillis: Effect.map(real.currentTimeMillis, (ms) => ms + offsetMs),
    unsafeCurrentTimeMillis: () => real.unsafeCurrentTimeMillis() + offsetMs
  })
  return Effect.withClock(clock)
}

/** The value in the first column of the first row. */
export const scalar = (sql: { readonly unsafe: TestClient["sql"]["unsafe"] }, text: string) =>
  Effect.map(sql.unsafe<Record<string, unknown>>(text), (rows) => Object.values(rows[0] ?? {})[0])

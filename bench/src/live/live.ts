/** What the live path takes over real HTTP and a durable Postgres, with the server in a process of its own. */

import { PgliteClient } from "@synchrotron/sql-pglite"
import { createSyncClient } from "@synchrotron/sync-client"
import { tokens } from "@synchrotron/sync-server"
import { Effect, type Scope } from "effect"
import pg from "pg"
import { check, type Measurement, measurement, median, percentile, type Scale } from "../measure.ts"
import { freshDatabase } from "../postgres.ts"
import { app, insertSql, title } from "../workload.ts"
import { jwtSecret } from "./secret.ts"
import { followAll, followBare, followFeed, serve } from "./world.ts"

const connect = (url: string): Effect.Effect<pg.Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

/**
 * From a commit to the row in another client's database. The floor: a connection that listens hears of the commit and
 * reads the row.
 */
export const latency = (scale: Scale): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const commits = scale.size(300)
    const databaseUrl = yield* freshDatabase
    const { url } = yield* serve(databaseUrl)
    const writer = yield* connect(databaseUrl)
    const listener = yield* connect(databaseUrl)
    const image = yield* PgliteClient.prepareImage()
    const token = yield* Effect.promise(() =>
      tokens.signDevelopmentToken({ secret: jwtSecret, userId: "reader" })
    )
    const client = yield* Effect.acquireRelease(
      Effect.promise(async () =>
        createSyncClient({
          app,
          dataDir: "memory://",
          image,
          userId: "reader",
          server: { url, token },
          pollMs: 0
        })
      ),
      (client) => Effect.promise(() => client.close())
    )
    const until = (condition: () => boolean) =>
      new Promise<number>((resolve) => {
        const look = () => {
          if (!condition()) return
          unsubscribe()
          resolve(performance.now())
        }
        const unsubscribe = client.status.subscribe(look)
        look()
      })
    yield* Effect.promise(() => until(() => client.status.get().live && client.status.get().phase === "idle"))
    yield* pause(300)
    yield* Effect.promise(() => listener.query("LISTEN synchrotron_commits"))
    const heard = () => new Promise<void>((resolve) => listener.once("notification", () => resolve()))

    const values: Array<number> = []
    const floors: Array<number> = []
    for (let i = 0; i < commits; i++) {
      const { seq } = client.status.get()
      const told = heard()
      const applied = until(() => client.status.get().seq > seq)
      yield* Effect.promise(() => writer.query(insertSql, [`row-${i}`, title, i]))
      const committed = performance.now()
      yield* Effect.promise(() =>
        told.then(() => listener.query("SELECT * FROM items WHERE id = $1", [`row-${i}`]))
      )
      floors.push(performance.now() - committed)
      values.push((yield* Effect.promise(() => applied)) - committed)
      yield* pause(10)
    }
    const rows = yield* Effect.promise(() => client.query("SELECT id FROM items"))
    check(rows.length === commits, `${rows.length} rows of ${commits}`)
    return [
      measurement("live-latency", "ms, p50", percentile(values, 0.5), percentile(floors, 0.5)),
      measurement("live-latency-p99", "ms, p99", percentile(values, 0.99), percentile(floors, 0.99))
    ]
  }).pipe(Effect.scoped)

/**
 * From a commit until half of the sessions, each of a user of its own, have its row. The floor: a bare server writes as
 * many bytes to as many streams.
 */
export const fanout = (
  sessionsFull: number,
  scale: Scale
): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const sessions = scale.size(sessionsFull)
    const databaseUrl = yield* freshDatabase
    const writer = yield* connect(databaseUrl)
    const values: Array<number> = []
    yield* Effect.scoped(
      Effect.gen(function* () {
        const { url } = yield* serve(databaseUrl)
        const followers = yield* followAll(url, sessions, followFeed)
        yield* pause(300)
        for (let run = 0; run < scale.runs + warmUps; run++) {
          const id = `row-${run}`
          // The row is JSON text in the text of an answer in a message.
          const all = Promise.all(followers.map(({ hears }) => hears(`${id}\\\\\\"`)))
          yield* Effect.promise(() => writer.query(insertSql, [id, title, run]))
          const committed = performance.now()
          const times = (yield* Effect.promise(() => all)).map((at) => at - committed)
          if (run >= warmUps) values.push(percentile(times, 0.5))
          yield* pause(200)
        }
      })
    )
    // As many as a message with one row has.
    const bytes = 700
    const floors: Array<number> = []
    const bare = yield* serve()
    const followers = yield* followAll(bare.url, sessions, followBare)
    for (let run = 0; run < scale.runs + warmUps; run++) {
      const id = `row-${run}`
      const all = Promise.all(followers.map(({ hears }) => hears(id)))
      const begun = performance.now()
      bare.write(`data: ${"x".repeat(bytes)}${id}\n\n`)
      const times = (yield* Effect.promise(() => all)).map((at) => at - begun)
      if (run >= warmUps) floors.push(percentile(times, 0.5))
      yield* pause(100)
    }
    return [measurement(`fanout-${sessionsFull}`, "ms, p50", median(values), median(floors))]
  }).pipe(Effect.scoped)

/** What a session costs the server that has nothing to tell it. The floor: an open stream of a bare server. */
export const idleSessions = (
  sessionsFull: number,
  scale: Scale
): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    // Fewer take less than a collection frees meanwhile.
    const sessions = Math.max(200, scale.size(sessionsFull))
    const each = (databaseUrl: string | undefined, open: typeof followFeed) =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serve(databaseUrl)
          // What the first ones bring with them is not theirs.
          yield* followAll(server.url, 20, open)
          yield* pause(300)
          const before = yield* server.memory
          yield* followAll(server.url, sessions, (url, i) => open(url, i + 20))
          yield* pause(300)
          return ((yield* server.memory) - before) / sessions / 1024
        })
      )
    const value = yield* each(yield* freshDatabase, followFeed)
    const baseline = yield* each(undefined, followBare)
    return [measurement(`idle-${sessionsFull}-sessions`, "KiB each", value, baseline)]
  }).pipe(Effect.scoped)

/** Commits before the first that counts: a server that runs has done this often. */
const warmUps = 5

const pause = (ms: number) => Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, ms)))

/** Several clients act offline on shared rows and sync until all show the same. */
import { Effect } from "effect"
import { makeClient, makeServer, sync } from "./client.ts"
import { check, type Measurement, ofTimes, type Scale, timed } from "./measure.ts"
import { bareSchema, fill, inc, selectSql, title, updateSql } from "./workload.ts"

const rows = 100

/** W4. The floor is all actions' statements, bare, in one PGlite transaction. */
export const converge = (
  clientCount: number,
  actionsFull: number,
  scale: Scale
): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const actions = scale.size(actionsFull)
    const values: Array<number> = []
    const floors: Array<number> = []
    const bare = yield* makeClient("bare")
    yield* bare.sql.unsafe(`CREATE SCHEMA bare;SET search_path = bare;${bareSchema}`)
    yield* bare.sql.unsafe(
      "INSERT INTO items (id, title, n) SELECT 'base' || i, $1, 0 FROM generate_series(0, $2::integer - 1) AS i",
      [title, rows]
    )
    const { authority } = yield* makeServer({ _tag: "embedded", dataDir: "memory://" })
    const clients = yield* Effect.forEach(
      Array.from({ length: clientCount }, (_, i) => `user${i}`),
      (user) => makeClient(user)
    )
    yield* clients[0]!.replica.execute(fill({ prefix: "base", count: rows }))
    for (const client of clients) yield* sync(client, authority)
    let increments = 0
    for (let run = 0; run < scale.runs; run++) {
      for (let i = 0; i < actions; i++) {
        for (const [c, client] of clients.entries()) {
          yield* client.replica.execute(inc({ id: `base${(i * 7 + c * 13) % rows}` }))
          increments++
        }
      }
      // Everyone pushes, then everyone pulls what came after its push.
      const everyone = Effect.forEach(clients, (client) => sync(client, authority))
      values.push((yield* timed(Effect.zipRight(everyone, everyone)))[0])
      for (const client of clients) {
        const [shown] = yield* client.sql.unsafe<{ sum: number }>(
          "SELECT sum(n)::integer AS sum FROM public.items"
        )
        check(shown!.sum === increments, `${shown!.sum} increments of ${increments}`)
      }
      floors.push(
        (yield* timed(
          bare.sql.use((db) =>
            db.transaction(async (tx) => {
              for (let i = 0; i < actions * clientCount; i++) {
                const id = `base${i % rows}`
                const found = await tx.query<{ n: number }>(selectSql, [id])
                await tx.query(updateSql, [found.rows[0]!.n + 1, id])
              }
            })
          )
        ))[0]
      )
    }
    return ofTimes(`converge-${clientCount}x${actionsFull}`, "ms", values, floors)
  }).pipe(Effect.scoped)

/** CPU of a sync that finds nothing, client and authority together, against an empty transaction on each. */
export const idle = (scale: Scale): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const { authority, sql } = yield* makeServer({ _tag: "embedded", dataDir: "memory://" })
    const client = yield* makeClient("idle")
    yield* client.replica.execute(fill({ prefix: "base", count: 1000 }))
    yield* sync(client, authority)
    const cpuMs = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.gen(function* () {
        const count = scale.size(200)
        for (let i = 0; i < count; i++) yield* effect
        const start = process.cpuUsage()
        for (let i = 0; i < count; i++) yield* effect
        const { user, system } = process.cpuUsage(start)
        return (user + system) / 1000 / count
      })
    const received = yield* sync(client, authority)
    check(received.path === "nothing", `an idle sync took the path ${received.path}`)
    const value = yield* cpuMs(sync(client, authority))
    const floor = yield* cpuMs(
      Effect.zipRight(
        sql.withTransaction(sql.unsafe("SELECT 1")),
        client.sql.withTransaction(client.sql.unsafe("SELECT 1"))
      )
    )
    return ofTimes("idle-sync", "ms CPU", [value], [floor])
  }).pipe(Effect.scoped)

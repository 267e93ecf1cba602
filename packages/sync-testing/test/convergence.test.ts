import { Effect } from "effect"
import { describe, expect, inject, it } from "vitest"
import { createDatabase } from "../../../test/postgres.ts"
import { copy, countersApp, inc, join, limited, move, note, put, remove } from "./counters.ts"
import { embedded, makeWorld, type TestClient, tablesOf, viewOf, type World } from "./world.ts"

/** Mulberry32: a small seeded generator, so that a failing seed repeats. */
const randomOf = (seed: number) => {
  let s = seed >>> 0
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const seedsMax = Number(process.env.SEEDS ?? 50)

const schedule = (world: World, clients: ReadonlyArray<TestClient>, seed: number) =>
  Effect.gen(function* () {
    const random = randomOf(seed)
    const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(random() * items.length)]!
    const ids = ["a", "b", "c"].map((x) => `${seed}${x}`)
    for (let step = 0; step < 12; step++) {
      const client = pick(clients)
      if (random() < 0.3) yield* client.sync
      else {
        const id = pick(ids)
        const n = Math.floor(random() * 5)
        const operation = pick([
          () => inc({ id, n }),
          () => put({ id, n, list: pick(["A", "B"]) }),
          () => remove({ id }),
          () => copy({ from: id, to: pick(ids) }),
          () => move({ id, list: pick(["A", "B"]) }),
          () => limited({ id, n }),
          () => note({ text: id, list: pick(["A", "B"]) })
        ])()
        yield* Effect.exit(client.replica.execute(operation as ReturnType<typeof remove>))
      }
    }
    for (let round = 0; round < 2; round++) for (const client of clients) yield* client.sync
    for (const client of clients) {
      expect(yield* client.replica.pendingCount).toBe(0)
      expect(yield* tablesOf(client.sql, countersApp), `seed ${seed}, ${client.name}`).toEqual(
        yield* viewOf(world, client.principal.userId)
      )
    }
  })

describe.each(["pglite", "postgres"] as const)("I1 with the authority on %s", (kind) => {
  it(`clients of three users converge over ${seedsMax} random schedules`, async () => {
    const database = kind === "postgres" ? await createDatabase(inject("postgresUrl")) : null
    await Effect.gen(function* () {
      const world = yield* makeWorld(
        countersApp,
        database === null ? embedded : { _tag: "postgres", url: database.url }
      )
      const clients: Array<TestClient> = []
      for (const [name, userId] of [
        ["c1", "u1"],
        ["c2", "u2"],
        ["c3", "u3"],
        ["c4", "u1"]
      ] as const)
        clients.push(yield* world.client(name, { userId }))
      for (const [list, user] of [
        ["A", "u1"],
        ["A", "u2"],
        ["B", "u2"],
        ["B", "u3"],
        ["B", "u1"]
      ] as const) {
        yield* clients[0]!.replica.execute(join({ list, user }))
      }
      for (const client of clients) yield* client.sync
      for (let seed = 1; seed <= seedsMax; seed++) yield* schedule(world, clients, seed)
    }).pipe(Effect.scoped, Effect.runPromise)
    await database?.drop()
  }, 600_000)
})

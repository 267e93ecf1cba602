/** I1 and I4 in one number: a counter that is read and then written keeps every increment, whatever crosses what. */
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { expectConverged, kinds, randomOf, type Stage, scalar, stageOf, syncAll } from "./harness.ts"
import { inc, kitchenApp } from "./kitchen.ts"
import { exchange, type TestClient, tablesOf } from "./world.ts"

const seedsMax = Number(process.env.SEEDS ?? 80)

/** Increments, and the ways in which a network delivers requests and answers: not, twice, late. */
const schedule = ({ world, clients }: Stage, seed: number) =>
  Effect.gen(function* () {
    const random = randomOf(seed)
    const all = Object.values(clients)
    const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(random() * items.length)]!
    const ids = [`${seed}x`, `${seed}y`]
    const expected = new Map<string, number>()
    const increment = (client: TestClient) =>
      Effect.suspend(() => {
        const id = pick(ids)
        const n = 1 + Math.floor(random() * 9)
        expected.set(id, (expected.get(id) ?? 0) + n)
        return client.replica.execute(inc({ id, n }))
      })
    const steps: ReadonlyArray<(client: TestClient) => Effect.Effect<unknown, unknown>> = [
      increment,
      increment,
      increment,
      (client) => client.sync,
      // The answer is lost.
      (client) =>
        Effect.flatMap(client.replica.request, (request) =>
          exchange(world.authority, client.principal, request)
        ),
      // The request arrives twice, and the client goes on in the meantime.
      (client) =>
        Effect.gen(function* () {
          const request = yield* client.replica.request
          yield* exchange(world.authority, client.principal, request)
          yield* increment(client)
          const answer = yield* exchange(world.authority, client.principal, request)
          yield* client.replica.receive(request, answer)
          yield* client.replica.receive(request, answer)
        }),
      (client) => Effect.all([increment(client), client.sync, increment(client)], { concurrency: 3 })
    ]
    for (let step = 0; step < 10; step++) yield* pick(steps)(pick(all))
    yield* syncAll(all)
    for (const [id, n] of expected)
      expect(yield* scalar(world.server, `SELECT n FROM counters WHERE id = '${id}'`), `seed ${seed}`).toBe(n)
    const content = yield* tablesOf(world.server, world.app)
    for (const client of all) expect(yield* tablesOf(client.sql, world.app), `seed ${seed}`).toEqual(content)
  })

describe.each(kinds)("with the authority on %s,", (kind) => {
  const stage = stageOf(kind, kitchenApp, { a: "u1", b: "u2", c: "u3", d: "u1" })
  const seeds = kind === "pglite" ? seedsMax : Math.ceil(seedsMax / 4)

  it(
    `I1, I4: four clients keep every increment over ${seeds} random schedules`,
    () =>
      stage().run(
        Effect.gen(function* () {
          for (let seed = 1; seed <= seeds; seed++) yield* schedule(stage(), seed)
          yield* expectConverged(stage().world, Object.values(stage().clients))
        })
      ),
    600_000
  )
})

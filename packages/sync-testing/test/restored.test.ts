/** A server's database that was restored from a backup: what clients have of commits that it does not know must go. */
import { Protocol } from "@synchrotron/sync-core"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import * as Storage from "../src/run/Storage.ts"
import { countersApp, inc, put } from "./counters.ts"
import { kinds, type Stage, stageOf } from "./harness.ts"
import { type TestClient, tablesOf, viewOf } from "./world.ts"

/** As the session does. Gives whether all rows had to come again. */
const syncAnyhow = (client: TestClient) =>
  client.sync.pipe(
    Effect.as(false),
    Effect.catchIf(
      (error) => error instanceof Protocol.CursorTooOld,
      () => Effect.as(Effect.zipRight(client.replica.forgetCursors, client.sync), true)
    )
  )

const expectConverged = ({ clients, world }: Stage) =>
  Effect.forEach(Object.values(clients), (client) =>
    Effect.gen(function* () {
      yield* client.sync
      expect(yield* client.replica.pendingCount).toBe(0)
      expect(yield* tablesOf(client.sql, countersApp), client.name).toEqual(
        yield* viewOf(world, client.principal.userId)
      )
    })
  )

describe.each(kinds)("a database restored from a backup on %s", (kind) => {
  const stage = stageOf(kind, countersApp, { a: "u1", b: "u2" })
  let prefix = ""

  /** Both sync, a backup is made, both write more and sync, each has something pending, and the backup is restored. */
  const restore = (now: Stage) =>
    Effect.gen(function* () {
      const { a, b } = now.clients
      prefix += "x"
      yield* now.world.server.unsafe(
        "INSERT INTO members (list, user_id) VALUES ('A', 'u1'), ('A', 'u2') ON CONFLICT DO NOTHING"
      )
      const storage = yield* Storage.make(now.world.server)
      yield* a!.replica.execute(put({ id: `${prefix}kept`, n: 1, list: "A" }))
      yield* syncAnyhow(a!)
      yield* syncAnyhow(b!)
      const backup = yield* storage.save
      for (const client of [a!, b!]) {
        yield* client.replica.execute(put({ id: `${prefix}lost ${client.name}`, n: 1, list: "A" }))
        yield* client.replica.execute(inc({ id: `${prefix}kept`, n: 5 }))
        yield* client.sync
      }
      yield* a!.sync
      for (const client of [a!, b!])
        yield* client.replica.execute(put({ id: `${prefix}pending ${client.name}`, n: 1, list: "A" }))
      yield* storage.load(backup)
    })

  const rowsOf = ({ world }: Stage) =>
    Effect.map(
      world.server.unsafe<{ id: string; n: number }>(
        `SELECT id, n FROM counters WHERE id LIKE '${prefix}%' AND id NOT LIKE '${prefix}x%' ORDER BY id`
      ),
      (rows) => rows.map(({ id, n }) => [id.slice(prefix.length), n])
    )
  const survivors = [
    ["kept", 1],
    ["pending a", 1],
    ["pending b", 1]
  ]

  it("I1, I4: is noticed by a client that is ahead; what is pending stays", () =>
    stage().run(
      Effect.gen(function* () {
        const now = stage()
        yield* restore(now)
        const error = yield* Effect.flip(now.clients.a!.sync)
        expect(error).toBeInstanceOf(Protocol.CursorTooOld)
        expect((error as Protocol.CursorTooOld).message).toContain("restored from a backup")
        for (const client of Object.values(now.clients)) expect(yield* syncAnyhow(client)).toBe(true)
        yield* expectConverged(now)
        expect(yield* rowsOf(now)).toEqual(survivors)
      })
    ))

  it("is noticed by every client after the statement of the guide, also when the server is ahead again", () =>
    stage().run(
      Effect.gen(function* () {
        const now = stage()
        yield* restore(now)
        yield* now.world.server.unsafe(
          "UPDATE synchrotron.realm SET seq = seq + 1000000, tombstone_seq = seq + 1000000"
        )
        for (const client of Object.values(now.clients)) expect(yield* syncAnyhow(client)).toBe(true)
        yield* expectConverged(now)
        expect(yield* rowsOf(now)).toEqual(survivors)
      })
    ))
})

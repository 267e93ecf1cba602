/** A user of more audiences than messages name: every path of a sync, with what travels checked on the way. */
import { Audiences, type Principal, Protocol, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import * as Random from "../src/Random.ts"
import { kinds, stageOf } from "./harness.ts"
import { tablesOf, travel, viewOf } from "./world.ts"

const rooms = 150

const app = SyncApp.make({
  name: "rooms",
  migrations: [
    {
      id: "001",
      sql: `
        CREATE TABLE seats (user_id text, room integer, PRIMARY KEY (user_id, room));
        CREATE TABLE notes (id integer PRIMARY KEY, room integer NOT NULL, n integer NOT NULL DEFAULT 0);`,
      serverSql: `
        ALTER TABLE seats ENABLE ROW LEVEL SECURITY;
        ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON seats USING (user_id = (SELECT synchrotron.user_id()));
        CREATE POLICY seated ON notes USING (room IN (SELECT s.room FROM seats AS s WHERE s.user_id = (SELECT synchrotron.user_id())));
        GRANT SELECT, INSERT, UPDATE, DELETE ON seats, notes TO synchrotron_user;
        INSERT INTO notes (id, room) SELECT i, i FROM generate_series(1, ${rooms}) AS i;`
    }
  ],
  tables: [
    SyncTable.make("seats", { audience: "'user:' || user_id" }),
    SyncTable.make("notes", { audience: "'room:' || room" })
  ],
  actions: [],
  audiences: `SELECT 'user:' || synchrotron.user_id()
    UNION ALL SELECT 'room:' || room FROM seats WHERE user_id = synchrotron.user_id()`
})

/** What somebody writes on the server. */
const write = (random: Random.Random): string => {
  const room = () => 1 + random.int(rooms)
  const id = () => 1 + random.int(rooms + 20)
  return random.pick([
    () => `UPDATE notes SET n = n + 1 WHERE id = ${id()}`,
    () => `UPDATE notes SET n = n + 1 WHERE id IN (${id()}, ${id()}, ${id()})`,
    // More rows than there are audiences.
    () => `UPDATE notes SET n = n + 1`,
    () => `UPDATE notes SET room = ${room()} WHERE id = ${id()}`,
    () => `DELETE FROM notes WHERE id = ${id()}`,
    () => `INSERT INTO notes (id, room) VALUES (${id()}, ${room()}) ON CONFLICT DO NOTHING`,
    () => `DELETE FROM seats WHERE user_id = 'a' AND room = ${room()}`,
    () => `INSERT INTO seats (user_id, room) VALUES ('a', ${room()}) ON CONFLICT DO NOTHING`,
    () => `INSERT INTO seats (user_id, room) VALUES ('b', ${room()}) ON CONFLICT DO NOTHING`
  ])()
}

const worlds = kinds.flatMap((kind) => [60, 1000].map((chunkRowsMax) => ({ kind, chunkRowsMax })))

describe.each(worlds)(
  "a user of many audiences on $kind, in answers of $chunkRowsMax rows",
  ({ chunkRowsMax, kind }) => {
    const stage = stageOf(kind, app, { a: "a" }, { chunkRowsMax })

    it("I1, I6: converges through requests and answers without names", async () => {
      const { clients, run, world } = stage()
      const { principal, replica, sql } = clients.a!
      const seen = { short: 0, unnamed: 0, changed: 0, chunks: 0, bytesMax: 0 }
      const exchange = Audiences.over((request) =>
        Effect.gen(function* () {
          const arrived = yield* travel(Protocol.WireRequest, request)
          const answer = Audiences.shorten(arrived, yield* world.authority.sync(principal, arrived))
          if (request.cursors === null) {
            seen.short++
            seen.bytesMax = Math.max(seen.bytesMax, JSON.stringify(request).length)
            // The same as by name.
            const whole = yield* world.authority.sync(
              principal,
              (yield* replica.request) as Protocol.WireRequest
            )
            expect({ ...whole, serverTimeMs: 0 }).toEqual({
              ...answer,
              audiences: answer.audiences ?? whole.audiences,
              held: undefined,
              serverTimeMs: 0
            })
          }
          if (answer.audiences === null) seen.unnamed++
          if (answer.next !== null) seen.chunks++
          return yield* travel(Protocol.WireResponse, answer)
        }).pipe(
          Effect.tapError((error) =>
            Effect.sync(() => {
              if (error._tag === "AudiencesChanged") seen.changed++
            })
          )
        )
      )
      const sync = Effect.gen(function* () {
        const request = yield* replica.request
        return yield* replica.receive(request, yield* exchange(request))
      })
      const syncAll = Effect.repeat(sync, {
        until: ({ load, path }) => load === null && path !== "restarted",
        times: 20
      })
      await run(
        Effect.gen(function* () {
          yield* world.server.unsafe(
            `INSERT INTO seats (user_id, room) SELECT 'a', i FROM generate_series(1, ${rooms - 10}) AS i`
          )
          for (let seed = 1; seed <= 60; seed++) {
            const random = Random.make(seed)
            for (let left = random.int(4); left > 0; left--) yield* world.server.unsafe(write(random))
            // Now and then only a part of it comes.
            if (random.chance(0.3)) yield* sync
            else {
              yield* syncAll
              expect(yield* tablesOf(sql, app), `seed ${seed}`).toEqual(yield* viewOf(world, "a"))
            }
          }
          yield* syncAll
          expect(yield* tablesOf(sql, app)).toEqual(yield* viewOf(world, "a"))
        })
      )
      expect(seen.short).toBeGreaterThan(10)
      expect(seen.unnamed).toBeGreaterThan(10)
      expect(seen.changed).toBeGreaterThan(3)
      if (chunkRowsMax < rooms) expect(seen.chunks).toBeGreaterThan(5)
      expect(seen.bytesMax).toBeLessThan(600)
    }, 120_000)

    it("refuses a request without cursors unless it says what the user holds", async () => {
      const { clients, run, world } = stage()
      const { principal, replica } = clients.a!
      const ask = (as: Principal, held: string | undefined) =>
        run(
          Effect.gen(function* () {
            const request = yield* replica.request
            return yield* Effect.flip(
              world.authority.sync(as, { ...request, cursors: null, ...(held === undefined ? {} : { held }) })
            )
          })
        )
      const everyRoom = Audiences.digestOf(Array.from({ length: rooms }, (_, i) => `room:${i + 1}`))
      for (const held of [undefined, Audiences.digestOf([]), everyRoom])
        expect(await ask(principal, held)).toMatchObject({
          _tag: "AudiencesChanged",
          message: expect.stringContaining("by name")
        })
    })
  }
)

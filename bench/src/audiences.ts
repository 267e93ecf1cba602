/** What it costs that a user holds many audiences: one changed row, with all that a sync sends and keeps for it. */

import type { SqlClient } from "@effect/sql"
import { Audiences, Protocol, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { makeClient, makeServer } from "./client.ts"
import { check, type Measurement, ofTimes, type Scale, timed } from "./measure.ts"
import { freshDatabase } from "./postgres.ts"

const app = SyncApp.make({
  name: "rooms",
  migrations: [
    {
      id: "001",
      sql: `
        CREATE TABLE seats (user_id text, room_id uuid, PRIMARY KEY (user_id, room_id));
        CREATE TABLE notes (room_id uuid PRIMARY KEY, n integer NOT NULL);`,
      serverSql: `
        ALTER TABLE seats ENABLE ROW LEVEL SECURITY;
        ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON seats USING (user_id = (SELECT synchrotron.user_id()));
        CREATE POLICY seated ON notes USING (room_id IN (SELECT s.room_id FROM seats AS s WHERE s.user_id = (SELECT synchrotron.user_id())));
        GRANT SELECT, INSERT, UPDATE, DELETE ON seats, notes TO synchrotron_user;`
    }
  ],
  tables: [
    SyncTable.make("seats", { audience: "'user:' || user_id" }),
    SyncTable.make("notes", { audience: "'room:' || room_id" })
  ],
  actions: [],
  audiences: `SELECT 'user:' || synchrotron.user_id()
    UNION ALL SELECT 'room:' || room_id FROM seats WHERE user_id = synchrotron.user_id()`
})

/** Sits in so many rooms, each with a note, among as many in which nobody sits. */
const fill = (sql: SqlClient.SqlClient, rooms: number) =>
  sql.unsafe(`
    INSERT INTO notes (room_id, n) SELECT gen_random_uuid(), 0 FROM generate_series(1, ${2 * rooms});
    INSERT INTO seats (user_id, room_id) SELECT 'a', room_id FROM notes LIMIT ${rooms};
    ANALYZE`)

const encodeRequest = Schema.encode(Schema.parseJson(Protocol.WireRequest))
const decodeRequest = Schema.decodeUnknown(Schema.parseJson(Protocol.WireRequest))
const encodeResponse = Schema.encode(Schema.parseJson(Protocol.WireResponse))
const decodeResponse = Schema.decodeUnknown(Schema.parseJson(Protocol.WireResponse))

const inRooms = (rooms: number, syncs: number) =>
  Effect.gen(function* () {
    const { authority, sql } = yield* makeServer({ _tag: "postgres", url: yield* freshDatabase }, app)
    yield* fill(sql, rooms)
    const { principal, replica } = yield* makeClient("a", app)
    let bytes = 0
    const exchange = Audiences.over((request: Protocol.WireRequest) =>
      Effect.gen(function* () {
        const sent = yield* encodeRequest(request)
        const arrived = yield* decodeRequest(sent)
        const answer = yield* encodeResponse(
          Audiences.shorten(arrived, yield* authority.sync(principal, arrived))
        )
        bytes = sent.length + answer.length
        return yield* decodeResponse(answer)
      })
    )
    const sync = Effect.gen(function* () {
      const request = yield* replica.request
      return yield* replica.receive(request, yield* exchange(request))
    })
    while ((yield* sync).load !== null) {}
    const times: Array<number> = []
    for (let i = 0; i < syncs; i++) {
      yield* sql.unsafe(
        "UPDATE notes SET n = n + 1 WHERE room_id = (SELECT min(room_id::text)::uuid FROM seats)"
      )
      const [ms, { path, rows }] = yield* timed(sync)
      check(path === "rows" && rows === 1, `${rows} rows by ${path}`)
      times.push(ms)
    }
    return { times, bytes }
  }).pipe(Effect.scoped)

/** Against the same for a user of a few audiences. */
export const audiences = (
  countFull: number,
  scale: Scale
): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const few = yield* inRooms(10, scale.runs * 4)
    const many = yield* inRooms(scale.size(countFull), scale.runs * 4)
    const name = `sync-1-in-${countFull}-audiences`
    return [
      ofTimes(name, "ms", many.times, few.times),
      ofTimes(`${name}-wire`, "bytes", [many.bytes], [few.bytes])
    ]
  })

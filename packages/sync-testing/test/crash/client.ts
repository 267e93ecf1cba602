/** A client with a store in a directory: says what it has, increments, says so when it is durable, and syncs over HTTP. */
import { SqlClient } from "@effect/sql"
import { PgliteClient } from "@synchrotron/sql-pglite"
import { Replica } from "@synchrotron/sync-core"
import { Effect } from "effect"
import { inc, kitchenApp } from "../kitchen.ts"
import { syncOver } from "./http.ts"
import { arm, say, statements } from "./kill.ts"

const { DIR, URL: url, USER_ID, TOKEN, INCREMENTS } = process.env as Record<string, string>

Effect.gen(function* () {
  const replica = yield* Replica.make({ app: kitchenApp, userId: USER_ID! })
  const sync = syncOver(replica, url!, TOKEN!)
  say("open")
  const sql = yield* SqlClient.SqlClient
  const [shown] = yield* sql<{ count: number }>`SELECT count(*)::integer AS count FROM counters`
  say("shows", shown!.count, (yield* replica.cursors).load?.rowsDone ?? 0)
  arm()
  for (let i = 0; i < Number(INCREMENTS); i++) {
    const { id } = yield* replica.execute(inc({ id: "x", n: 1 }))
    say("ack", id)
    if (i === 1) yield* sync
  }
  while ((yield* sync).load !== null) say("chunk")
  say("statements", statements())
  while ((yield* replica.pendingCount) > 0) yield* sync
  yield* sync
  say("done")
}).pipe(Effect.provide(PgliteClient.layer({ dataDir: DIR! })), Effect.scoped, Effect.runPromise)

/** The hub over real databases: who is woken, by which plan, and after the connection that listens was lost. */
import { SqlClient } from "@effect/sql"
import type { Audience, Seq } from "@synchrotron/sync-core"
import { AuthorityLive, ServerDatabase } from "@synchrotron/sync-server"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { placeSql } from "../../src/authority/schema.ts"
import * as Hub from "../../src/live/Hub.ts"
import { app } from "../shape/fixture.ts"
import { databases, makePlace, type Place } from "../shape/support.ts"

const role = "synchrotron_user"

describe.each(databases)("the hub on %s", (kind) => {
  let place: Place
  let scope: Scope.CloseableScope
  let sql: SqlClient.SqlClient
  let hub: Hub.HubService
  const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)

  beforeAll(async () => {
    place = await makePlace(kind)
    scope = Effect.runSync(Scope.make())
    const database = ServerDatabase.layer(place.database)
    const context = await run(
      Layer.build(
        Hub.layer({ app, sessionsMax: 2 }).pipe(
          Layer.provide(AuthorityLive.layerPrepared({ app, role })),
          Layer.provide(ServerDatabase.notifications(place.database)),
          Layer.provideMerge(database)
        )
      ).pipe(Scope.extend(scope))
    )
    sql = Context.get(context, SqlClient.SqlClient)
    hub = Context.get(context, Hub.Hub)
  })
  afterAll(async () => {
    await run(Scope.close(scope, Exit.void))
    await place.remove()
  })

  const seq = () =>
    run(Effect.map(sql.unsafe<{ seq: Seq }>("SELECT seq FROM synchrotron.realm"), ([realm]) => realm!.seq))
  const wait = (userId: string, since: Seq, ...audiences: ReadonlyArray<string>) => {
    let woken = false
    const controller = new AbortController()
    const waiting = {
      principal: { userId, claims: {} },
      audiences: audiences as unknown as ReadonlyArray<Audience>,
      since,
      untilMs: Number.MAX_SAFE_INTEGER
    }
    void Effect.runPromise(hub.news(waiting), { signal: controller.signal }).then(
      () => {
        woken = true
      },
      () => {}
    )
    return { woken: () => woken, leave: () => controller.abort() }
  }
  const wakes = (waiter: { readonly woken: () => boolean }) =>
    expect.poll(waiter.woken, { timeout: 20_000, interval: 5 }).toBe(true)

  it("wakes whom a commit touches, also one that was made without the engine", async () => {
    await expect.poll(seq).toBeGreaterThanOrEqual(0)
    const now = await seq()
    const red = wait("ann", now, "team:red")
    const blue = wait("bob", now, "team:blue")
    await run(sql.unsafe("INSERT INTO notes (id, team) VALUES ('1', 'red')"))
    await wakes(red)
    expect(blue.woken()).toBe(false)
    blue.leave()
  })

  it("I6: wakes whose audiences changed, and leaves the others alone", async () => {
    await run(sql.unsafe("INSERT INTO members VALUES ('blue', 'bob')"))
    const now = await seq()
    const ann = wait("ann", now)
    const bob = wait("bob", now, "team:blue")
    await run(sql.unsafe("INSERT INTO members VALUES ('green', 'ann')"))
    await wakes(ann)
    expect(bob.woken()).toBe(false)
    const next = wait("ann", await seq(), "team:green")
    await run(sql.unsafe("DELETE FROM members WHERE user_id = 'ann'"))
    await wakes(next)
    bob.leave()
  })

  it("I9: has room for so many sessions", async () => {
    const open = Effect.scoped(Effect.zipRight(hub.open, Effect.never))
    const controllers = [new AbortController(), new AbortController()]
    for (const { signal } of controllers) void Effect.runPromise(open, { signal }).catch(() => {})
    expect(hub.sessions()).toBe(2)
    expect(await Effect.runPromiseExit(Effect.scoped(hub.open))).toMatchObject({
      cause: { error: { _tag: "Unavailable", retryAfterMs: expect.any(Number) } }
    })
    for (const controller of controllers) controller.abort()
    await expect.poll(hub.sessions).toBe(0)
  })

  it("finds news and a table's rows by an index", async () => {
    await run(
      sql.unsafe(
        `INSERT INTO synchrotron.row_versions (tbl, key, audience, seq, gone)
         SELECT 'public.notes', '["' || i || '"]', 'old:' || i % 10, 0, false FROM generate_series(1, 20000) AS i;
         ANALYZE synchrotron.row_versions`
      )
    )
    const plan = async (query: string) =>
      JSON.stringify(await run(sql.unsafe(`EXPLAIN (COSTS false) ${query}`)))
    expect(
      await plan(
        "SELECT audience, max(seq), array_agg(DISTINCT tbl) FROM synchrotron.row_versions WHERE seq > 1 GROUP BY audience"
      )
    ).toContain("row_versions_commits")
    const rows = await plan(
      `SELECT key FROM synchrotron.row_versions AS r WHERE audience = 'old:1' AND tbl = 'public.notes'
       AND (seq, ${placeSql("key")}) > (0::bigint, 5::bigint) AND (NOT gone OR seq > 0)
       ORDER BY seq, ${placeSql("key")} FETCH FIRST 100 ROWS WITH TIES`
    )
    expect(rows).toContain("row_versions_places")
    expect(rows).not.toContain("Sort")
    await run(sql.unsafe("DELETE FROM synchrotron.row_versions WHERE audience LIKE 'old:%'"))
  })

  // An embedded database has no connection to lose.
  if (kind === "postgres")
    it("I1: hears again after the connection was lost, and wakes everybody once", async () => {
      const { database } = place
      const admin = new pg.Client({
        connectionString: database._tag === "postgres" ? String(database.url) : ""
      })
      await admin.connect()
      const listeners = async () =>
        (
          await admin.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'synchrotron-server-listen' AND datname = current_database()"
          )
        ).rows
      await vi.waitFor(async () => expect(await listeners()).toHaveLength(1))
      const now = await seq()
      const anybody = wait("cid", now, "team:red")
      await admin.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'synchrotron-server-listen' AND datname = current_database()"
      )
      await wakes(anybody)
      const red = wait("cid", await seq(), "team:red")
      await run(sql.unsafe("INSERT INTO notes (id, team) VALUES ('2', 'red')"))
      await wakes(red)
      expect(await listeners()).toHaveLength(1)
      await admin.end()
    })
})

/** The simulator's Postgres: what a crash leaves, and that nothing is left of an arena. */
import type { SqlClient } from "@effect/sql"
import { Effect, Exit, Scope } from "effect"
import pg from "pg"
import { afterAll, beforeAll, beforeEach, expect, inject, it } from "vitest"
import * as PostgresSlot from "../src/run/PostgresSlot.ts"
import type { Attachment, ServerSlot } from "../src/run/ServerSlot.ts"
import { quiet } from "../src/run/VirtualTime.ts"

let slot: ServerSlot
let admin: pg.Client
let database: string

beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject("postgresUrl") })
  await admin.connect()
  slot = await PostgresSlot.open(inject("postgresUrl"), "synchrotron_user", async (sql) => {
    await Effect.runPromise(sql.unsafe("CREATE TABLE t (i integer PRIMARY KEY);INSERT INTO t VALUES (0)"))
  })
  const [row] = await run(slot.probe.unsafe<{ name: string }>("SELECT current_database() AS name"))
  database = row!.name
})
beforeEach(() => slot.reset())
afterAll(async () => {
  await slot?.close()
  const { rows } = await admin.query(
    "SELECT datname AS name FROM pg_database UNION ALL SELECT rolname FROM pg_roles"
  )
  await admin.end()
  expect(rows.map((row) => row.name).filter((name) => name.startsWith(database))).toEqual([])
})

const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)
const rows = async () =>
  (await run(slot.probe.unsafe<{ i: number }>("SELECT i FROM t ORDER BY i"))).map(({ i }) => i)

interface Seen {
  readonly attachment: Attachment
  readonly sql: SqlClient.SqlClient
  readonly log: Array<string>
  readonly close: () => Promise<void>
}

/** A process, and what is known of it from outside. */
const start = async (): Promise<Seen> => {
  const log: Array<string> = []
  const attachment = slot.attach({
    onIdle: Effect.flatMap(slot.version, () =>
      Effect.map(
        Effect.orDie(slot.probe.unsafe<{ n: number }>("SELECT count(*)::integer AS n FROM t")),
        ([row]) => {
          log.push(`committed with ${row!.n} rows`)
        }
      )
    ),
    onCrash: (message) => log.push(`crashed at ${message}`)
  })
  const scope = Effect.runSync(Scope.make())
  const sql = await run(Scope.extend(attachment.connect, scope))
  return { attachment, log, sql, close: () => run(Scope.close(scope, Exit.void)) }
}

/** A transaction of so many statements between BEGIN and COMMIT. */
const insert = ({ sql }: Seen, count: number) =>
  sql.withTransaction(
    Effect.forEach(Array.from({ length: count }), (_, i) => sql.unsafe(`INSERT INTO t VALUES (${i + 1})`))
  )

it("is owned by a role without a superuser's rights", async () => {
  const [who] = await run(
    slot.probe.unsafe<{ user: string; free: boolean }>(
      "SELECT current_user AS user, rolsuper OR rolbypassrls AS free FROM pg_roles WHERE rolname = session_user"
    )
  )
  expect(who).toEqual({ user: database, free: false })
})

it("gives back what was installed", async () => {
  await run(slot.probe.unsafe("INSERT INTO t VALUES (7);DELETE FROM t WHERE i = 0"))
  await slot.reset()
  expect(await rows()).toEqual([0])
})

it.each([
  ["before BEGIN", { after: 1, inserts: 1, left: [0] }],
  ["after a statement", { after: 2, inserts: 1, left: [0] }],
  ["before COMMIT", { after: 3, inserts: 1, left: [0] }],
  ["after COMMIT", { after: 4, inserts: 2, left: [0, 1, 2] }]
] as const)("I5: a crash %s leaves a whole transaction or none", async (_, { after, inserts, left }) => {
  const process = await start()
  process.attachment.crashAfter(after)
  expect((await run(Effect.exit(insert(process, inserts))))._tag).toBe("Failure")
  expect(process.log).toEqual([
    ...(left.length > 1 ? [`committed with ${left.length} rows`] : []),
    `crashed at ${after}`
  ])
  expect(await rows()).toEqual(left)
  expect((await run(Effect.exit(process.sql.unsafe("SELECT 1 AS one"))))._tag).toBe("Failure")
  const { rows: backends } = await admin.query(
    "SELECT count(*)::integer AS n FROM pg_stat_activity WHERE datname = $1",
    [database]
  )
  // The probe's.
  expect(backends).toEqual([{ n: 1 }])
  await process.close()
})

it("tells of each commit that changed something before its process hears of it", async () => {
  const process = await start()
  const before = await run(slot.version)
  await run(process.sql.withTransaction(process.sql.unsafe("SELECT 1 AS one")))
  expect(await run(slot.version)).toBe(before)
  await run(Effect.tap(insert(process, 2), () => Effect.sync(() => process.log.push("heard"))))
  expect(process.log).toEqual(["committed with 3 rows", "heard"])
  expect(await run(slot.version)).not.toBe(before)
  await process.close()
})

it("is under way until a statement is answered", async () => {
  const process = await start()
  await run(process.sql.unsafe("SELECT 1 AS one"))
  expect(slot.underWay()).toBeNull()
  let answered = false
  const answer = run(process.sql.unsafe("SELECT pg_sleep(0.05)")).then(() => {
    answered = true
  })
  await quiet(slot.underWay)
  expect(answered).toBe(true)
  await answer
  await process.close()
})

import { sqlState } from "@synchrotron/sql-pglite"
import { Context, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { failure, openClient, run, type TestClient } from "./support.ts"

let client: TestClient
let sql: TestClient["sql"]

beforeAll(async () => {
  client = await openClient()
  sql = client.sql
})
afterAll(() => client.close())

beforeEach(async () => {
  await run(
    sql.unsafe(`
      DROP TABLE IF EXISTS child, item, log;
      CREATE TABLE item (id int PRIMARY KEY, name text UNIQUE DEFERRABLE INITIALLY DEFERRED);
      CREATE TABLE child (item_id int REFERENCES item DEFERRABLE INITIALLY DEFERRED);
      CREATE TABLE log (at serial, fiber int)
    `)
  )
})

const ids = Effect.suspend(() => sql<{ id: number }>`SELECT id FROM item ORDER BY id`).pipe(
  Effect.map((rows) => rows.map(({ id }) => id))
)
const insert = (id: number, name: string | null = null) => sql`INSERT INTO item VALUES (${id}, ${name})`

describe("top level", () => {
  test("20 concurrent transactions do not interleave", async () => {
    const one = (fiber: number) =>
      sql.withTransaction(
        Effect.gen(function* () {
          for (let i = 0; i < 3; i++) {
            yield* sql`INSERT INTO log (fiber) VALUES (${fiber})`
            yield* Effect.sleep(1)
          }
        })
      )
    const outside = sql`INSERT INTO log (fiber) VALUES (-1)`
    await run(
      Effect.all([...Array.from({ length: 20 }, (_, i) => one(i)), outside, outside], {
        concurrency: "unbounded",
        discard: true
      })
    )
    const rows = await run(sql<{ fiber: number }>`SELECT fiber FROM log ORDER BY at`)
    expect(rows).toHaveLength(62)
    const runs = rows
      .map(({ fiber }) => fiber)
      .filter((fiber, i, all) => fiber !== all[i - 1] || fiber === -1)
    expect(runs).toHaveLength(22)
  })

  test("a statement outside waits for the running transaction", async () => {
    const seen = await run(
      Effect.gen(function* () {
        const inside = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          sql.withTransaction(
            Effect.gen(function* () {
              yield* insert(1)
              yield* Deferred.succeed(inside, undefined)
              yield* Effect.sleep(20)
              yield* insert(2)
            })
          )
        )
        yield* Deferred.await(inside)
        const found = yield* ids
        yield* Fiber.join(fiber)
        return found
      })
    )
    expect(seen).toEqual([1, 2])
  })

  test("a failing body rolls back and keeps its error", async () => {
    const error = await failure(sql.withTransaction(Effect.zipRight(insert(1), Effect.fail("no" as const))))
    expect(error).toBe("no")
    expect(await run(ids)).toEqual([])
  })

  test("a dying body rolls back and frees the connection", async () => {
    const exit = await Effect.runPromiseExit(
      sql.withTransaction(Effect.zipRight(insert(1), Effect.die("bug")))
    )
    expect(Exit.isFailure(exit)).toBe(true)
    expect(await run(ids)).toEqual([])
  })

  test("commit of an aborted transaction is an error that names the cause", async () => {
    const error = await failure(
      sql.withTransaction(
        Effect.gen(function* () {
          yield* insert(1)
          yield* Effect.ignore(insert(1))
        })
      )
    )
    expect(sqlState(error)).toBe("25P02")
    expect(sqlState((error.cause as Error).cause)).toBe("23505")
    expect(await run(ids)).toEqual([])
  })

  test.each([
    ["unique", () => Effect.zipRight(insert(1, "same"), insert(2, "same")), "23505"],
    ["foreign key", () => sql`INSERT INTO child VALUES (7)`, "23503"]
  ])("a deferred %s violation at COMMIT is a typed error", async (_, body, code) => {
    const error = await failure(sql.withTransaction(body()))
    expect(error._tag).toBe("SqlError")
    expect(sqlState(error)).toBe(code)
    expect(await run(sql.transactionStatus)).toBe("I")
    expect(await run(ids)).toEqual([])
  })

  test("interruption in the body rolls back and frees the connection", async () => {
    await run(
      Effect.gen(function* () {
        const inside = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          sql.withTransaction(
            insert(1).pipe(
              Effect.zipRight(Deferred.succeed(inside, undefined)),
              Effect.zipRight(Effect.never)
            )
          )
        )
        yield* Deferred.await(inside)
        yield* Fiber.interrupt(fiber)
      })
    )
    expect(await run(sql.transactionStatus)).toBe("I")
    expect(await run(ids)).toEqual([])
  })

  test("interruption while waiting for the connection takes nothing", async () => {
    await run(
      Effect.gen(function* () {
        const waiting = yield* sql.withTransaction(
          Effect.gen(function* () {
            const fiber = yield* Effect.forkDaemon(
              Effect.mapInputContext(sql.withTransaction(insert(9)), (_: Context.Context<never>) =>
                Context.empty()
              )
            )
            yield* Effect.sleep(5)
            yield* Fiber.interrupt(fiber)
            return fiber
          })
        )
        expect(Exit.isInterrupted(yield* Fiber.await(waiting))).toBe(true)
        yield* sql.withTransaction(insert(1))
      })
    )
    expect(await run(ids)).toEqual([1])
  })

  test("a fiber that outlives its transaction gets an error", async () => {
    const late = await run(
      sql
        .withTransaction(Effect.forkDaemon(Effect.zipRight(Effect.sleep(5), Effect.flip(insert(1)))))
        .pipe(Effect.flatMap(Fiber.join))
    )
    expect(sqlState(late)).toBe("25P01")
    expect(await run(ids)).toEqual([])
  })

  test("BEGIN outside withTransaction is rolled back and refused", async () => {
    expect(sqlState(await failure(sql.unsafe("BEGIN; INSERT INTO item VALUES (1)")))).toBe("25001")
    expect(await run(ids)).toEqual([])
    expect(sqlState(await failure(sql.unsafe("BEGIN; SELECT 1/0")))).toBe("22012")
    await run(sql.unsafe("BEGIN; INSERT INTO item VALUES (1); COMMIT"))
    expect(await run(ids)).toEqual([1])
  })

  test("COMMIT inside the body is an error", async () => {
    expect(sqlState(await failure(sql.withTransaction(sql.unsafe("COMMIT"))))).toBe("25P01")
  })

  test("reserve holds the connection, and cleans up after itself", async () => {
    await run(
      Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* sql.reserve
          yield* connection.executeUnprepared("BEGIN; INSERT INTO item VALUES (1)", [], undefined)
        })
      )
    )
    expect(await run(ids)).toEqual([])
  })
})

describe("nested", () => {
  test("a failed inner transaction leaves the outer one's work", async () => {
    await run(
      sql.withTransaction(
        Effect.gen(function* () {
          yield* insert(1)
          yield* Effect.ignore(sql.withTransaction(Effect.zipRight(insert(2), insert(1))))
          yield* sql.withTransaction(insert(3))
        })
      )
    )
    expect(await run(ids)).toEqual([1, 3])
  })

  test("three levels", async () => {
    await run(
      sql.withTransaction(
        Effect.gen(function* () {
          yield* Effect.ignore(
            sql.withTransaction(
              Effect.gen(function* () {
                yield* insert(1)
                yield* sql.withTransaction(insert(2))
                yield* Effect.fail("undo both")
              })
            )
          )
          yield* insert(3)
        })
      )
    )
    expect(await run(ids)).toEqual([3])
  })

  test("release of an aborted savepoint is a typed error, and the outer transaction goes on", async () => {
    const inner = await run(
      sql.withTransaction(
        Effect.gen(function* () {
          yield* insert(1)
          const error = yield* Effect.flip(
            sql.withTransaction(Effect.zipRight(insert(2), Effect.ignore(insert(1))))
          )
          yield* insert(3)
          return error
        })
      )
    )
    expect(sqlState(inner)).toBe("25P02")
    expect(await run(ids)).toEqual([1, 3])
  })

  test("concurrent inner transactions take turns", async () => {
    await run(
      sql.withTransaction(
        Effect.forEach(
          [1, 2, 3, 4],
          (id) =>
            Effect.ignore(
              sql.withTransaction(
                insert(id).pipe(
                  Effect.zipLeft(Effect.sleep(2)),
                  Effect.zipRight(id % 2 ? Effect.void : Effect.fail("undo"))
                )
              )
            ),
          { concurrency: "unbounded" }
        )
      )
    )
    expect(await run(ids)).toEqual([1, 3])
  })

  test("interruption of an inner transaction undoes it alone", async () => {
    await run(
      sql.withTransaction(
        Effect.gen(function* () {
          yield* insert(1)
          yield* Effect.ignore(
            Effect.timeout(sql.withTransaction(Effect.zipRight(insert(2), Effect.never)), "10 millis")
          )
          yield* insert(3)
        })
      )
    )
    expect(await run(ids)).toEqual([1, 3])
  })
})

test("a stream in a transaction fetches as it is consumed, with other statements in between", async () => {
  const rows = await run(
    sql.withTransaction(
      sql<{ n: number }>`SELECT n, pg_sleep(0) FROM generate_series(1, ${1000}::int) n`.stream.pipe(
        Stream.mapEffect(({ n }) => (n % 300 === 0 ? Effect.asVoid(insert(n)) : Effect.void)),
        Stream.runCount
      )
    )
  )
  expect(rows).toBe(1000)
  expect(await run(ids)).toEqual([300, 600, 900])
  const first = await run(
    sql.withTransaction(
      sql<{ n: number }>`SELECT generate_series(1, 1000000000) AS n`.stream.pipe(
        Stream.take(3),
        Stream.runCollect
      )
    )
  )
  expect([...first].map(({ n }) => n)).toEqual([1, 2, 3])
})

test("a stream outside a transaction leaves the connection to its consumer", async () => {
  await run(
    sql<{ n: number }>`SELECT n FROM generate_series(1, ${300}::int) n`.stream.pipe(
      Stream.mapEffect(({ n }) => insert(n)),
      Stream.runDrain
    )
  )
  expect(await run(ids)).toHaveLength(300)
})

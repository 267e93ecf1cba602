import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import { SqlClient } from "@effect/sql"
import { PGlite } from "@electric-sql/pglite"
import { PgliteClient, PgliteDead, PgliteLocked, sqlState } from "@synchrotron/sql-pglite"
import { Effect } from "effect"
import { afterAll, describe, expect, test } from "vitest"
import { failure, openClient, run, testImage } from "./support.ts"

const root = mkdtempSync(join(tmpdir(), "sql-pglite-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const tryOpen = (dataDir: string) =>
  failure(Effect.scoped(PgliteClient.make({ dataDir })).pipe(Effect.provide(Reactivity.layer)))

describe("a dead instance", () => {
  test("endless plpgsql recursion stays an ordinary error by default", async () => {
    const { close, sql } = await openClient()
    await run(sql.unsafe("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN f(); END'"))
    expect(sqlState(await failure(sql`SELECT f()`))).toBe("54001")
    expect(await run(sql`SELECT 1 AS one`)).toEqual([{ one: 1 }])
    await close()
  })

  test("an overflow of the WASM stack is recognised, and everything later says so", async () => {
    const { close, sql } = await openClient({ startParams: ["-c", "max_stack_depth=1000kB"] })
    await run(sql.unsafe("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN f(); END'"))
    for (const statement of [
      sql.withTransaction(sql`SELECT f()`),
      sql`SELECT 1`,
      sql.withTransaction(sql`SELECT 1`)
    ]) {
      const error = await failure(statement)
      expect(error.cause).toBeInstanceOf(PgliteDead)
      expect(error.message).toContain("reopen the store")
    }
    await close()
  })

  test("a closed client fails typed", async () => {
    const { close, sql } = await openClient()
    await close()
    expect((await failure(sql`SELECT 1`)).cause).toBeInstanceOf(PgliteDead)
  })
})

describe("a directory", () => {
  test("keeps its data when it is reopened, and is locked meanwhile", async () => {
    const dataDir = join(root, "kept")
    const first = await openClient({ dataDir })
    await run(first.sql.unsafe("CREATE TABLE t (a int); INSERT INTO t VALUES (1)"))
    await run(first.sql.withTransaction(first.sql`INSERT INTO t VALUES (${2})`))

    const link = join(root, "link")
    symlinkSync(dataDir, link)
    for (const path of [dataDir, link, `file://${dataDir}`]) {
      const error = await tryOpen(path)
      expect(error).toBeInstanceOf(PgliteLocked)
      expect(error).toMatchObject({ pid: process.pid })
      expect(error.message).toContain(String(process.pid))
    }

    await first.close()
    expect(existsSync(`${dataDir}.lock`)).toBe(false)
    // As a start leaves it that is killed just then.
    writeFileSync(join(dataDir, "postmaster.pid"), "")
    const second = await openClient({ dataDir })
    expect(await run(second.sql`SELECT a FROM t ORDER BY a`)).toEqual([{ a: 1 }, { a: 2 }])
    await second.close()
  })

  test("a lock of a dead process is taken over, one of a living process is not", async () => {
    const dataDir = join(root, "stale")
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"])
    const lock = (fields: object) =>
      writeFileSync(
        `${dataDir}.lock`,
        JSON.stringify({ host: hostname(), started: "", token: "x", ...fields })
      )
    const { readFileSync } = await import("node:fs")
    const started = existsSync("/proc/self/stat")
      ? readFileSync(`/proc/${child.pid}/stat`, "utf8")
          .replace(/^.*\) /s, "")
          .split(" ")[19]
      : ""
    lock({ pid: child.pid, started })
    expect(await tryOpen(dataDir)).toMatchObject({ _tag: "PgliteLocked", pid: child.pid })
    lock({ pid: 1, host: "another-host" })
    expect(await tryOpen(dataDir)).toMatchObject({ _tag: "PgliteLocked", host: "another-host" })
    await new Promise((resolve) => child.once("exit", resolve).kill())
    lock({ pid: child.pid, started })
    const client = await openClient({ dataDir })
    await client.close()
    expect(existsSync(`${dataDir}.lock`)).toBe(false)
  })

  test("a file that is no lock is taken over", async () => {
    const dataDir = join(root, "garbage")
    writeFileSync(`${dataDir}.lock`, "")
    const client = await openClient({ dataDir })
    await client.close()
  })

  test("a directory that cannot be opened fails typed and leaves no lock", async () => {
    const file = join(root, "file")
    writeFileSync(file, "")
    expect(await tryOpen(file)).toMatchObject({ _tag: "SqlError" })
    const bad = join(root, "bad")
    const error = await failure(
      Effect.scoped(PgliteClient.make({ dataDir: bad, image: new Uint8Array([1, 2, 3]) })).pipe(
        Effect.provide(Reactivity.layer)
      )
    )
    expect(error._tag).toBe("SqlError")
    expect(existsSync(`${bad}.lock`)).toBe(false)
  })
})

test("a dump becomes another store's image", async () => {
  const { close, sql } = await openClient()
  await run(sql.unsafe("CREATE TABLE t AS SELECT 42 AS a"))
  const dump = await run(sql.dumpDataDir("none"))
  await close()
  const copy = await openClient({ image: new Uint8Array(await dump.arrayBuffer()) })
  expect(await run(copy.sql`SELECT a FROM t`)).toEqual([{ a: 42 }])
  await copy.close()
})

test("the layer gives both services; an image can bring a schema", async () => {
  const program = Effect.gen(function* () {
    const pglite = yield* PgliteClient
    const sql = yield* SqlClient.SqlClient
    expect(sql).toBe(pglite)
    return yield* sql`SELECT * FROM seeded`
  })
  const image = await run(
    PgliteClient.prepareImage({ setup: "CREATE TABLE seeded AS SELECT 1 AS a", compression: "gzip" })
  )
  expect(await run(Effect.provide(program, PgliteClient.layer({ image })))).toEqual([{ a: 1 }])
})

test("two clients in one fiber keep their transactions apart", async () => {
  const a = await openClient()
  const b = await openClient()
  await run(Effect.all([a.sql`CREATE TABLE t (x int)`, b.sql`CREATE TABLE t (x int)`]))
  await run(
    Effect.ignore(
      a.sql.withTransaction(
        a.sql`INSERT INTO t VALUES (1)`.pipe(
          Effect.zipRight(b.sql.withTransaction(b.sql`INSERT INTO t VALUES (2)`)),
          Effect.zipRight(b.sql`INSERT INTO t VALUES (3)`),
          Effect.zipRight(Effect.fail("undo a"))
        )
      )
    )
  )
  expect(await run(a.sql`SELECT x FROM t`)).toEqual([])
  expect(await run(b.sql`SELECT x FROM t ORDER BY x`)).toEqual([{ x: 2 }, { x: 3 }])
  await a.close()
  await b.close()
})

test("an instance that answers later, as behind a worker, takes turns", async () => {
  const db = await PGlite.create({ loadDataDir: await testImage() })
  const execProtocolRawStream: PGlite["execProtocolRawStream"] = async (message, options) => {
    await new Promise((resolve) => setTimeout(resolve, 1))
    return db.execProtocolRawStream(message, options)
  }
  const { close, sql } = await openClient({ pglite: { execProtocolRawStream } as PGlite })
  await run(sql`CREATE TABLE t (a int)`)
  const insert = (a: number) => sql`INSERT INTO t VALUES (${a}) RETURNING a`
  const all = Effect.forEach([1, 2, 3, 4], insert, { concurrency: "unbounded" })
  expect(await run(sql.withTransaction(all))).toEqual([[{ a: 1 }], [{ a: 2 }], [{ a: 3 }], [{ a: 4 }]])
  await run(
    Effect.timeoutOption(
      sql.withTransaction(Effect.zipRight(insert(5), Effect.sleep("1 second"))),
      "20 millis"
    )
  )
  expect(await run(sql`SELECT count(*) AS n FROM t`)).toEqual([{ n: 4 }])
  await close()
  await db.close()
})

test("a browser store is flushed by each commit that wrote, and a failed flush is final", async () => {
  const db = await PGlite.create({ loadDataDir: await testImage() })
  let flushes = 0
  let broken = false
  Object.defineProperty(db, "dataDir", { value: "idb://test" })
  db.syncToFs = async () => {
    if (broken) throw new Error("quota exceeded")
    flushes++
  }
  const { close, sql } = await openClient({ pglite: db })
  const during = async (effect: Effect.Effect<unknown, unknown>) => {
    const before = flushes
    await run(effect)
    return flushes - before
  }
  await run(sql`CREATE TABLE t (a int)`)
  expect(
    await during(
      sql.withTransaction(Effect.zipRight(sql`INSERT INTO t VALUES (1)`, sql`INSERT INTO t VALUES (2)`))
    )
  ).toBe(1)
  expect(await during(sql`INSERT INTO t VALUES (${3})`)).toBe(1)
  await run(sql`SELECT * FROM t`)
  expect(await during(sql`SELECT * FROM t`)).toBe(0)
  expect(await during(sql.withTransaction(sql`SELECT 1`))).toBe(0)
  broken = true
  expect((await failure(sql.withTransaction(sql`INSERT INTO t VALUES (4)`))).cause).toBeInstanceOf(PgliteDead)
  expect((await failure(sql`SELECT 1`)).cause).toBeInstanceOf(PgliteDead)
  await close()
  await db.close()
})

/**
 * kill -9 at statement boundaries of a sync, on either side. Every process continues with the store that the one
 * before it left, so each kill point is also a recovery. The points are sampled with a seed: `CRASH_SEED` repeats them.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { HttpServer } from "@effect/platform"
import { SqlClient } from "@effect/sql"
import { PgliteClient } from "@synchrotron/sql-pglite"
import { Replica } from "@synchrotron/sync-core"
import { ServerDatabase, SyncServer, tokens } from "@synchrotron/sync-server"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { createDatabase } from "../../../test/postgres.ts"
import { syncOver } from "./crash/http.ts"
import { randomOf, scalar } from "./harness.ts"
import { inc, kitchenApp } from "./kitchen.ts"
import { embedded, tablesOf } from "./world.ts"

const seed = Number(process.env.CRASH_SEED ?? 1)
const pointsMax = Number(process.env.CRASH_POINTS ?? 14)

const secret = "a secret of the crash tests, long enough"
const tokenOf = (userId: string) => tokens.signDevelopmentToken({ secret, userId })

const scratch = mkdtempSync(join(tmpdir(), "synchrotron-crash-"))
/** Bundled, because a process that has to load TypeScript takes seconds to start. Inside the package, to find PGlite. */
const bundles = mkdtempSync(new URL("../node_modules/.crash-", import.meta.url).pathname)
const children = new Set<ChildProcess>()
afterAll(() => {
  for (const child of children) child.kill("SIGKILL")
  for (const directory of [scratch, bundles]) rmSync(directory, { recursive: true, force: true })
})

beforeAll(async () => {
  const require = createRequire(import.meta.url)
  const esbuild = createRequire(require.resolve("tsx"))("esbuild") as {
    readonly build: (options: object) => Promise<unknown>
  }
  await esbuild.build({
    entryPoints: ["client", "server"].map((name) => new URL(`./crash/${name}.ts`, import.meta.url).pathname),
    outdir: bundles,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    external: ["@electric-sql/pglite", "pg"],
    banner: {
      js: 'import { createRequire } from "node:module";const require = createRequire(import.meta.url);'
    }
  })
})

/** Starts a program; `ended` gives what ended it. */
const start = (program: "client" | "server", env: Record<string, string>, onLine: (line: string) => void) => {
  // WebAssembly that is compiled fast suits a process that lives for a second.
  const child = spawn(process.execPath, ["--liftoff-only", join(bundles, `${program}.mjs`)], {
    env: { ...process.env, NODE_OPTIONS: "", ...env },
    stdio: ["ignore", "pipe", "inherit"]
  })
  children.add(child)
  const lines = createInterface({ input: child.stdout }).on("line", onLine)
  const ended = new Promise<string>((resolve) => {
    child.on("close", (code, signal) => {
      lines.close()
      children.delete(child)
      resolve(signal ?? String(code))
    })
  })
  return { child, ended }
}

/** `count` different kill points among the first `total` boundaries, in random order. */
const sample = (total: number, count: number): ReadonlyArray<Record<string, string>> => {
  const random = randomOf(seed)
  const boundaries = Array.from({ length: total * 2 }, (_, i) => ({
    KILL_AT: String((i >> 1) + 1),
    KILL_WHEN: i % 2 === 0 ? "before" : "after"
  }))
  return boundaries
    .map((point) => ({ point, place: random() }))
    .sort((a, b) => a.place - b.place)
    .slice(0, count)
    .map(({ point }) => point)
}

const describePoints = (points: ReadonlyArray<Record<string, string>>) =>
  points.map(({ KILL_AT, KILL_WHEN }) => `${KILL_WHEN} ${KILL_AT}`).join(", ")

/** I4 on the server: each acknowledged record is canonical, and the counter counts exactly the canonical records. */
const expectExactlyOnce = (sql: SqlClient.SqlClient, acknowledged: ReadonlySet<string>) =>
  Effect.gen(function* () {
    const records = yield* sql.unsafe<{ id: string; status: string }>(
      "SELECT id, status FROM synchrotron.records"
    )
    const ids = new Set(records.map((record) => record.id))
    expect([...acknowledged].filter((id) => !ids.has(id))).toEqual([])
    expect(records.filter((record) => record.status === "voided")).toEqual([])
    expect(yield* scalar(sql, "SELECT n FROM counters WHERE id = 'x'")).toBe(records.length)
    expect(yield* scalar(sql, "SELECT count(*)::int FROM synchrotron.dead_letters")).toBe(0)
    // Commits are numbered without a gap, and nothing is left of a commit that was not to be.
    expect(
      yield* scalar(
        sql,
        "SELECT (SELECT seq FROM synchrotron.realm) = (SELECT max(seq) FROM synchrotron.records)"
      )
    ).toBe(true)
    expect(yield* scalar(sql, "SELECT count(*)::int FROM synchrotron.undone")).toBe(0)
    return records.length
  })

const inScope = async (body: (scope: Scope.Scope) => Promise<void>) => {
  const scope = Effect.runSync(Scope.make())
  try {
    await body(scope)
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const openClient = (userId: string, scope: Scope.Scope) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(PgliteClient.layer())
    const replica = yield* Effect.provide(Replica.make({ app: kitchenApp, userId }), context)
    return { replica, userId, sql: Context.get(context, PgliteClient) }
  }).pipe(Scope.extend(scope), Effect.runPromise)

describe.concurrent("kill -9", () => {
  it(
    "I4, I5: of the client between statements of its actions and syncs loses and doubles nothing",
    () =>
      inScope(async (scope) => {
        const acknowledged = new Set<string>()
        const context = await Layer.build(
          SyncServer.layer({
            app: kitchenApp,
            database: embedded,
            jwtSecret: secret,
            port: 0
          })
        ).pipe(Scope.extend(scope), Effect.runPromise)
        const { address } = Context.get(context, HttpServer.HttpServer)
        const URL = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
        const token = await tokenOf("u1")
        let total = 0
        const run = async (env: Record<string, string>, killAfterMs?: number) => {
          const lines: Array<string> = []
          const { child, ended } = start(
            "client",
            { URL, DIR: join(scratch, "client"), USER_ID: "u1", TOKEN: token, INCREMENTS: "4", ...env },
            (line) => {
              lines.push(line)
              const [word, value] = line.split(" ")
              if (word === "ack") acknowledged.add(value!)
              if (word === "statements") total = Number(value)
              if (word === "open" && killAfterMs !== undefined)
                setTimeout(() => child.kill("SIGKILL"), killAfterMs)
            }
          )
          return { end: await ended, lines }
        }
        expect(await run({})).toMatchObject({ end: "0" })
        const points = sample(total, pointsMax)
        const kills = []
        for (const point of points) kills.push((await run(point)).end)
        // In the middle of statements too.
        for (let i = 0; i < 4; i++) kills.push((await run({ INCREMENTS: "200" }, 20 + 60 * i)).end)
        const hint = `seed ${seed}, of ${total}: ${describePoints(points)}`
        expect(kills.filter((end) => end === "SIGKILL").length, hint).toBeGreaterThan(kills.length / 2)
        expect(
          kills.filter((end) => end !== "SIGKILL" && end !== "0"),
          hint
        ).toEqual([])
        expect(await run({ INCREMENTS: "1" }), hint).toMatchObject({ end: "0" })
        // Another client sees the same; its rows are the server's.
        const other = await openClient("u2", scope)
        await Effect.runPromise(syncOver(other.replica, URL, await tokenOf("u2")))
        const own = await Layer.build(PgliteClient.layer({ dataDir: join(scratch, "client") })).pipe(
          Scope.extend(scope),
          Effect.runPromise
        )
        const content = await Effect.runPromise(tablesOf(other.sql, kitchenApp))
        expect(await Effect.runPromise(tablesOf(Context.get(own, PgliteClient), kitchenApp)), hint).toEqual(
          content
        )
        const sum = await Effect.runPromise(scalar(other.sql, "SELECT n FROM counters WHERE id = 'x'"))
        // A record may be durable without its acknowledgement having been heard, one for each kill.
        expect(sum, hint).toBeGreaterThanOrEqual(acknowledged.size)
        expect(sum, hint).toBeLessThanOrEqual(acknowledged.size + kills.length)
      }),
    240_000
  )

  it(
    "I4, I5: of the client between statements of a load shows nothing of it, and goes on where it was",
    () =>
      inScope(async (scope) => {
        const chunkRowsMax = 3
        const rows = 40
        const context = await Layer.build(
          SyncServer.layer({
            app: kitchenApp,
            database: embedded,
            jwtSecret: secret,
            port: 0,
            chunkRowsMax
          })
        ).pipe(Scope.extend(scope), Effect.runPromise)
        const { address } = Context.get(context, HttpServer.HttpServer)
        const URL = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
        const author = await openClient("u1", scope)
        for (let i = 0; i < rows; i++)
          await Effect.runPromise(author.replica.execute(inc({ id: `r${i}`, n: i })))
        const token = await tokenOf("u1")
        while ((await Effect.runPromise(author.replica.pendingCount)) > 0)
          await Effect.runPromise(syncOver(author.replica, URL, token))
        const run = async (name: string, env: Record<string, string>) => {
          const said: Array<ReadonlyArray<string>> = []
          const { ended } = start(
            "client",
            {
              URL,
              DIR: join(scratch, name),
              USER_ID: "u2",
              TOKEN: await tokenOf("u2"),
              INCREMENTS: "0",
              ...env
            },
            (line) => said.push(line.split(" "))
          )
          const end = await ended
          const first = (word: string) =>
            said
              .find(([said]) => said === word)
              ?.slice(1)
              .map(Number)
          return { end, first }
        }
        // As often as it takes, each process a few statements further than the one before.
        const whole = await run("whole", {})
        expect(whole.end).toBe("0")
        const points = sample(whole.first("statements")![0]! / 3, pointsMax)
        const done: Array<number> = []
        let loaded = false
        for (const point of points) {
          const { end, first } = await run("load", point)
          expect(["SIGKILL", "0"]).toContain(end)
          const [shown, rowsDone] = first("shows")!
          expect(loaded ? [rows] : [0, rows], describePoints(points)).toContain(shown)
          loaded ||= shown === rows
          if (!loaded) done.push(rowsDone!)
        }
        expect(done.filter((n) => n > 0).length, describePoints(points)).toBeGreaterThan(0)
        expect(done, describePoints(points)).toEqual([...done].sort((a, b) => a - b))
        expect((await run("load", {})).end).toBe("0")
        const [shown, left] = (await run("load", {})).first("shows")!
        expect([shown, left]).toEqual([rows, 0])
      }),
    240_000
  )

  it.each(["embedded", "postgres"] as const)(
    "I4, I5: of the server between statements of a sync loses and doubles nothing, %s",
    (kind) =>
      inScope(async (scope) => {
        const postgres = kind === "postgres" ? await createDatabase(inject("postgresUrl"), "crash") : null
        const DIR = join(scratch, "server")
        const database: ServerDatabase.Database =
          postgres === null ? { _tag: "embedded", dataDir: DIR } : { _tag: "postgres", url: postgres.url }
        const acknowledged = new Set<string>()
        const clients = [await openClient("u1", scope), await openClient("u2", scope)]
        const sync = async ({ replica, userId }: (typeof clients)[number], url: string) =>
          Exit.isSuccess(await Effect.runPromiseExit(syncOver(replica, url, await tokenOf(userId))))
        const act = async ({ replica }: (typeof clients)[number]) => {
          acknowledged.add((await Effect.runPromise(replica.execute(inc({ id: "x", n: 1 })))).id)
        }
        const serve = async (env: Record<string, string>, work: (url: string) => Promise<void>) => {
          let port = ""
          let listening: () => void = () => {}
          const ready = new Promise<void>((resolve) => {
            listening = resolve
          })
          const { child, ended } = start(
            "server",
            { SECRET: secret, ...env, ...(postgres === null ? { DIR } : { DATABASE_URL: postgres.url }) },
            (line) => {
              port = line.split(" ")[1]!
              listening()
            }
          )
          await Promise.race([ready, ended])
          await work(`http://127.0.0.1:${port}`)
          child.kill("SIGKILL")
          return ended
        }
        /** The first client's record arrives late, so that the second sync takes back and executes again. */
        const work = async (url: string) => {
          for (const client of clients) await act(client)
          for (const client of [...clients].reverse()) await sync(client, url)
        }
        const points = sample(55, kind === "embedded" ? pointsMax : Math.ceil(pointsMax / 2))
        const hint = `seed ${seed}: ${describePoints(points)}`
        let interrupted = 0
        for (const point of points) {
          await serve(point, async (url) => {
            await work(url)
            if (!(await sync(clients[0]!, url))) interrupted++
          })
        }
        expect(interrupted, hint).toBeGreaterThan(points.length / 2)
        await serve({}, async (url) => {
          for (let round = 0; round < 2; round++)
            for (const client of clients) expect(await sync(client, url), hint).toBe(true)
        })
        await Effect.gen(function* () {
          const context = yield* Layer.build(ServerDatabase.layer(database))
          const sql = Context.get(context, SqlClient.SqlClient)
          expect(yield* expectExactlyOnce(sql, acknowledged), hint).toBe(acknowledged.size)
          const content = yield* tablesOf(sql, kitchenApp)
          for (const client of clients) {
            expect(yield* client.replica.pendingCount, hint).toBe(0)
            expect(yield* tablesOf(client.sql, kitchenApp), hint).toEqual(content)
          }
        }).pipe(Effect.scoped, Effect.runPromise)
        await postgres?.drop()
      }),
    240_000
  )
})

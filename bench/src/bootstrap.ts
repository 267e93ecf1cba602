/** A first sync: server and client are processes of their own with HTTP between them, and Postgres is another. */
import { type ChildProcess, fork } from "node:child_process"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { tokens } from "@synchrotron/sync-server"
import { Effect, type Scope } from "effect"
import pg from "pg"
import { type Measurement, ofTimes, type Scale } from "./measure.ts"
import { freshDatabase } from "./postgres.ts"
import { title } from "./workload.ts"

const secret = "a secret of the benchmarks, long enough"

interface Loaded {
  readonly ms: number
  readonly floorMs: number | null
  readonly peakKiB: number
}

/** The programs are TypeScript, whatever runs this one. */
const execArgv = ["--import", pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href]
const program = (name: string) => new URL(`./bootstrap/${name}.ts`, import.meta.url)

/** Starts one of the programs; `next` gives what it says next. */
const start = (
  name: "server" | "client",
  env: Record<string, string>
): Effect.Effect<{ readonly child: ChildProcess; readonly next: <A>() => Promise<A> }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = fork(program(name), { execArgv, env: { ...process.env, NODE_OPTIONS: "", ...env } })
      const next = <A>() =>
        new Promise<A>((resolve, reject) => {
          const ended = () => reject(new Error(`the ${name} ended`))
          child.once("exit", ended)
          child.once("message", (message) => {
            child.off("exit", ended)
            resolve(message as A)
          })
        })
      return { child, next }
    }),
    ({ child }) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = new Promise((resolve) => child.once("exit", resolve))
        child.kill("SIGKILL")
        await ended
      })
  )

/** Rows with their versions, as commits of 10,000 rows would have left them, in a tenth of the time. */
const fill = (url: string, rows: number) =>
  Effect.promise(async () => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    for (let from = 0; from < rows; from += 10_000) {
      const to = Math.min(rows, from + 10_000) - 1
      await client.query(
        `BEGIN;SET LOCAL session_replication_role = replica;
         INSERT INTO public.items (id, title, n) SELECT 'base' || i, '${title}', i % 100 FROM generate_series(${from}, ${to}) AS i;
         INSERT INTO synchrotron.row_versions (tbl, key, audience, seq, gone)
         SELECT 'public.items', jsonb_build_array('base' || i)::text, 'all', (SELECT synchrotron.publish(0, 0)), false FROM generate_series(${from}, ${to}) AS i;
         COMMIT`
      )
    }
    await client.query("VACUUM (ANALYZE)")
    await client.end()
  })

/** Loads the rows on fresh clients, one after the other. */
const bootstrap = (rows: number, store: "memory" | "disk", runs: number) =>
  Effect.gen(function* () {
    const DATABASE_URL = yield* freshDatabase
    const server = yield* start("server", { DATABASE_URL, SECRET: secret })
    const { port } = yield* Effect.promise(() => server.next<{ port: number }>())
    yield* fill(DATABASE_URL, rows)
    const TOKEN = yield* Effect.promise(() => tokens.signDevelopmentToken({ secret, userId: "a" }))
    const loads: Array<Loaded> = []
    for (let run = 0; run < runs; run++) {
      const env = { TOKEN, URL: `http://127.0.0.1:${port}`, ROWS: String(rows), STORE: store }
      const client = yield* start("client", env)
      loads.push(yield* Effect.promise(() => client.next<Loaded>()))
    }
    server.child.send("memory")
    const { peakKiB } = yield* Effect.promise(() => server.next<{ peakKiB: number }>())
    return { loads, serverPeakKiB: peakKiB }
  }).pipe(Effect.scoped)

/** From the request until the rows show in the local database, against one COPY of the same rows into a bare one. */
export const bootstrapTime = (rowsFull: number, scale: Scale): Effect.Effect<Measurement, unknown> =>
  Effect.map(bootstrap(scale.size(rowsFull), "memory", scale.runs), ({ loads }) =>
    ofTimes(
      `bootstrap-${rowsFull / 1000}k`,
      "ms",
      loads.map(({ ms }) => ms),
      loads.map(({ floorMs }) => floorMs!)
    )
  )

/** Peak memory of both processes in a load of many rows, against a load of a tenth: a ratio near 1 is flat memory. */
export const bootstrapMemory = (
  rowsFull: number,
  scale: Scale
): Effect.Effect<ReadonlyArray<Measurement>, unknown> =>
  Effect.gen(function* () {
    const rows = scale.size(rowsFull)
    const few = yield* bootstrap(Math.ceil(rows / 10), "disk", 1)
    const many = yield* bootstrap(rows, "disk", 1)
    const inMiB = (name: string, value: number, baseline: number): Measurement => ({
      name: `bootstrap-${rowsFull / 1000}k${name}`,
      unit: "MiB",
      value: Math.round(value / 1024),
      baseline: Math.round(baseline / 1024),
      ratio: Number((value / baseline).toPrecision(4))
    })
    return [
      inMiB("", many.loads[0]!.peakKiB, few.loads[0]!.peakKiB),
      inMiB("-server", many.serverPeakKiB, few.serverPeakKiB)
    ]
  })

/**
 * A client as a process of its own: loads all rows over HTTP into an empty database, and then the same rows bare, by COPY,
 * into another one. Says what both took, and what memory was taken until the rows were there.
 */
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqlClient } from "@effect/sql"
import { PgliteClient, type PgliteSqlClient } from "@synchrotron/sql-pglite"
import { Connectivity, SyncClient, Transport, TransportHttp } from "@synchrotron/sync-client"
import { Context, Effect, Layer, Stream } from "effect"
import { check, timed } from "../measure.ts"
import { app, bareSchema, title } from "../workload.ts"

const { TOKEN, URL: url, ROWS, STORE } = process.env as Record<string, string>
const rows = Number(ROWS)
/** In memory, or on disk, where the memory taken is what the work needs and not what it leaves. */
const dataDir = (name: string) =>
  STORE === "disk" ? join(tmpdir(), `synchrotron-bench-${process.pid}-${name}`) : "memory://"

const countOf = (sql: PgliteSqlClient) =>
  Effect.map(
    sql.unsafe<{ count: number; sum: number }>(
      "SELECT count(*)::integer AS count, sum(n)::integer AS sum FROM public.items"
    ),
    ([row]) => row!
  )

/** The rows in the text form of COPY, a million bytes or so at once. */
function* copyText(): Generator<string> {
  let text = ""
  for (let i = 0; i < rows; i++) {
    text += `base${i}\t${title}\t${i % 100}\tf\n`
    if (text.length > 1_000_000) {
      yield text
      text = ""
    }
  }
  if (text.length > 0) yield text
}

const image = Effect.runSync(Effect.cached(PgliteClient.prepareImage()))

const openDatabase = (name: string) =>
  Effect.map(
    Effect.flatMap(image, (image) => Layer.build(PgliteClient.layer({ dataDir: dataDir(name), image }))),
    Context.get(PgliteClient)
  )

/** From the first request until all rows show. */
const load = Effect.gen(function* () {
  const sql = yield* openDatabase("synced")
  const client = yield* SyncClient.make({
    app,
    userId: "a",
    pollMs: 0,
    paused: true,
    connectivity: Connectivity.always
  }).pipe(
    Effect.provideService(SqlClient.SqlClient, sql),
    Effect.provideServiceEffect(Transport, TransportHttp.makeFetch({ url: url!, token: TOKEN! }))
  )
  const done = client.status.changes.pipe(
    Stream.takeUntil(({ error, firstSyncDone }) => firstSyncDone || error !== null),
    Stream.runLast
  )
  const [ms] = yield* timed(Effect.zipRight(client.resume, done))
  const peakKiB = process.resourceUsage().maxRSS
  const { error } = yield* client.status.get
  check(error === null, JSON.stringify(error))
  return { ms, peakKiB, shown: yield* countOf(sql) }
}).pipe(Effect.scoped)

const copy = Effect.gen(function* () {
  const sql = yield* openDatabase("bare")
  yield* sql.unsafe(bareSchema)
  const text = [...copyText()]
  const [ms] = yield* timed(
    sql.use((db) => db.query("COPY public.items FROM '/dev/blob'", [], { blob: new Blob(text) }))
  )
  return { ms, shown: yield* countOf(sql) }
}).pipe(Effect.scoped)

Effect.gen(function* () {
  // Both on a WebAssembly that has been compiled to the end, which the first use of it pays for.
  if (STORE !== "disk") yield* copy
  const loaded = yield* load
  const copied = STORE === "disk" ? null : yield* copy
  for (const { shown } of copied === null ? [loaded] : [loaded, copied])
    check(shown.count === rows, `${shown.count} rows of ${rows}`)
  process.send!({ ...loaded, floorMs: copied?.ms ?? null })
}).pipe(
  Effect.ensuring(
    Effect.sync(() => {
      for (const name of ["synced", "bare"])
        if (STORE === "disk") rmSync(dataDir(name), { recursive: true, force: true })
    })
  ),
  Effect.runPromise
)

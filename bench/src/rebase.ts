/**
 * W2: a client with `local` pending actions meets `remote` confirmed ones that cross them.
 *
 * `rebase-*` is the client's own work, from the response to tables that show both: undo, confirmed rows, replay of all
 * records in HLC order. `sync-*` is a whole round trip instead: the authority rolls back, replays and confirms, and the
 * client applies rows. The floor is the local actions' statements, bare, in one PGlite transaction.
 */
import { Effect } from "effect"
import { type BenchClient, makeClient, makeServer, pullOnly, sync } from "./client.ts"
import { check, type Measurement, ofTimes, type Scale, timed } from "./measure.ts"
import { bareSchema, fill, insertSql, mixed, selectSql, title, updateSql } from "./workload.ts"

const baseRows = 1000

const sumOf = (client: BenchClient) =>
  Effect.map(
    client.sql.unsafe<{ count: number; sum: number }>(
      "SELECT count(*)::integer AS count, sum(n)::integer AS sum FROM public.items"
    ),
    (rows) => rows[0]!
  )

/** What the tables must show after both sides' actions. */
const expected = (local: number, remote: number) => {
  const puts = (n: number) => Math.floor(n / 2)
  const incs = (n: number) => n - puts(n)
  const putSum = (n: number) =>
    Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 0 : i)).reduce((a, b) => a + b, 0)
  return {
    count: baseRows + puts(local) + puts(remote),
    sum: incs(local) + incs(remote) + putSum(local) + putSum(remote)
  }
}

const floor = (client: BenchClient, count: number, run: number) =>
  Effect.map(
    timed(
      client.sql.use((db) =>
        db.transaction(async (tx) => {
          for (let i = 0; i < count; i++) {
            if (i % 2 === 0) {
              const id = `base${(i * 7) % baseRows}`
              const found = await tx.query<{ n: number }>(selectSql, [id])
              await tx.query(updateSql, [found.rows[0]!.n + 1, id])
            } else await tx.query(insertSql, [`f${run}-${i}`, title, i])
          }
        })
      )
    ),
    ([ms]) => ms
  )

export const rebase = (
  kind: "rebase" | "sync",
  localFull: number,
  remoteFull: number,
  scale: Scale
): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const [local, remote] = [scale.size(localFull), scale.size(remoteFull)]
    const values: Array<number> = []
    const floors: Array<number> = []
    const bare = yield* makeClient("bare")
    yield* bare.sql.unsafe(`CREATE SCHEMA bare;SET search_path = bare;${bareSchema}`)
    yield* bare.sql.unsafe(
      "INSERT INTO items (id, title, n) SELECT 'base' || i, $1, 0 FROM generate_series(0, $2::integer - 1) AS i",
      [title, baseRows]
    )
    for (let run = 0; run < scale.runs; run++) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { authority } = yield* makeServer({ _tag: "embedded", dataDir: "memory://" })
          const [a, b] = [yield* makeClient("a"), yield* makeClient("b")]
          yield* b.replica.execute(fill({ prefix: "base", count: baseRows }))
          yield* sync(b, authority)
          yield* sync(a, authority)
          // Both act in the same span of time, so that their records interleave.
          for (let i = 0; i < Math.max(local, remote); i++) {
            if (i < local) yield* a.replica.execute(mixed("a", i, baseRows))
            if (i < remote) yield* b.replica.execute(mixed("b", i, baseRows))
          }
          yield* sync(b, authority)
          if (kind === "sync") values.push((yield* timed(sync(a, authority)))[0])
          else {
            const { request, response } = yield* pullOnly(a, authority)
            const [ms, received] = yield* timed(a.replica.receive(request, response))
            check(received.path === "merge", `reconcile took the path ${received.path}`)
            values.push(ms)
          }
          floors.push(yield* floor(bare, local, run))
          const shown = yield* sumOf(a)
          check(
            JSON.stringify(shown) === JSON.stringify(expected(local, remote)),
            `${JSON.stringify(shown)}, not ${JSON.stringify(expected(local, remote))}`
          )
        })
      )
    }
    return ofTimes(`${kind}-${localFull}-${remoteFull}`, "ms", values, floors)
  }).pipe(Effect.scoped)

/** An action on a local database, against the same statements in a PGlite transaction. */
import { Effect } from "effect"
import { makeClient } from "./client.ts"
import { check, type Measurement, ofTimes, type Scale } from "./measure.ts"
import { bareSchema, insertSql, put, putMany, title } from "./workload.ts"

/** `rows` inserts per action. Actions and bare transactions take turns, so that noise meets both. */
export const localAction = (rows: number, scale: Scale): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const count = scale.size(500)
    const client = yield* makeClient("local")
    const bare = yield* makeClient("bare")
    yield* bare.sql.unsafe(`CREATE SCHEMA bare;SET search_path = bare;${bareSchema}`)
    const values: Array<number> = []
    const floors: Array<number> = []
    for (let i = 0; i < count * 2; i++) {
      const operation = rows === 1 ? put({ id: `a${i}`, n: 1 }) : putMany({ prefix: `a${i}`, count: rows })
      const start = performance.now()
      yield* client.replica.execute(operation)
      const middle = performance.now()
      yield* bare.sql.use((db) =>
        db.transaction(async (tx) => {
          for (let j = 0; j < rows; j++) await tx.query(insertSql, [`a${i}-${j}`, title, 1])
        })
      )
      // The first half warms both up.
      if (i >= count) {
        values.push(middle - start)
        floors.push(performance.now() - middle)
      }
    }
    const [kept] = yield* client.sql.unsafe<{ count: number }>(
      "SELECT count(*)::integer AS count FROM public.items"
    )
    check(kept!.count === count * 2 * rows, `${kept!.count} rows`)
    check((yield* client.replica.pendingCount) === count * 2, "every action has a record")
    return ofTimes(`local-action-${rows}`, "ms", values, floors)
  }).pipe(Effect.scoped)

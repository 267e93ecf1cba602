/** What the log takes on a real Postgres, against the rows that its records have written. */
import type { SqlClient } from "@effect/sql"
import { Protocol } from "@synchrotron/sync-core"
import { AuthorityLive } from "@synchrotron/sync-server"
import { Effect } from "effect"
import { makeServer } from "./client.ts"
import { check, type Measurement, type Scale } from "./measure.ts"
import { freshDatabase } from "./postgres.ts"
import { makeSender } from "./server.ts"

const tables = ["synchrotron.records", "synchrotron.patches", "synchrotron.row_versions"]
const day = 24 * 3_600_000

/**
 * Bytes per record of one insert, indexes and dead rows included, as a server has them that runs for long: after every
 * tenth of the records it is vacuumed, and compacted first if `compacted`. Nothing is in the reorder window then.
 */
export const storage = (
  name: string,
  countFull: number,
  { compacted }: { readonly compacted: boolean },
  scale: Scale
): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const count = scale.size(countFull)
    const { authority, sql } = yield* makeServer({ _tag: "postgres", url: yield* freshDatabase })
    const sender = makeSender(authority)
    const emptyBytes = yield* bytesOf(sql, tables)
    const fromMs = Date.now() - day
    const tenth = Math.max(1, Math.ceil(count / 10))
    for (let sent = 0, part = 0; sent < count; part++) {
      for (const until = Math.min(count, (part + 1) * tenth); sent < until; ) {
        const size = Math.min(Protocol.limits.recordsMax, until - sent)
        const records = Array.from({ length: size }, (_, i) =>
          sender.record(fromMs + sent + i, "item.put", { id: `item ${sent + i}`, n: i })
        )
        yield* sender.send(records)
        sent += size
      }
      if (compacted) yield* AuthorityLive.compact(sql, { reorderWindowRecords: 0 })
      yield* sql.unsafe(`VACUUM (ANALYZE) ${tables.join(", ")}, items`)
    }
    const value = ((yield* bytesOf(sql, tables)) - emptyBytes) / count
    const baseline = (yield* bytesOf(sql, ["items"])) / count
    const [kept] = yield* sql.unsafe<{ items: number; records: number; patches: number }>(
      `SELECT (SELECT count(*)::integer FROM items) AS items, (SELECT count(*)::integer FROM synchrotron.records) AS records,
         (SELECT count(*)::integer FROM synchrotron.patches) AS patches`
    )
    check(
      kept!.items === count && kept!.records === count && kept!.patches === (compacted ? 0 : count),
      JSON.stringify(kept)
    )
    return {
      name,
      unit: "bytes/record",
      value: Math.round(value),
      baseline: Math.round(baseline),
      ratio: Number((value / baseline).toPrecision(4))
    }
  }).pipe(Effect.scoped)

const bytesOf = (sql: SqlClient.SqlClient, names: ReadonlyArray<string>) =>
  Effect.map(
    sql.unsafe<{ bytes: number }>(
      "SELECT sum(pg_total_relation_size(x::regclass))::bigint AS bytes FROM unnest($1::text[]) AS x",
      [names]
    ),
    ([row]) => row!.bytes
  )

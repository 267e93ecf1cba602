/** What the authority on a real Postgres takes, against the same statements on a bare table of the same database. */
import type { SqlClient } from "@effect/sql"
import { type ClientId, Hlc, Protocol, type RecordId } from "@synchrotron/sync-core"
import type { AuthorityService } from "@synchrotron/sync-server"
import { Effect } from "effect"
import { type BenchClient, makeClient, makeServer, sync } from "./client.ts"
import { check, type Measurement, median, ofRates, ofTimes, type Scale, timed } from "./measure.ts"
import { freshDatabase } from "./postgres.ts"
import { app, bareSchema, insertSql, selectSql, title, updateSql } from "./workload.ts"

const baseRows = 1000
const principal = { userId: "a", claims: { sub: "a" } }

type PendingRecord = typeof Protocol.PendingRecord.Type

/** A client that only sends: what it would have executed locally is not measured here. */
export const makeSender = (authority: AuthorityService) => {
  const clientId = crypto.randomUUID() as ClientId
  let counter = 0
  const record = (ms: number, name: string, args: unknown): PendingRecord => ({
    id: crypto.randomUUID() as RecordId,
    name,
    version: 1,
    args,
    hlc: Hlc.make({ ms, counter: counter++ % 60_000 }, clientId),
    digest: null
  })
  // Rows are not read again with each answer, as by a client that keeps them.
  let held: Protocol.SyncRequest["cursors"] = {}
  const send = (records: ReadonlyArray<PendingRecord>, cursors = held) =>
    Effect.tap(
      authority.sync(principal, {
        protocol: Protocol.protocolVersion,
        app: app.name,
        schema: app.schemaHash,
        clientId,
        clientTimeMs: Date.now(),
        cursors,
        records,
        after: null
      }),
      (response) =>
        Effect.sync(() => {
          held = Object.fromEntries(
            response.audiences.map((audience) => [audience, response.seq])
          ) as typeof held
          const refused = response.verdicts.filter((v) => v.outcome === "rejected" || v.outcome === "voided")
          check(
            refused.length === 0 && response.verdicts.length === records.length,
            `${JSON.stringify(refused[0])} among ${response.verdicts.length} verdicts`
          )
        })
    )
  /** W2's mix, stamped one millisecond apart from `fromMs` on. */
  const mix = (prefix: string, count: number, fromMs: number) =>
    Array.from({ length: count }, (_, i) =>
      i % 2 === 0
        ? record(fromMs + i, "item.inc", { id: `base${(i * 7) % baseRows}` })
        : record(fromMs + i, "item.put", { id: `${prefix}${i}`, n: i })
    )
  return { record, send, mix }
}

const hourAgoMs = () => Date.now() - 3_600_000

const makeFilled = Effect.gen(function* () {
  const { authority, sql } = yield* makeServer({ _tag: "postgres", url: yield* freshDatabase })
  const sender = makeSender(authority)
  yield* sender.send([sender.record(hourAgoMs(), "item.fill", { prefix: "base", count: baseRows })])
  yield* sql.unsafe(`CREATE SCHEMA bare;SET search_path = bare;${bareSchema};SET search_path = public`)
  yield* sql.unsafe("INSERT INTO bare.items SELECT * FROM items")
  return { authority, sql, sender }
})

/** The mix, bare, in one transaction over the same driver. */
const floor = (sql: SqlClient.SqlClient, prefix: string, count: number) =>
  Effect.map(
    timed(
      sql.withTransaction(
        Effect.gen(function* () {
          const on = (statement: string) => statement.replace("items", "bare.items")
          for (let i = 0; i < count; i++) {
            if (i % 2 === 0) {
              const id = `base${(i * 7) % baseRows}`
              const [row] = yield* sql.unsafe<{ n: number }>(on(selectSql), [id])
              yield* sql.unsafe(on(updateSql), [row!.n + 1, id])
            } else yield* sql.unsafe(on(insertSql), [`${prefix}${i}`, title, i])
          }
        })
      )
    ),
    ([ms]) => ms
  )

/** One client's records of one insert, from the request to their verdicts, each executed under row-level security. */
export const ingest = (countFull: number, scale: Scale): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const count = scale.size(countFull)
    const { sql, sender } = yield* makeFilled
    const values: Array<number> = []
    const floors: Array<number> = []
    for (let run = 0; run < scale.runs; run++) {
      const fromMs = hourAgoMs() + 600_000 + run * 10_000
      const records = Array.from({ length: count }, (_, i) =>
        sender.record(fromMs + i, "item.put", { id: `r${run}-${i}`, n: i })
      )
      values.push((yield* timed(sender.send(records)))[0])
      const inserts = Effect.forEach(records, (_, i) =>
        sql.unsafe(insertSql.replace("items", "bare.items"), [`f${run}-${i}`, title, i])
      )
      floors.push((yield* timed(sql.withTransaction(inserts)))[0])
    }
    const [kept] = yield* sql.unsafe<{ count: number }>("SELECT count(*)::integer AS count FROM items")
    check(kept!.count === baseRows + scale.runs * count, `${kept!.count} rows`)
    return ofRates(`ingest-${countFull}`, "records/s", count, values, floors)
  }).pipe(Effect.scoped)

/** One record that belongs before many canonical ones: they are taken back and executed again. */
export const late = (countFull: number, scale: Scale): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const count = scale.size(countFull)
    const { authority, sql, sender } = yield* makeFilled
    const fromMs = hourAgoMs() + 600_000
    yield* sender.send(sender.mix("canonical", count, fromMs))
    const values: Array<number> = []
    const floors: Array<number> = []
    for (let run = 0; run < scale.runs; run++) {
      const other = makeSender(authority)
      values.push((yield* timed(other.send([other.record(fromMs - 1, "item.inc", { id: "base0" })])))[0])
      floors.push(yield* floor(sql, `f${run}-`, count))
    }
    const [row] = yield* sql.unsafe<{ n: number }>("SELECT n FROM items WHERE id = 'base0'")
    const own = Array.from({ length: count }, (_, i) => i).filter(
      (i) => i % 2 === 0 && (i * 7) % baseRows === 0
    ).length
    check(row!.n === own + scale.runs, `${row!.n} increments`)
    return ofTimes(`late-1-before-${countFull}`, "ms", values, floors)
  }).pipe(Effect.scoped)

/**
 * A client that was away while records changed rows: from the request until its tables show them. The floor is the same
 * after a fiftieth of the records, which changed the same rows: a ratio near 1 says that rows cost, and not records.
 */
export const catchUp = (countFull: number, scale: Scale): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const count = scale.size(countFull)
    const rows = Math.min(baseRows, Math.ceil(count / 50))
    const { authority, sender } = yield* makeFilled
    let fromMs = hourAgoMs() + 60_000
    let each = 0
    /** Every one of the rows is changed, again and again. */
    const change = (records: number) =>
      Effect.gen(function* () {
        for (let sent = 0; sent < records; ) {
          const size = Math.min(Protocol.limits.recordsMax, records - sent)
          const incs = Array.from({ length: size }, (_, i) =>
            sender.record(fromMs + i, "item.inc", { id: `base${(sent + i) % rows}` })
          )
          yield* sender.send(incs)
          sent += size
          fromMs += size
        }
        each += Math.floor(records / rows)
      })
    const clients: Array<BenchClient> = []
    for (let run = 0; run < scale.runs + 1; run++) {
      const client = yield* makeClient("a")
      yield* sync(client, authority)
      clients.push(client)
    }
    const caughtUp = (client: BenchClient) =>
      Effect.gen(function* () {
        const [ms, received] = yield* timed(sync(client, authority))
        const [shown] = yield* client.sql.unsafe<{ sum: number }>(
          "SELECT sum(n)::integer AS sum FROM public.items"
        )
        check(
          received.rows === rows && shown!.sum >= each * rows,
          `${received.rows} rows, ${shown!.sum} increments`
        )
        return ms
      })
    const values: Array<number> = []
    const floors: Array<number> = []
    yield* change(rows)
    // The first one warms up.
    for (const [run, client] of clients.entries()) {
      const ms = yield* caughtUp(client)
      if (run > 0) floors.push(ms)
    }
    yield* change(count)
    for (const [run, client] of clients.entries()) {
      const ms = yield* caughtUp(client)
      if (run > 0) values.push(ms)
    }
    return ofTimes(`catchup-${countFull / 1000}k-actions`, "ms", values, floors)
  }).pipe(Effect.scoped)

/** One record's sync after a long history, against the same after a short one: the ratio says what history costs. */
export const history = (
  shortFull: number,
  longFull: number,
  scale: Scale
): Effect.Effect<Measurement, unknown> =>
  Effect.gen(function* () {
    const { authority, sql, sender } = yield* makeFilled
    let sent = 1
    const growTo = (count: number) =>
      Effect.gen(function* () {
        while (sent < count) {
          const size = Math.min(Protocol.limits.recordsMax, count - sent)
          yield* sender.send(sender.mix(`h${sent}-`, size, hourAgoMs() + 60_000 + sent))
          sent += size
        }
      })
    const one = Effect.gen(function* () {
      const other = makeSender(authority)
      let { seq, audiences } = yield* other.send([])
      const times: Array<number> = []
      for (let run = 0; run < scale.runs * 10; run++) {
        const cursors = Object.fromEntries(
          audiences.map((audience) => [audience, seq])
        ) as Protocol.SyncRequest["cursors"]
        const [ms, response] = yield* timed(
          other.send([other.record(Date.now(), "item.inc", { id: "base0" })], cursors)
        )
        seq = response.seq
        audiences = response.audiences
        times.push(ms)
      }
      return times
    })
    yield* growTo(scale.size(shortFull))
    const short = yield* one
    yield* growTo(scale.size(longFull))
    yield* sql.unsafe("ANALYZE")
    const long = yield* one
    check(median(long) > 0, "nothing was measured")
    return ofTimes(`sync-1-after-${longFull}`, "ms", long, short)
  }).pipe(Effect.scoped)

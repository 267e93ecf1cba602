/**
 * One PGlite backend as a protocol session: it sends messages, keeps the prepared statements, knows the
 * transaction status, hands out notifications and recognises a dead instance. It does not know Effect's
 * connections or transactions (see `Connection.ts`), and it expects its callers to take turns.
 *
 * **Prepared statements** are named and kept in an LRU cache by SQL text. Postgres refuses to run one whose result
 * type has changed since ("cached plan must not change result type", 0A000), and inside a transaction that
 * would abort it. So the cache is emptied after every command that can change what a name means: DDL, DO, CALL,
 * DISCARD, DEALLOCATE ALL, a change of `search_path`; and again when the transaction that did so ends or rolls back to a
 * savepoint. What is left is DDL hidden in a function that a SELECT calls: outside a transaction the
 * statement is prepared anew and retried once; inside one it fails with 0A000 and works in the next.
 */

import type { SqlError } from "@effect/sql/SqlError"
import type { PGliteInterface } from "@electric-sql/pglite"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { PgliteDead, sqlError } from "./Errors.ts"
import { encodeParam } from "./Types.ts"
import {
  Collector,
  type Field,
  type Reply,
  type Result,
  type RowMode,
  readReply,
  type TransactionStatus,
  Writer
} from "./Wire.ts"

let sessions = 0

export interface Statement {
  readonly sql: string
  readonly params?: ReadonlyArray<unknown> | undefined
}

interface Prepared {
  readonly name: string
  readonly fields: ReadonlyArray<Field>
}

/** One statement of a batch: prepared before, or to be parsed and described within the batch. */
interface Planned {
  readonly sql: string
  readonly name: string
  readonly params: ReadonlyArray<string | null>
  readonly known: Prepared | undefined
}

export interface ExtendedOptions {
  readonly rowMode: RowMode
  /** Keep the statements prepared for the next time. */
  readonly cache: boolean
}

/** Commands that leave no cached plan's result type changed, and that the extended protocol can run in a batch. */
const dml = /^\s*(?:select|insert|update|delete|with|values|merge)\b/i
const schemaTag = /^(?:(?:CREATE|ALTER|DROP|DO|CALL|DISCARD|IMPORT)\b|DEALLOCATE ALL)/
const pathChange = /search_path|\bset\s+(?:local\s+|session\s+)?schema\b|\breset\s+all\b/i
const copyFromStdin = /\bfrom\s+stdin\b/i

/** Whether SQL without parameters is worth preparing: one statement that has a plan. */
export const isPlannable = (sql: string): boolean => dml.test(sql) && !sql.includes(";")

export class Session {
  readonly db: PGliteInterface
  status: TransactionStatus = "I"
  dead: PgliteDead | undefined
  readonly death = Deferred.unsafeMake<PgliteDead>(FiberId.none)
  /** Called with each notification, in order. */
  onNotification: (channel: string, payload: string) => void = () => {}
  private readonly writer = new Writer()
  private readonly collector = new Collector()
  private readonly prepared = new Map<string, Prepared>()
  private readonly preparedMax: number
  private preparedCount = 0
  /** Two clients may share an instance that is not theirs. */
  private readonly prefix = `s${++sessions}_`
  private namesToClose: Array<string> = []
  private schemaChanged = false
  /** Only an instance behind a worker answers later; then round trips have to take turns. */
  private readonly turns = Effect.unsafeMakeSemaphore(1)
  private synchronous = false

  constructor(db: PGliteInterface, options: { readonly preparedMax: number }) {
    this.db = db
    this.preparedMax = options.preparedMax
  }

  /** Runs a string of any number of statements as one simple Query: one result per command in it. */
  simple(sql: string, rowMode: RowMode): Effect.Effect<ReadonlyArray<Result>, SqlError> {
    return this.roundTrip({
      write: (writer) => {
        writer.query(sql)
        // Otherwise the server would wait for data that nobody sends, and PGlite dies of that.
        if (copyFromStdin.test(sql))
          writer.copyFail("COPY FROM STDIN is not supported: use COPY FROM '/dev/blob'")
      },
      expected: [],
      rowMode,
      resultsMin: 1,
      texts: [sql]
    })
  }

  /** Runs statements in one round trip: atomically, or as part of the transaction that is open. */
  extended(
    statements: ReadonlyArray<Statement>,
    options: ExtendedOptions
  ): Effect.Effect<ReadonlyArray<Result>, SqlError> {
    if (statements.length === 0) return Effect.succeed([])
    return Effect.suspend(() => {
      const before = this.status
      const attempt = this.batch(statements, options)
      return before === "I"
        ? Effect.catchAll(attempt, (error) => this.retryStale(error, statements, options))
        : attempt
    })
  }

  /** Opens a portal in the transaction that is open, and runs it for its first rows. */
  openPortal(
    portal: string,
    { params, sql }: Statement,
    rowsMax: number
  ): Effect.Effect<ReadonlyArray<Result>, SqlError> {
    return this.roundTrip({
      write: (writer) =>
        writer
          .parse("", sql)
          .describeStatement("")
          .bind({ portal, statement: "", params: (params ?? []).map(encodeParam) })
          .execute(portal, rowsMax)
          .sync(),
      expected: [],
      rowMode: "object",
      resultsMin: 1,
      texts: [sql]
    })
  }

  /** The next rows of a portal. */
  fetch(
    portal: string,
    fields: ReadonlyArray<Field>,
    rowsMax: number
  ): Effect.Effect<ReadonlyArray<Result>, SqlError> {
    return this.roundTrip({
      write: (writer) => writer.execute(portal, rowsMax).sync(),
      expected: [fields],
      rowMode: "object",
      resultsMin: 1,
      texts: []
    })
  }

  closePortal(portal: string): Effect.Effect<ReadonlyArray<Result>, SqlError> {
    return this.roundTrip({
      write: (writer) => writer.closePortal(portal).sync(),
      expected: [],
      rowMode: "object",
      resultsMin: 0,
      texts: []
    })
  }

  /** Makes this and all later calls fail. */
  kill(reason: string): PgliteDead {
    this.dead ??= new PgliteDead({ reason })
    Deferred.unsafeDone(this.death, Effect.succeed(this.dead))
    return this.dead
  }

  /** Forgets all prepared statements. */
  forget(): void {
    for (const { name } of this.prepared.values()) this.namesToClose.push(name)
    this.prepared.clear()
  }

  private retryStale(error: SqlError, statements: ReadonlyArray<Statement>, options: ExtendedOptions) {
    const code = (error.cause as { code?: string } | undefined)?.code
    return code === "0A000" || code === "26000" ? this.batch(statements, options) : Effect.fail(error)
  }

  private batch(statements: ReadonlyArray<Statement>, options: ExtendedOptions) {
    return Effect.suspend(() => {
      const plan = this.plan(statements, options)
      return this.roundTrip({
        write: (writer) => this.writeBatch(writer, plan),
        expected: plan.map(({ known }) => known?.fields),
        rowMode: options.rowMode,
        resultsMin: statements.length,
        texts: plan.map(({ sql }) => sql),
        onReply: (reply) => this.remember(plan, reply)
      })
    })
  }

  private plan(statements: ReadonlyArray<Statement>, options: ExtendedOptions): ReadonlyArray<Planned> {
    let cache = options.cache
    return statements.map(({ sql, params }) => {
      // After DDL within the batch a cached plan may be stale before its tag is seen.
      cache &&= dml.test(sql)
      const known = cache ? this.prepared.get(sql) : undefined
      const name = known !== undefined ? known.name : cache ? `${this.prefix}${++this.preparedCount}` : ""
      return { sql, name, known, params: params === undefined ? [] : params.map(encodeParam) }
    })
  }

  private writeBatch(writer: Writer, plan: ReadonlyArray<Planned>): void {
    for (const name of this.namesToClose) writer.closeStatement(name)
    this.namesToClose = []
    for (const { known, name, params, sql } of plan) {
      if (known === undefined) writer.parse(name, sql).describeStatement(name)
      writer.bind({ portal: "", statement: name, params }).execute("", 0)
      if (copyFromStdin.test(sql)) writer.copyFail("COPY FROM STDIN is not supported")
    }
    writer.sync()
  }

  private remember(plan: ReadonlyArray<Planned>, reply: Reply): void {
    let described = 0
    for (const { known, name, sql } of plan) {
      if (name === "") {
        described++
        continue
      }
      const fields = known === undefined ? reply.described[described++] : known.fields
      if (fields === undefined || (known === undefined && this.prepared.has(sql))) {
        this.namesToClose.push(name)
        continue
      }
      this.prepared.delete(sql)
      this.prepared.set(sql, known ?? { name, fields })
    }
    for (const [sql, { name }] of this.prepared) {
      if (this.prepared.size <= this.preparedMax) break
      this.prepared.delete(sql)
      this.namesToClose.push(name)
    }
  }

  private roundTrip(trip: RoundTrip): Effect.Effect<ReadonlyArray<Result>, SqlError> {
    const once = Effect.suspend(() => {
      if (this.dead !== undefined) return Effect.fail(sqlError(this.dead))
      trip.write(this.writer.reset())
      const collector = this.collector.reset()
      // The raw stream, because `execProtocolRawSync` also parses every reply into a list that only
      // `execProtocol` empties. Up to its first await it runs synchronously: usually all is here when it returns.
      const done = this.db.execProtocolRawStream(this.writer.bytes(), {
        syncToFs: false,
        onRawData: (chunk) => collector.push(chunk)
      })
      const failed = done.then(
        () => undefined,
        (cause: unknown) => String(cause)
      )
      if (collector.complete) {
        this.synchronous = true
        return this.settle(trip, undefined)
      }
      return Effect.uninterruptible(
        Effect.flatMap(
          Effect.promise(() => failed),
          (reason) => this.settle(trip, reason)
        )
      )
    })
    return Effect.suspend(() => (this.synchronous ? once : this.turns.withPermits(1)(once)))
  }

  private settle(
    trip: RoundTrip,
    failure: string | undefined
  ): Effect.Effect<ReadonlyArray<Result>, SqlError> {
    const reply = readReply(this.collector.bytes(), trip)
    trip.onReply?.(reply)
    for (const { channel, payload } of reply.notifications) this.onNotification(channel, payload)
    const reason = failure ?? diagnose(reply, trip.resultsMin)
    if (reason !== undefined) return Effect.fail(sqlError(this.kill(reason)))
    this.status = reply.status!
    this.trackSchema(reply, trip.texts)
    return reply.error === undefined ? Effect.succeed(reply.results) : Effect.fail(sqlError(reply.error))
  }

  private trackSchema(reply: Reply, texts: ReadonlyArray<string>): void {
    const stale =
      reply.error?.code === "0A000" ||
      reply.error?.code === "26000" ||
      reply.results.some(({ tag }) => schemaTag.test(tag)) ||
      texts.some((text) => pathChange.test(text))
    if (stale) {
      this.forget()
      this.schemaChanged = true
    }
    const ended = this.status === "I"
    if (this.schemaChanged && (ended || reply.results.some(({ tag }) => tag === "ROLLBACK"))) {
      this.forget()
      this.schemaChanged = !ended
    }
  }
}

interface RoundTrip {
  readonly write: (writer: Writer) => void
  readonly expected: ReadonlyArray<ReadonlyArray<Field> | undefined>
  readonly rowMode: RowMode
  readonly resultsMin: number
  readonly texts: ReadonlyArray<string>
  readonly onReply?: (reply: Reply) => void
}

/**
 * Why the instance must be dead after this reply, or undefined. A WASM stack overflow ends the reply early and
 * looks like success without a command tag; nothing that the instance says afterwards can be believed.
 */
const diagnose = (reply: Reply, resultsMin: number): string | undefined => {
  if (reply.error !== undefined && /^(?:FATAL|PANIC)$/.test(reply.error.severity ?? ""))
    return reply.error.message
  if (reply.status === undefined) return "it stopped in the middle of a reply"
  if (reply.error === undefined && reply.results.length < resultsMin)
    return "a statement ended without a command tag"
  return undefined
}

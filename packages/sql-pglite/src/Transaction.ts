/**
 * Transactions on the one connection of a PGlite instance. Why not `SqlClient.makeWithTransaction`: it turns a
 * failing COMMIT into a defect, and reports success when COMMIT answers ROLLBACK because the failure of a
 * statement was swallowed.
 *
 * ```
 * top level   take the permit, BEGIN ... COMMIT | ROLLBACK, make durable, give the permit back
 * nested      SAVEPOINT ... RELEASE | ROLLBACK TO, RELEASE
 * ```
 *
 * - A statement outside a transaction waits while another fiber's transaction holds the permit.
 * - An interrupted or failed body rolls back. From the end of the body on, nothing is interruptible.
 * - A fiber that outlives its transaction gets an error, not someone else's transaction.
 */
import { TransactionConnection } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { PgliteConnection, type Row, type TransformRows } from "./Connection.ts"
import { clientError, sqlError } from "./Errors.ts"
import type { Session } from "./Session.ts"
import type { Result } from "./Wire.ts"

export interface TransactionOptions {
  readonly session: Session
  /** The permit of the connection. */
  readonly permit: Effect.Semaphore
  /** Makes what was committed durable. */
  readonly flush: Effect.Effect<void, SqlError>
  readonly spanAttributes: ReadonlyArray<readonly [string, unknown]>
}

/** How many rows a stream fetches at a time. */
const streamRows = 128

let portals = 0

/** The connection that a transaction's body sees. */
export class Transaction extends PgliteConnection {
  readonly depth: number
  /** Nested transactions started by concurrent fibers take turns: savepoints form a stack. */
  readonly nested = Effect.unsafeMakeSemaphore(1)
  private open = true
  /** The error that aborted the transaction. */
  abortedBy: unknown

  constructor(session: Session, depth: number) {
    super(session, (use) =>
      Effect.suspend(() => {
        if (!this.open)
          return Effect.fail(sqlError(clientError("25P01", "The transaction of this fiber has ended.")))
        return Effect.tapError(use, (error) =>
          Effect.sync(() => {
            if (session.status === "E") this.abortedBy ??= error.cause
          })
        )
      })
    )
    this.depth = depth
  }

  close(): void {
    this.open = false
  }

  /** Fetches through a portal, `streamRows` at a time; other statements of the transaction may run in between. */
  override executeStream(
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: TransformRows
  ): Stream.Stream<Row, SqlError> {
    const { guard, session } = this
    return Stream.suspend(() => {
      const portal = `stream_${++portals}`
      const release = Effect.suspend(() =>
        this.open && session.status === "T" ? Effect.ignore(session.closePortal(portal)) : Effect.void
      )
      const pages = Stream.paginateChunkEffect(undefined as Result | undefined, (last) =>
        Effect.map(
          guard(
            last === undefined
              ? session.openPortal(portal, { sql, params }, streamRows)
              : session.fetch(portal, last.fields, streamRows)
          ),
          ([result]) => {
            const rows = transformRows ? transformRows(result!.rows) : result!.rows
            return [
              Chunk.unsafeFromArray(rows),
              result!.suspended ? Option.some(result) : Option.none()
            ] as const
          }
        )
      )
      return Stream.ensuring(pages, release)
    })
  }
}

export type WithTransaction = <R, E, A>(body: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>

/** The tag is one per client, so that transactions of several databases in one fiber keep apart. */
export type TransactionTag = Context.Tag<Transaction, Transaction>

export const makeWithTransaction = (options: TransactionOptions, tag: TransactionTag): WithTransaction => {
  const { session } = options
  const topLevel = (): Steps => {
    const transaction = new Transaction(session, 0)
    return {
      transaction,
      turn: options.permit,
      begin: session.simple("BEGIN", "object"),
      end: commit(options, transaction),
      undo: rollback(session)
    }
  }
  const nested = (parent: Transaction): Steps => {
    const transaction = new Transaction(session, parent.depth + 1)
    const name = `effect_sql_${transaction.depth}`
    const run = (sql: string) => parent.guard(session.simple(sql, "object"))
    const undo = Effect.ignore(run(`ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`))
    return {
      transaction,
      turn: parent.nested,
      begin: run(`SAVEPOINT ${name}`),
      end: Effect.suspend(() =>
        session.status === "E"
          ? Effect.fail(aborted(transaction))
          : Effect.asVoid(run(`RELEASE SAVEPOINT ${name}`))
      ),
      undo
    }
  }
  return (body) =>
    Effect.useSpan("sql.transaction", { kind: "client", captureStackTrace: false }, (span) =>
      Effect.withFiberRuntime((fiber) => {
        for (const [key, value] of options.spanAttributes) span.attribute(key, value)
        const parent = fiber.currentContext.unsafeMap.get(tag.key) as Transaction | undefined
        const steps = parent === undefined ? topLevel() : nested(parent)
        const inBody = Effect.locally(
          body,
          FiberRef.currentContext,
          fiber.currentContext.pipe(
            Context.add(tag, steps.transaction),
            // For what keys on the connection: SqlResolver batches per transaction.
            Context.add(TransactionConnection, [steps.transaction, steps.transaction.depth]),
            Context.add(Tracer.ParentSpan, span)
          )
        ) as typeof body
        return runSteps(steps, span, inBody)
      })
    )
}

/** A transaction or savepoint: who waits for whom, and what its beginning and its two ends are. */
interface Steps {
  readonly transaction: Transaction
  readonly turn: Effect.Semaphore
  readonly begin: Effect.Effect<unknown, SqlError>
  readonly end: Effect.Effect<void, SqlError>
  readonly undo: Effect.Effect<void>
}

const runSteps = <A, E, R>(
  { begin, end, transaction, turn, undo }: Steps,
  span: Tracer.Span,
  body: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError, R> => {
  const finish = (exit: Exit.Exit<A, E>): Effect.Effect<A, E | SqlError> => {
    transaction.close()
    return Exit.isSuccess(exit)
      ? Effect.zipRight(
          mark(span, "commit"),
          Effect.as(
            Effect.tapError(end, () => undo),
            exit.value
          )
        )
      : Effect.zipRight(mark(span, "rollback"), Effect.zipRight(undo, exit))
  }
  return Effect.uninterruptibleMask((restore) =>
    Effect.zipRight(
      restore(turn.take(1)),
      Effect.ensuring(
        Effect.flatMap(begin, () => Effect.flatMap(Effect.exit(restore(body)), finish)),
        turn.release(1)
      )
    )
  )
}

/** Rolls back whatever is open. Only a dead instance can refuse that, and every later call will say so. */
export const rollback = (session: Session): Effect.Effect<void> =>
  Effect.suspend(() =>
    session.status === "I" ? Effect.void : Effect.ignore(session.simple("ROLLBACK", "object"))
  )

const commit = (
  { flush, session }: TransactionOptions,
  transaction: Transaction
): Effect.Effect<void, SqlError> =>
  Effect.suspend(() => {
    if (session.dead === undefined && session.status === "I") {
      const message = "The transaction was ended by a COMMIT or ROLLBACK statement inside its body."
      return Effect.fail(sqlError(clientError("25P01", message)))
    }
    return Effect.flatMap(session.simple("COMMIT", "object"), ([result]) =>
      result!.tag === "COMMIT" ? flush : Effect.fail(aborted(transaction))
    )
  })

const aborted = (transaction: Transaction): SqlError =>
  sqlError(
    clientError(
      "25P02",
      "The transaction was rolled back: one of its statements failed before, and that failure was swallowed.",
      transaction.abortedBy
    )
  )

const mark = (span: Tracer.Span, event: string): Effect.Effect<void> =>
  Effect.map(Clock.currentTimeNanos, (time) => span.event(`db.transaction.${event}`, time))

/** Transactions that lose to a concurrent one (class 40) are tried again. */
import { Execution } from "@synchrotron/sync-core"
import { Effect, Schedule } from "effect"

/** How often such a transaction is tried again, and how long it waits at first. */
const conflictRetriesMax = 6
const conflictRetries = Schedule.intersect(
  Schedule.recurs(conflictRetriesMax),
  Schedule.jittered(Schedule.exponential("5 millis"))
)

export const retryConflicts = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.retry(effect, {
    schedule: conflictRetries,
    while: (error) => /^40/.test(Execution.sqlState(error) ?? "")
  })

/**
 * The requests that are being answered: how many there may be, and what happens to them when the server stops.
 *
 *     open ---- stop ----> draining (new requests: 503) ---- none left, or time is up ----> closed
 */
import { Protocol } from "@synchrotron/sync-core"
import { Clock, Duration, Effect, Fiber, FiberSet, type Scope } from "effect"

export interface Requests {
  /** Refuses with `Unavailable` when the server stops or has too much to do. */
  readonly admit: <A, E, R>(request: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Protocol.Unavailable, R>
  /**
   * Goes on when the client hangs up: what was begun is committed, and the client's next request, which sends the same
   * records, gets the answer. Otherwise a client whose patience is shorter than its work would never get ahead.
   */
  readonly finish: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** From now on nothing is admitted. Gives the milliseconds that what was begun may still take. */
  readonly stop: Effect.Effect<number>
  readonly stopping: () => boolean
}

/** Closing the scope stops, waits at most `drainMsMax` milliseconds for what was begun, and interrupts the rest. */
export const make = (options: {
  readonly requestsMax: number
  readonly drainMsMax: number
  /** Lets the requests be answered that only wait. */
  readonly onStop: Effect.Effect<void>
}): Effect.Effect<Requests, never, Scope.Scope> =>
  Effect.gen(function* () {
    let deadlineMs: number | undefined
    let admitted = 0
    const begun = yield* FiberSet.make<unknown, unknown>()
    const stop = Effect.gen(function* () {
      const nowMs = yield* Clock.currentTimeMillis
      deadlineMs ??= nowMs + options.drainMsMax
      yield* options.onStop
      return Math.max(0, deadlineMs - nowMs)
    })
    yield* Effect.addFinalizer(() =>
      // Finalizers are uninterruptible, and a timeout has to interrupt.
      Effect.flatMap(stop, (leftMs) =>
        FiberSet.awaitEmpty(begun).pipe(Effect.interruptible, Effect.timeoutOption(Duration.millis(leftMs)))
      )
    )
    return {
      admit: <A, E, R>(request: Effect.Effect<A, E, R>) =>
        Effect.suspend((): Effect.Effect<A, E | Protocol.Unavailable, R> => {
          if (deadlineMs !== undefined) return Effect.fail(unavailable("The server is stopping."))
          if (admitted >= options.requestsMax) return Effect.fail(unavailable("The server is busy."))
          admitted++
          return Effect.ensuring(
            request,
            Effect.sync(() => {
              admitted--
            })
          )
        }),
      finish: (work) => Effect.flatMap(FiberSet.run(begun)(work), Fiber.join),
      stop,
      stopping: () => deadlineMs !== undefined
    } satisfies Requests
  })

const unavailable = (message: string) => new Protocol.Unavailable({ message, retryAfterMs: 1000 })

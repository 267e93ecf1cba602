/** A value that changes: read it at any time, hear of every change. What React calls an external store. */
import { Effect, Stream, Subscribable } from "effect"

export interface Observable<A> {
  /** The value now. The same reference until it changes. */
  readonly get: () => A
  /** Calls `listener` after each change, not now; returns the function that ends it. */
  readonly subscribe: (listener: (value: A) => void) => () => void
}

export interface Store<A> extends Observable<A> {
  /** Sets the value; nobody is told when it is equal to the one before. */
  readonly set: (value: A) => void
}

/** A store whose values are told apart by `same`. A listener that throws does not keep the others from hearing. */
export const make = <A>(initial: A, same: (a: A, b: A) => boolean = Object.is): Store<A> => {
  const listeners = new Set<(value: A) => void>()
  let current = initial
  return {
    get: () => current,
    subscribe: (listener) => {
      // Wrapped, so that one function may subscribe twice.
      const entry = (value: A) => listener(value)
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    set: (value) => {
      if (same(current, value)) return
      current = value
      for (const listener of [...listeners]) {
        try {
          listener(value)
        } catch (error) {
          reportError(error)
        }
      }
    }
  }
}

/** The same for Effect programs. `changes` starts with the value now; a slow reader sees the latest one only. */
export const toSubscribable = <A>(observable: Observable<A>): Subscribable.Subscribable<A> =>
  Subscribable.make({ get: Effect.sync(observable.get), changes: toStream(observable) })

/** The value now, then each later one; of those that a slow reader missed, only the latest. */
export const toStream = <A>(observable: Observable<A>): Stream.Stream<A> =>
  Stream.asyncPush<A>(
    (emit) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const unsubscribe = observable.subscribe((value) => emit.single(value))
          emit.single(observable.get())
          return unsubscribe
        }),
        (unsubscribe) => Effect.sync(unsubscribe)
      ),
    { bufferSize: 1, strategy: "sliding" }
  )

const reportError = (error: unknown): void => {
  // As an event listener's error: seen by the page's error handling, without stopping the engine.
  queueMicrotask(() => {
    throw error
  })
}

/** Observables for Effect programs. A module of its own: a page that has none of these needs no streams. */
import { Effect, Stream, Subscribable } from "effect"
import type { Observable } from "./Observable.ts"

/** `changes` starts with the value now; a slow reader sees the latest one only. */
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

/** Callers of `sync` and `settled` that wait for the session. */
import { Deferred, Effect } from "effect"
import { kindOf, type SyncFailure } from "./SyncFailure.ts"

type Done = Deferred.Deferred<void, SyncFailure>

interface SyncWaiter {
  readonly done: Done
  /** Records that were pending at the call and are not judged yet, at most. */
  unjudged: number
  /** Whether a request began after the call: an answer to an earlier one may be older than the call. */
  armed: boolean
}

export class Waiters {
  private readonly syncs = new Set<SyncWaiter>()
  private readonly settles = new Set<Done>()

  /** Waits for a full round: `unjudged` records judged, by answers to requests that begin after `begin`. */
  sync(unjudged: number, begin: Effect.Effect<void>): Effect.Effect<void, SyncFailure> {
    return Effect.flatMap(Deferred.make<void, SyncFailure>(), (done) => {
      const waiter: SyncWaiter = { done, unjudged, armed: false }
      this.syncs.add(waiter)
      return await_(done, begin, () => this.syncs.delete(waiter))
    })
  }

  /** Waits until nothing is pending. */
  settled(begin: Effect.Effect<void>): Effect.Effect<void, SyncFailure> {
    return Effect.flatMap(Deferred.make<void, SyncFailure>(), (done) => {
      this.settles.add(done)
      return await_(done, begin, () => this.settles.delete(done))
    })
  }

  /** A request begins. */
  arm(): void {
    for (const waiter of this.syncs) waiter.armed = true
  }

  /** An answer was applied: `judged` records got their verdict, `pending` are left. */
  applied({ judged, pending }: { readonly judged: number; readonly pending: number }): void {
    for (const waiter of this.syncs) {
      if (!waiter.armed) continue
      waiter.unjudged -= judged
      if (waiter.unjudged <= 0 || pending === 0) Deferred.unsafeDone(waiter.done, Effect.void)
    }
    if (pending === 0) for (const done of this.settles) Deferred.unsafeDone(done, Effect.void)
  }

  /** An attempt failed: those who wait for a round hear of it; `settled` waits on unless the session stops. */
  failed(failure: SyncFailure): void {
    for (const { armed, done } of this.syncs) if (armed) Deferred.unsafeDone(done, Effect.fail(failure))
    if (kindOf(failure) !== "retryable") this.stop(this.settles, failure)
  }

  /** The session was paused: nobody gets a round now. */
  paused(failure: SyncFailure): void {
    this.stop(
      [...this.syncs].map(({ done }) => done),
      failure
    )
  }

  closed(failure: SyncFailure): void {
    this.paused(failure)
    this.stop(this.settles, failure)
  }

  private stop(waiting: Iterable<Done>, failure: SyncFailure): void {
    for (const done of waiting) Deferred.unsafeDone(done, Effect.fail(failure))
  }
}

const await_ = (
  done: Done,
  begin: Effect.Effect<void>,
  forget: () => void
): Effect.Effect<void, SyncFailure> =>
  Effect.ensuring(Effect.zipRight(begin, Deferred.await(done)), Effect.sync(forget))

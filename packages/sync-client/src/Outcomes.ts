/** The authority's verdicts by record, for callers who ask before or after they arrive. */
import type { Outcome, RecordId } from "@synchrotron/sync-core"
import { Deferred, Effect } from "effect"
import { ClientClosed } from "./Errors.ts"
import * as Limits from "./Limits.ts"

export class Outcomes {
  /** Oldest first: a Map keeps the order of insertion. */
  private readonly known = new Map<RecordId, Outcome>()
  private readonly waiting = new Map<RecordId, Deferred.Deferred<Outcome, ClientClosed>>()
  private readonly max: number

  constructor(max: number = Limits.outcomesMax) {
    this.max = max
  }

  record(id: RecordId, outcome: Outcome): void {
    this.known.delete(id)
    this.known.set(id, outcome)
    if (this.known.size > this.max) this.known.delete(this.known.keys().next().value!)
    const waiting = this.waiting.get(id)
    if (waiting === undefined) return
    this.waiting.delete(id)
    Deferred.unsafeDone(waiting, Effect.succeed(outcome))
  }

  /** The last outcome of the record, when it came recently. */
  get(id: RecordId): Outcome | undefined {
    return this.known.get(id)
  }

  /** Waits for the outcome of a record that is pending. */
  next(id: RecordId): Effect.Effect<Outcome, ClientClosed> {
    return Effect.suspend(() => {
      const waiting = this.waiting.get(id)
      if (waiting !== undefined) return Deferred.await(waiting)
      return Effect.flatMap(Deferred.make<Outcome, ClientClosed>(), (made) => {
        this.waiting.set(id, made)
        return Deferred.await(made)
      })
    })
  }

  close(): void {
    for (const waiting of this.waiting.values()) Deferred.unsafeDone(waiting, Effect.fail(new ClientClosed()))
    this.waiting.clear()
  }
}

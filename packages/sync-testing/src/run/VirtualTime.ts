/** Time that passes only when nothing is left to do now: what sleeps is a queue of events. */
import { Clock, Duration, Effect } from "effect"

export interface VirtualTime {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Runs `event` at a time; returns what takes it out of the queue. Events of one time run in the order of scheduling. */
  readonly schedule: (at: number, event: () => void | Promise<void>) => () => void
  /** Goes to the next event up to `until` and runs it; false when there is none. */
  readonly advance: (until: number) => Promise<boolean>
  /** A clock that is `aheadMs()` ahead and ticks every `tickMs`. */
  readonly clock: (aheadMs: () => number, tickMs: number) => Clock.Clock
}

interface Scheduled {
  readonly at: number
  readonly order: number
  readonly event: () => void | Promise<void>
  cancelled: boolean
}

export const make = (startMs: number): VirtualTime => {
  let nowMs = startMs
  let count = 0
  const queue: Array<Scheduled> = []
  const schedule: VirtualTime["schedule"] = (at, event) => {
    const entry: Scheduled = { at: Math.max(at, nowMs), order: count++, event, cancelled: false }
    let [low, high] = [0, queue.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (queue[middle]!.at <= entry.at) low = middle + 1
      else high = middle
    }
    queue.splice(low, 0, entry)
    return () => {
      entry.cancelled = true
    }
  }
  return {
    now: () => nowMs,
    schedule,
    advance: async (until) => {
      while (queue[0]?.cancelled) queue.shift()
      const next = queue[0]
      if (next === undefined || next.at > until) {
        nowMs = Math.max(nowMs, until)
        return false
      }
      queue.shift()
      nowMs = next.at
      await next.event()
      return true
    },
    clock: (aheadMs, tickMs) => {
      const millis = () => Math.max(0, Math.floor((nowMs + aheadMs()) / tickMs) * tickMs)
      return {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: millis,
        unsafeCurrentTimeNanos: () => BigInt(millis()) * 1_000_000n,
        currentTimeMillis: Effect.sync(millis),
        currentTimeNanos: Effect.sync(() => BigInt(millis()) * 1_000_000n),
        sleep: (duration) =>
          Effect.async<void>((resume) => {
            const ms = Duration.toMillis(duration)
            if (!Number.isFinite(ms)) return
            const cancel = schedule(nowMs + ms, () => resume(Effect.void))
            return Effect.sync(cancel)
          })
      }
    }
  }
}

/**
 * Waits until no fiber has anything to do. PGlite answers at once, so all that goes on in this process are microtasks.
 *
 * @param underWay the end of what goes on elsewhere, or null when nothing does
 */
export const quiet = async (underWay: () => Promise<void> | null = () => null): Promise<void> => {
  for (;;) {
    for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
    const elsewhere = underWay()
    if (elsewhere === null) return
    await elsewhere
  }
}

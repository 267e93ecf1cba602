/**
 * A number of things at the same time, first come, first served. Effect's semaphore resumes all who wait at each release,
 * so that a commit that wakes n clients would cost n² resumptions: with 1,200 of them half a minute instead of some seconds.
 */
import { Effect } from "effect"

interface Turn {
  has: boolean
  resume: () => void
}

export class Turns {
  private free: number
  private readonly waiting = new Set<Turn>()

  constructor(count: number) {
    this.free = count
  }

  /** Runs the effect when its turn comes. */
  readonly take = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      const turn: Turn = { has: false, resume: () => {} }
      // Around the waiting as well: an interruption may come when the turn was just given.
      return Effect.ensuring(
        Effect.zipRight(this.come(turn), effect),
        Effect.sync(() => this.leave(turn))
      )
    })

  private come(turn: Turn): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      turn.resume = () => resume(Effect.void)
      if (this.free > 0) {
        this.free--
        this.give(turn)
      } else this.waiting.add(turn)
    })
  }

  private give(turn: Turn): void {
    turn.has = true
    turn.resume()
  }

  private leave(turn: Turn): void {
    if (!turn.has) {
      this.waiting.delete(turn)
      return
    }
    const [next] = this.waiting
    if (next === undefined) this.free++
    else {
      this.waiting.delete(next)
      this.give(next)
    }
  }
}

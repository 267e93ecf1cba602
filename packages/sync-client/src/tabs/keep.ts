/** A tab's worker dies, or its database does: it is started again, unless that is of no use. */
import { WorkerFailed } from "../Errors.ts"
import * as Limits from "../Limits.ts"
import type { Ending } from "./lead.ts"
import { leaderLockName } from "./Messages.ts"
import type { Surroundings } from "./Surroundings.ts"

/** How a worker's life ended. */
export type Life = Ending | { readonly _tag: "NotLoaded"; readonly reason: string }

export type Next =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Again" }
  /** Another tab may lead. Once it is this one's turn, try again. */
  | { readonly _tag: "InTurn" }
  | { readonly _tag: "GiveUp"; readonly error: unknown }

/** @param before how often it was started again lately, and whether its script could not be loaded the last time */
export const next = (life: Life, before: { readonly restarts: number; readonly unloaded: boolean }): Next => {
  switch (life._tag) {
    case "Closed":
      return { _tag: "Done" }
    case "Failed":
      return { _tag: "GiveUp", error: life.error }
    case "NotLoaded":
      return before.unloaded
        ? { _tag: "GiveUp", error: new WorkerFailed({ reason: life.reason }) }
        : { _tag: "InTurn" }
    case "Died":
      return before.restarts < Limits.workerRestartsMax
        ? { _tag: "Again" }
        : { _tag: "GiveUp", error: new WorkerFailed({ reason: `it died again and again: ${life.reason}` }) }
  }
}

/**
 * @param live starts a worker and resolves when that has ended
 * @param stop ends the waiting for this tab's turn
 * @returns why there is no worker any more, or undefined when it was closed
 */
export const keep = async (
  live: () => Promise<Life>,
  store: string,
  surroundings: Surroundings,
  stop: AbortSignal
): Promise<unknown> => {
  let restarts: ReadonlyArray<number> = []
  let unloaded = false
  while (!stop.aborted) {
    const life = await live()
    const now = Date.now()
    restarts = restarts.filter((at) => now - at < Limits.workerRestartWindowMs)
    const then = next(life, { restarts: restarts.length, unloaded })
    unloaded = life._tag === "NotLoaded"
    if (then._tag === "Done") return undefined
    if (then._tag === "GiveUp") return then.error
    if (then._tag === "InTurn")
      await surroundings.lock(leaderLockName(store), async () => {}, stop).catch(() => {})
    else restarts = [...restarts, now]
  }
  return undefined
}

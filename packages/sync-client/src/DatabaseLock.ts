/**
 * One tab owns a browser database at a time: two PGlite instances on one store corrupt it. Held as a Web Lock, which
 * the browser frees when the tab dies. Directories in Node are locked by sql-pglite itself; memory needs no lock.
 */
import { Deferred, Effect, type Scope } from "effect"
import { DatabaseInUse } from "./Errors.ts"
import * as Limits from "./Limits.ts"

/** Takes the lock for the life of the scope; where there are no Web Locks it does nothing. */
export const acquire = (dataDir: string): Effect.Effect<void, DatabaseInUse, Scope.Scope> => {
  const locks = globalThis.navigator?.locks
  if (!/^(?:idb|opfs-ahp):\/\//.test(dataDir) || locks === undefined) return Effect.void
  return Effect.asVoid(Effect.acquireRelease(take(locks, dataDir), (release) => Effect.sync(release)))
}

const take = (locks: LockManager, dataDir: string): Effect.Effect<() => void, DatabaseInUse> =>
  Effect.gen(function* () {
    const taken = yield* Deferred.make<() => void, DatabaseInUse>()
    // A page that reloads meets the lock of the page before it, so it waits a little.
    const signal = AbortSignal.timeout(Limits.databaseLockWaitMs)
    locks
      .request(
        `synchrotron:${dataDir}`,
        { signal },
        () =>
          new Promise<void>((release) => {
            Deferred.unsafeDone(taken, Effect.succeed(release))
          })
      )
      .catch(() => Deferred.unsafeDone(taken, Effect.fail(new DatabaseInUse({ dataDir }))))
    return yield* Deferred.await(taken)
  })

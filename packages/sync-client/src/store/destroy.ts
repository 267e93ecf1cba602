/** Deletes a local database. */
import { Store } from "@synchrotron/sql-pglite"
import { DatabaseInUse } from "../Errors.ts"
import { leaderLockName } from "../tabs/Messages.ts"
import { candidates } from "./choose.ts"
import * as Reserve from "./Reserve.ts"

/**
 * Deletes the local database with everything in it, what was not sent included: when somebody signs out of a device that is
 * not his own, or when it is damaged. The next client on it begins with what the server has.
 *
 * @param dataDir as the client's. Rejects with `DatabaseInUse` while a client has it open: close that one first, in all tabs
 */
export const destroyStore = async (dataDir: string): Promise<void> => {
  const locks = globalThis.navigator?.locks
  const names = [leaderLockName(dataDir), ...candidates(dataDir).map((store) => `synchrotron:${store}`)]
  const destroy = async () => {
    for (const store of candidates(dataDir)) {
      await Store.destroy(store).catch((error: unknown) => {
        // By its tag: with its class a page would load the driver.
        throw (error as { _tag?: unknown })._tag === "PgliteLocked" ? new DatabaseInUse({ dataDir }) : error
      })
      await Reserve.make(store)?.free()
    }
  }
  const withLocks = ([name, ...rest]: ReadonlyArray<string>): Promise<void> =>
    name === undefined || locks === undefined
      ? destroy()
      : (locks.request(name, { ifAvailable: true }, (lock) => {
          if (lock === null) throw new DatabaseInUse({ dataDir })
          return withLocks(rest)
        }) as Promise<void>)
  return withLocks(names)
}

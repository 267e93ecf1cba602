/** What the status says of the storage, and what is done when it is full: refuse what is new, and keep what is there. */
import type { SqlError } from "@effect/sql/SqlError"
import type { PgliteLocked } from "@synchrotron/sql-pglite"
import { Effect, Schedule, type Scope } from "effect"
import { StorageFull } from "../Errors.ts"
import * as Limits from "../Limits.ts"
import type { StatusStore, Storage } from "../Status.ts"
import { isFull } from "./isFull.ts"
import * as Reserve from "./Reserve.ts"

export interface Room {
  /** Fails while the storage is full, before anything is written. */
  readonly check: Effect.Effect<void, StorageFull>
  /** Fails as `check` does then, whatever the status says. */
  readonly full: Effect.Effect<never, StorageFull>
  /** After something could not be written. Gives whether that was for want of room, and what was held back is free now. */
  readonly make: (cause: unknown) => Promise<boolean>
  /** Starts the database, which writes too; fails with `StorageFull` when there is no room for that. */
  readonly start: <A, R>(
    database: Effect.Effect<A, SqlError | PgliteLocked, R>
  ) => Effect.Effect<A, SqlError | PgliteLocked | StorageFull, R>
  /** Looks at the storage now and then, for the life of the scope, and holds room back. */
  readonly watch: Effect.Effect<void, never, Scope.Scope>
}

export const make = (dataDir: string, status: StatusStore): Room => {
  const kind = kindOf(dataDir)
  const reserve = Reserve.make(dataDir)
  const note = (fields: Partial<Storage>) => {
    const { storage } = status.get()
    status.update({ storage: { ...unknown(kind), ...storage, ...fields, kind } })
  }
  note({})
  let freedAtMs = Number.NEGATIVE_INFINITY
  /** What was given free a moment ago is for what did not fit. */
  const isFreed = () => Date.now() - freedAtMs < Limits.storageCheckMs
  const look = Effect.promise(async () => {
    // What else may be wrong with holding it is no reason to refuse anything.
    const hasRoom = isFreed() || (await reserve?.hold().catch(() => true))
    const fields = await measured()
    note(isFreed() ? fields : { ...fields, full: hasRoom === false })
  })
  const full = Effect.suspend(() => {
    const { storage } = status.get()
    return new StorageFull({
      usedBytes: storage?.usedBytes ?? null,
      quotaBytes: storage?.quotaBytes ?? null
    })
  })
  return {
    full,
    check: Effect.suspend(() => (status.get().storage?.full ? full : Effect.void)),
    make: async (cause) => {
      if (reserve === undefined || !isFull(cause)) return false
      const freed = await reserve.free()
      freedAtMs = Date.now()
      note({ full: true })
      return freed
    },
    start: (database) =>
      reserve === undefined
        ? database
        : database.pipe(
            // Not every store says why it cannot be written, so try with more room, and look whether there is any left.
            Effect.catchTag("SqlError", () => Effect.zipRight(Effect.promise(reserve.free), database)),
            Effect.catchTag("SqlError", (error) =>
              Effect.flatMap(
                Effect.promise(() => reserve.hold().catch(() => true)),
                (hasRoom): Effect.Effect<never, SqlError | StorageFull> =>
                  hasRoom && !isFull(error) ? Effect.fail(error) : full
              )
            )
          ),
    watch:
      reserve === undefined
        ? Effect.void
        : Effect.asVoid(Effect.forkScoped(Effect.repeat(look, Schedule.spaced(Limits.storageCheckMs))))
  }
}

const kindOf = (dataDir: string): Storage["kind"] => {
  if (dataDir === "" || dataDir.startsWith("memory://")) return "memory"
  if (dataDir.startsWith("opfs-ahp://")) return "opfs"
  return dataDir.startsWith("idb://") ? "indexeddb" : "directory"
}

const unknown = (kind: Storage["kind"]): Storage => ({
  kind,
  persisted: null,
  usedBytes: null,
  quotaBytes: null,
  full: false
})

const measured = async (): Promise<Partial<Storage>> => {
  try {
    const [persisted, { quota, usage }] = await Promise.all([
      navigator.storage.persisted(),
      navigator.storage.estimate()
    ])
    return { persisted, usedBytes: usage ?? null, quotaBytes: quota ?? null }
  } catch {
    return {}
  }
}

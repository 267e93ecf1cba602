/** What the status says of the storage, and what is done when it is full: refuse what is new, and keep what is there. */
import { Effect, Schedule, type Scope } from "effect"
import { StorageFull } from "../Errors.ts"
import * as Limits from "../Limits.ts"
import type { StatusStore, Storage } from "../Status.ts"
import { isFull } from "./isFull.ts"
import * as Reserve from "./Reserve.ts"

export interface Room {
  /** Fails while the storage is full, before anything is written. */
  readonly check: Effect.Effect<void, StorageFull>
  /** After something could not be written. Gives whether that was for want of room, and what was held back is free now. */
  readonly make: (cause: unknown) => Promise<boolean>
}

/** Looks at the storage now and then, for the life of the scope. */
export const watch = (dataDir: string, status: StatusStore): Effect.Effect<Room, never, Scope.Scope> =>
  Effect.gen(function* () {
    const kind = kindOf(dataDir)
    const reserve = Reserve.make(dataDir)
    const note = (fields: Partial<Storage>) => {
      const { storage } = status.get()
      status.update({ storage: { ...(storage ?? unknown(kind)), ...fields } })
    }
    note({})
    const look = Effect.promise(async () => {
      // What else may be wrong with holding it is no reason to refuse anything.
      const hasRoom = await reserve?.hold().catch(() => true)
      note({ ...(await measured()), full: hasRoom === false })
    })
    if (reserve !== undefined)
      yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(Limits.storageCheckMs)))
    return {
      check: Effect.suspend(() => {
        const { storage } = status.get()
        return storage?.full
          ? Effect.fail(new StorageFull({ usedBytes: storage.usedBytes, quotaBytes: storage.quotaBytes }))
          : Effect.void
      }),
      make: async (cause) => {
        if (reserve === undefined || !isFull(cause)) return false
        const held = status.get().storage?.full !== true
        note({ full: true })
        await reserve.free()
        return held
      }
    }
  })

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

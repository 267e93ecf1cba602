/**
 * Room that is held back in the browser's storage, to be given free when that is full: browsers do not say how much is left,
 * and a database whose last write does not fit is at risk. It makes the next writes fit, and asking for it anew tells
 * whether there is room again.
 */
import { Opfs } from "@synchrotron/sql-pglite"
import * as Limits from "../Limits.ts"
import { isFull } from "./isFull.ts"

export interface Reserve {
  /** Whether there is room for it: then it is held. Fast when it was held before. */
  readonly hold: () => Promise<boolean>
  /** Gives whether there was any of it. */
  readonly free: () => Promise<boolean>
}

export const make = (dataDir: string): Reserve | undefined => {
  const [, scheme, path] = /^(opfs-ahp|idb):\/\/(.*)$/.exec(dataDir) ?? []
  if (path === undefined) return undefined
  const { free, hold } =
    scheme === "opfs-ahp" ? inOpfs(`${path}.reserve`) : inIndexedDb(`synchrotron-reserve/${path}`)
  // One after the other: what is given free must not be taken again by somebody who asked before.
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = (act: () => Promise<boolean>) => () => {
    const turn = last.then(act)
    last = turn.catch(() => {})
    return turn
  }
  return { hold: inTurn(hold), free: inTurn(free) }
}

const inOpfs = (path: string): Reserve => {
  const folder = Opfs.namesOf(path).slice(0, -1)
  const name = Opfs.namesOf(path).at(-1)!
  return {
    hold: async () => {
      const handle = await Opfs.openFile(await Opfs.directoryAt(folder, true), name).catch(refusedIfFull)
      if (handle === undefined) return false
      try {
        if (handle.getSize() === Limits.storageReserveBytes) return true
        const written = handle.write(incompressible(), { at: 0 })
        handle.flush()
        if (written === Limits.storageReserveBytes) return true
        handle.truncate(0)
        return false
      } catch (error) {
        handle.truncate(0)
        return !isFull(error)
      } finally {
        handle.close()
      }
    },
    free: async () =>
      (await Opfs.directoryAt(folder, true)).removeEntry(name).then(
        () => true,
        () => false
      )
  }
}

/** Undefined for want of room. Other errors are the caller's. */
const refusedIfFull = (error: unknown): undefined => {
  if (!isFull(error)) throw error
}

const inIndexedDb = (name: string): Reserve => {
  const use = async <A>(
    mode: IDBTransactionMode,
    act: (rows: IDBObjectStore) => IDBRequest<A>
  ): Promise<A> => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const opening = indexedDB.open(name, 1)
      opening.onupgradeneeded = () => opening.result.createObjectStore("reserve")
      opening.onsuccess = () => resolve(opening.result)
      opening.onerror = () => reject(opening.error)
    })
    try {
      return await new Promise<A>((resolve, reject) => {
        const transaction = database.transaction("reserve", mode)
        const request = act(transaction.objectStore("reserve"))
        transaction.oncomplete = () => resolve(request.result)
        transaction.onabort = () => reject(transaction.error)
      })
    } finally {
      database.close()
    }
  }
  return {
    hold: async () => {
      try {
        const held = await use("readonly", (rows) => rows.count())
        if (held === 0) await use("readwrite", (rows) => rows.put(incompressible(), "reserve"))
        return true
      } catch (error) {
        return !isFull(error)
      }
    },
    free: async () => {
      try {
        const held = await use("readonly", (rows) => rows.count())
        if (held > 0) await use("readwrite", (rows) => rows.clear())
        return held > 0
      } catch {
        return false
      }
    }
  }
}

/** Stores compress, and what is held back shall count. */
const incompressible = (): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(Limits.storageReserveBytes)
  const partMax = 65_536
  for (let at = 0; at < bytes.length; at += partMax) crypto.getRandomValues(bytes.subarray(at, at + partMax))
  return bytes
}

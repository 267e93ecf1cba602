/** Which of the browser's stores a database is in, when the application names it and leaves the choice to us. */
import { Opfs, Store } from "@synchrotron/sql-pglite"

export interface Found {
  /** Whether this worker may keep files of the origin's private file system open, which is what makes them fast. */
  readonly canOpfs: boolean
  readonly inOpfs: boolean
  readonly inIndexedDb: boolean
}

export type Choice = "opfs-ahp" | "idb"

/** Where the database is already, it stays, or it is not opened; a new one goes where commits are fast. */
export const choose = ({ canOpfs, inIndexedDb, inOpfs }: Found): Choice =>
  inOpfs || (canOpfs && !inIndexedDb) ? "opfs-ahp" : "idb"

export interface Chosen {
  readonly dataDir: string
  /** Where to go when a new store cannot be set up there. */
  readonly fallback: string | undefined
}

/** A plain name is a database of the browser; an address, or any name outside of a browser, is as it stands. */
export const resolve = async (dataDir: string): Promise<Chosen> => {
  if (typeof indexedDB === "undefined" || !isName(dataDir)) return { dataDir, fallback: undefined }
  const at = (choice: Choice) => `${choice}://${dataDir}`
  const found: Found = {
    canOpfs: await canOpfs(),
    inOpfs: await Store.exists(at("opfs-ahp")).catch(() => false),
    inIndexedDb: await Store.exists(at("idb")).catch(() => false)
  }
  const choice = choose(found)
  const isNew = choice === "opfs-ahp" ? !found.inOpfs : !found.inIndexedDb
  return { dataDir: at(choice), fallback: isNew && choice === "opfs-ahp" ? at("idb") : undefined }
}

/** All stores that a name may stand for. */
export const candidates = (dataDir: string): ReadonlyArray<string> =>
  typeof indexedDB !== "undefined" && isName(dataDir)
    ? [`opfs-ahp://${dataDir}`, `idb://${dataDir}`]
    : [dataDir]

const isName = (dataDir: string): boolean => dataDir !== "" && !/^[a-z0-9-]+:\/\//.test(dataDir)

/** Tried rather than asked: in private windows some browsers have the functions, and they fail. */
export const canOpfs = async (): Promise<boolean> => {
  const name = `synchrotron-probe-${crypto.randomUUID()}`
  try {
    const root = await navigator.storage.getDirectory()
    const handle = await Opfs.openFile(root, name)
    handle.close()
    await root.removeEntry(name)
    return true
  } catch {
    return false
  }
}

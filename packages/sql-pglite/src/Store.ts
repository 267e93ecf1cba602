/** Where an instance keeps its files, and whether there are any. */
import * as Opfs from "./opfs.ts"

export const storeOf = (dataDir: string | undefined): "memory" | "directory" | "browser" => {
  if (dataDir === undefined || dataDir === "" || dataDir.startsWith("memory://")) return "memory"
  return /^(?:idb|opfs-ahp|memfs2opfs):\/\//.test(dataDir) ? "browser" : "directory"
}

export const directoryOf = (dataDir: string): string => dataDir.replace(/^file:\/\//, "")

/** Whether there is a complete store. */
export const exists = async (dataDir: string): Promise<boolean> => {
  const { path, scheme } = partsOf(dataDir)
  switch (scheme) {
    case "memory":
      return false
    case "idb":
      return (
        (await indexedDB.databases()).some(({ name }) => name === `/pglite/${path}`) &&
        (await hasFiles(`/pglite/${path}`))
      )
    case "opfs-ahp":
    case "memfs2opfs":
      return Opfs.isComplete(path)
    default: {
      const { existsSync } = await import("node:fs")
      return existsSync(`${directoryOf(dataDir)}/PG_VERSION`)
    }
  }
}

/** Deletes a store with everything in it. Nobody may have it open; of a directory, `PgliteLocked` says so. */
export const destroy = async (dataDir: string): Promise<void> => {
  const { path, scheme } = partsOf(dataDir)
  switch (scheme) {
    case "memory":
      return
    case "idb":
      return deleteIndexedDb(`/pglite/${path}`)
    case "opfs-ahp":
    case "memfs2opfs":
      return Opfs.remove(path)
    default: {
      const { rm } = await import("node:fs/promises")
      const directory = directoryOf(dataDir)
      const release = (await import("./Lock.ts")).acquireLock(directory)
      try {
        await rm(directory, { recursive: true, force: true, maxRetries: 5 })
      } finally {
        release()
      }
    }
  }
}

const partsOf = (dataDir: string): { readonly scheme: string | undefined; readonly path: string } => {
  const [, scheme, path] = /^(?:([a-z0-9-]+):\/\/)?(.*)$/.exec(dataDir)!
  return { scheme, path: path! }
}

/** PGlite sets the database up before it writes any file, and then all of the first start in one transaction. */
const hasFiles = (name: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const opening = indexedDB.open(name)
    opening.onerror = () => reject(opening.error)
    opening.onsuccess = () => {
      const database = opening.result
      const answer = (has: boolean) => {
        database.close()
        resolve(has)
      }
      if (!database.objectStoreNames.contains("FILE_DATA")) return answer(false)
      const counting = database.transaction("FILE_DATA").objectStore("FILE_DATA").count()
      counting.onsuccess = () => answer(counting.result > 0)
      counting.onerror = () => answer(true)
    }
  })

const deleteIndexedDb = (name: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name)
    request.onsuccess = () => resolve()
    request.onerror = () => reject(request.error)
    request.onblocked = () => reject(new Error(`${name} is open in another tab or worker.`))
  })

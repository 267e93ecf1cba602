/** Folders and files of the origin's private file system, and which of them are complete stores. */

/** What lib.dom leaves out of a handle that only workers have. */
export interface SyncHandle {
  close(): void
  flush(): void
  getSize(): number
  truncate(size: number): void
  read(into: Uint8Array, options: { readonly at: number }): number
  /** Gives how much was written, which may be less when the storage is full. */
  write(bytes: Uint8Array, options: { readonly at: number }): number
}

/** How long files may stay open after the worker is gone that had them, and its locks are free. */
const releaseMsMax = 10_000

const patiently = async <A>(use: () => Promise<A>): Promise<A> => {
  const began = Date.now()
  while (true) {
    try {
      return await use()
    } catch (error) {
      const isHeld = /^(?:NoModificationAllowed|InvalidModification)Error$/.test((error as Error).name)
      if (!isHeld || Date.now() - began > releaseMsMax) throw error
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

/** Opens a file for this worker alone; waits for up to ten seconds when another one still has it. */
export const open = (file: FileSystemFileHandle): Promise<SyncHandle> =>
  patiently(() =>
    (file as unknown as { createSyncAccessHandle(): Promise<SyncHandle> }).createSyncAccessHandle()
  )

/** As `open`, of a file that is made when it is not there. Rejects with `QuotaExceededError` when there is no room for one. */
export const openFile = async (directory: FileSystemDirectoryHandle, name: string): Promise<SyncHandle> =>
  open(await directory.getFileHandle(name, { create: true }))

/** The folder of these names, one in the other, made when `create`; else rejects with `NotFoundError` when it is not there. */
export const directoryAt = async (
  names: ReadonlyArray<string>,
  create: boolean
): Promise<FileSystemDirectoryHandle> => {
  let directory = await navigator.storage.getDirectory()
  for (const name of names) directory = await directory.getDirectoryHandle(name, { create })
  return directory
}

/** The folders of a path, outermost first. */
export const namesOf = (path: string): ReadonlyArray<string> => path.split("/").filter(Boolean)

/** Whether there is anything in the folder. */
export const hasFiles = async (path: string): Promise<boolean> => {
  try {
    const directory = await directoryAt(namesOf(path), false)
    const { done } = await (directory as unknown as { keys(): AsyncIterator<string> }).keys().next()
    return done !== true
  } catch {
    return false
  }
}

/** Beside a store: a file that is there from when its first start begins until it is complete. */
const markOf = async (path: string) => {
  const names = namesOf(path)
  const name = names.at(-1)!
  const parent = await directoryAt(names.slice(0, -1), true)
  const mark = `${name}.begun`
  const isThere = await parent.getFileHandle(mark).then(
    () => true,
    () => false
  )
  return { parent, name, mark, isThere }
}

/** Whether there is a store whose first start came to its end. */
export const isComplete = async (path: string): Promise<boolean> =>
  (await hasFiles(path)) && !(await markOf(path)).isThere

/**
 * A store cannot be opened again when its first start was cut short. Who finds the mark of one begins anew.
 *
 * @returns what to do when the store is complete
 */
export const begin = async (path: string): Promise<() => Promise<void>> => {
  const { isThere, mark, name, parent } = await markOf(path)
  if (!isThere && (await hasFiles(path))) return async () => {}
  if (isThere) await removeAt(parent, name)
  await parent.getFileHandle(mark, { create: true })
  return () => parent.removeEntry(mark)
}

/** Deletes a store; what is cut short is begun anew, and never opened. */
export const remove = async (path: string): Promise<void> => {
  const { mark, name, parent } = await markOf(path)
  // Until all of it is gone, it is no complete store.
  await parent.getFileHandle(mark, { create: true })
  await removeAt(parent, name)
  await removeAt(parent, mark)
}

const removeAt = (parent: FileSystemDirectoryHandle, name: string): Promise<void> =>
  patiently(() => parent.removeEntry(name, { recursive: true })).catch((error: DOMException) => {
    if (error.name !== "NotFoundError") throw error
  })

/** Folders of the origin's private file system, and which of them are complete stores. */

export const directoryAt = async (
  names: ReadonlyArray<string>,
  create: boolean
): Promise<FileSystemDirectoryHandle> => {
  let directory = await navigator.storage.getDirectory()
  for (const name of names) directory = await directory.getDirectoryHandle(name, { create })
  return directory
}

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
  if (isThere) await parent.removeEntry(name, { recursive: true }).catch(() => {})
  await parent.getFileHandle(mark, { create: true })
  return () => parent.removeEntry(mark)
}

export const remove = async (path: string): Promise<void> => {
  const { mark, name, parent } = await markOf(path)
  for (const entry of [mark, name])
    await parent.removeEntry(entry, { recursive: true }).catch((error: DOMException) => {
      if (error.name !== "NotFoundError") throw error
    })
}

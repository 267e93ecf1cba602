/** PGlite's store in the origin's private file system, made safe against a checkpoint of its directory that is cut short. */
import { OpfsAhpFS } from "@electric-sql/pglite/opfs-ahp"
import { directoryAt, hasFiles, namesOf } from "./opfs.ts"

/** What lib.dom leaves out of a handle that only workers have. */
interface SyncHandle {
  close(): void
  flush(): void
  getSize(): number
  truncate(size: number): void
  read(into: Uint8Array, options: { readonly at: number }): number
  write(bytes: Uint8Array, options: { readonly at: number }): number
}

/**
 * PGlite's file system keeps its directory in `state.txt`, which it empties and writes anew once a minute. When that is cut
 * short, the next start finds no directory and would set up an empty database over the one that is there. So a copy is
 * written first, and put back when `state.txt` cannot be read.
 */
export class OpfsStore extends OpfsAhpFS {
  private copy: SyncHandle | undefined

  override async init(...given: Parameters<OpfsAhpFS["init"]>): ReturnType<OpfsAhpFS["init"]> {
    const folder = await directoryAt(namesOf(this.dataDir), true)
    this.copy = await handleOf(folder, "state.copy")
    const state = await handleOf(folder, "state.txt")
    try {
      if (!isState(textIn(state))) {
        const copied = textIn(this.copy)
        if (isState(copied)) write(state, copied)
        else if (await hasFiles(`${this.dataDir}/data`))
          throw new Error("its directory, state.txt, cannot be read, and neither can the copy of it")
      }
    } finally {
      state.close()
    }
    return openingPatiently(() => super.init(...given))
  }

  override async checkpointState(): Promise<void> {
    if (this.copy !== undefined) write(this.copy, JSON.stringify(this.state))
    await super.checkpointState()
  }

  override async closeFs(): Promise<void> {
    await this.checkpointState()
    this.copy?.close()
    await super.closeFs()
  }
}

interface Openable {
  createSyncAccessHandle(): Promise<SyncHandle>
}

const handleOf = async (folder: FileSystemDirectoryHandle, name: string): Promise<SyncHandle> => {
  const file = await folder.getFileHandle(name, { create: true })
  return patiently(() => (file as unknown as Openable).createSyncAccessHandle())
}

/** How long files may stay open after the worker is gone that had them, and its locks are free. */
const releaseMsMax = 10_000

const patiently = async <A>(open: () => Promise<A>): Promise<A> => {
  const began = Date.now()
  while (true) {
    try {
      return await open()
    } catch (error) {
      const isHeld = (error as DOMException).name === "NoModificationAllowedError"
      if (!isHeld || Date.now() - began > releaseMsMax) throw error
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

/**
 * PGlite opens hundreds of files at once, and neither tries again nor says so when one of them is still held: it waits for
 * ever, or goes on without the file. It leaves no other place to change that than the function that it calls.
 */
const openingPatiently = async <A>(use: () => Promise<A>): Promise<A> => {
  const files = FileSystemFileHandle.prototype as unknown as Openable
  const open = files.createSyncAccessHandle
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  files.createSyncAccessHandle = function (this: Openable) {
    const handle = patiently(() => open.call(this))
    handle.catch(fail)
    return handle
  }
  try {
    return await Promise.race([use(), failed])
  } finally {
    files.createSyncAccessHandle = open
  }
}

const textIn = (handle: SyncHandle): string => {
  const bytes = new Uint8Array(handle.getSize())
  handle.read(bytes, { at: 0 })
  return new TextDecoder().decode(bytes)
}

const write = (handle: SyncHandle, text: string): void => {
  handle.truncate(0)
  handle.write(new TextEncoder().encode(text), { at: 0 })
  handle.flush()
}

/** Its first line is the directory as of the last checkpoint, the others are what was done since. */
const isState = (text: string): boolean => {
  try {
    return typeof JSON.parse(text.split("\n", 1)[0]!) === "object"
  } catch {
    return false
  }
}

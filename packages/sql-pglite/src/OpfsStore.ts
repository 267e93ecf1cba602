/** PGlite's store in the origin's private file system, made safe against being cut short, and against a full storage. */
import { OpfsAhpFS } from "@electric-sql/pglite/opfs-ahp"
import * as Opfs from "./opfs.ts"

/**
 * PGlite's file system keeps its directory in `state.txt`: as of the last checkpoint, and what was done since, line by line.
 * Three things are done here that it leaves out.
 *
 * - Once a minute it empties `state.txt` and writes it anew. When that is cut short, the next start finds no directory and
 *   would set up an empty database over the one that is there. So a copy is written first, and put back when `state.txt`
 *   cannot be read.
 * - A browser may write less than it is asked for when the storage is full, and say so only by the count. Here that is an
 *   error, as Postgres knows it, and what could not be noted in the directory is written before the next flush ends.
 * - When a file cannot be had, it waits for ever or goes on without it. Here that fails.
 */
export class OpfsStore extends OpfsAhpFS {
  private copy: Opfs.SyncHandle | undefined
  private directory: Opfs.SyncHandle | undefined
  /** Whether something was done that `state.txt` does not have. */
  private unnoted = false
  /** Whether files are made ahead: nobody hears of what fails then, but for `fail`. */
  private pooling = false
  private fail: (error: unknown) => void = () => {}

  override async init(...given: Parameters<OpfsAhpFS["init"]>): ReturnType<OpfsAhpFS["init"]> {
    const folder = await Opfs.directoryAt(Opfs.namesOf(this.dataDir), true)
    this.copy = checked(await Opfs.openFile(folder, "state.copy"))
    const state = checked(await Opfs.openFile(folder, "state.txt"))
    try {
      const text = textIn(state)
      if (isState(text)) {
        const whole = withoutTornEnd(text)
        if (whole !== text) write(state, whole)
      } else {
        const copied = textIn(this.copy)
        if (isState(copied)) write(state, copied)
        else if (await Opfs.hasFiles(`${this.dataDir}/data`))
          throw new Error("its directory, state.txt, cannot be read, and neither can the copy of it")
      }
    } finally {
      state.close()
    }
    const root = await navigator.storage.getDirectory()
    const started = await this.orFail(() => {
      // It asks for the root at once, and for all else there.
      const { storage } = navigator
      const { getDirectory } = storage
      storage.getDirectory = async () => this.seen(root) as unknown as FileSystemDirectoryHandle
      try {
        return super.init(...given)
      } finally {
        storage.getDirectory = getDirectory
      }
    })
    // Of a start that was cut short. Postgres does not start with an empty one, and nobody else has this store open.
    if (Object.hasOwn(this.state.root.children, "postmaster.pid")) this.unlink("/postmaster.pid")
    return started
  }

  override async syncToFs(relaxed?: boolean): Promise<void> {
    if (this.unnoted) await this.checkpointState()
    await super.syncToFs(relaxed)
  }

  override async maintainPool(size?: number): Promise<void> {
    this.pooling = true
    try {
      return await this.orFail(() => super.maintainPool(size))
    } finally {
      this.pooling = false
    }
  }

  override async checkpointState(): Promise<void> {
    if (this.copy === undefined || this.directory === undefined) return
    const text = JSON.stringify(this.state)
    try {
      write(this.copy, text)
      write(this.directory, text)
      this.unnoted = false
    } catch (error) {
      // There is no room for it. Unless it is needed, the lines go on, and it is tried again later.
      if (this.unnoted) throw error
    }
    this.lastCheckpoint = Date.now()
  }

  override async closeFs(): Promise<void> {
    await this.checkpointState().catch(() => {})
    this.copy?.close()
    await super.closeFs()
  }

  /** Lets go of its files, and writes nothing: for an instance that did not start. */
  async abandon(): Promise<void> {
    this.copy?.close()
    await super.closeFs().catch(() => {})
  }

  private orFail<A>(use: () => Promise<A>): Promise<A> {
    const failed = new Promise<never>((_, reject) => {
      this.fail = reject
    })
    return Promise.race([use(), failed])
  }

  /** A directory, as far as PGlite uses one. */
  private seen(directory: FileSystemDirectoryHandle): unknown {
    const orFail = <A>(promise: Promise<A>): Promise<A> =>
      promise.catch((error: unknown) => {
        this.fail(error)
        return new Promise<never>(() => {})
      })
    return {
      getDirectoryHandle: async (name: string, options?: FileSystemGetDirectoryOptions) =>
        this.seen(await orFail(directory.getDirectoryHandle(name, options))),
      getFileHandle: async (name: string, options?: FileSystemGetFileOptions) => {
        // A spare file that was to be removed: there was no room to note it, or no time.
        const create = options?.create === true || this.state?.pool.includes(name)
        const file = await orFail(directory.getFileHandle(name, { create }))
        return {
          name,
          createSyncAccessHandle: async () => {
            const handle = await orFail(Opfs.open(file))
            if (name !== "state.txt") return checked(handle)
            this.directory = checked(handle, (at, error) => {
              this.unnoted = true
              if (at > 0) handle.truncate(at)
              this.fail(error)
              return this.pooling
            })
            return this.directory
          }
        }
      },
      // A file more than there need be does no harm.
      removeEntry: (name: string) => directory.removeEntry(name).catch(() => {})
    }
  }
}

const lineFeed = 10

/** Its number, as Postgres in WASM knows it. */
const noSpace = 51

/**
 * A handle whose writes are done whole or fail.
 *
 * @param onFull gives whether it has dealt with it
 */
const checked = (
  handle: Opfs.SyncHandle,
  onFull: (at: number, error: Error) => boolean = () => false
): Opfs.SyncHandle => {
  const { write } = handle
  handle.write = (bytes, options) => {
    const written = write.call(handle, bytes, options)
    if (written !== bytes.byteLength) {
      const error = Object.assign(new Error("No space left on device"), { code: noSpace })
      if (!onFull(options.at, error)) throw error
    }
    return bytes.byteLength
  }
  return handle
}

const textIn = (handle: Opfs.SyncHandle): string => {
  const bytes = new Uint8Array(handle.getSize())
  handle.read(bytes, { at: 0 })
  return new TextDecoder().decode(bytes)
}

/** Takes the room first, as empty lines: then what is there is whole, should there be none, or the worker be killed there. */
const write = (handle: Opfs.SyncHandle, text: string): void => {
  const bytes = new TextEncoder().encode(text)
  const size = handle.getSize()
  if (bytes.length > size) handle.write(new Uint8Array(bytes.length - size).fill(lineFeed), { at: size })
  handle.write(bytes, { at: 0 })
  handle.truncate(bytes.length)
  handle.flush()
}

const parses = (line: string): boolean => {
  try {
    return typeof JSON.parse(line) === "object"
  } catch {
    return false
  }
}

const isState = (text: string): boolean => parses(text.split("\n", 1)[0]!)

/** A line that was cut short says what had not been done yet. */
const withoutTornEnd = (text: string): string => {
  const lines = text.split("\n")
  const torn = lines.findIndex((line) => line !== "" && !parses(line))
  return torn < 0 ? text : lines.slice(0, torn).join("\n")
}

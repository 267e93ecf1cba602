/** The origin's private file system, in memory: it can be full as a browser's is, and a worker that has it open can be killed. */

export interface FakeOpfs {
  /** Bytes that may be used; what does not fit is written in part, and only the count says so. */
  quotaBytes: number
  /** After so many changes from now on, nothing has an effect any more. */
  killAfter: number
  readonly usedBytes: () => number
  readonly storage: { getDirectory(): Promise<unknown> }
  /** Resolves when something had no effect for that reason: a worker would be gone then. */
  readonly killed: () => Promise<void>
  /** The worker is gone, and what it had open is free. */
  readonly kill: () => void
}

interface File {
  bytes: Uint8Array
  size: number
}
type Entry = File | Map<string, Entry>

const signal = () => {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

const named = (name: string) => Object.assign(new Error(name), { name })

export const makeFakeOpfs = (): FakeOpfs => {
  const root = new Map<string, Entry>()
  const held = new Set<File>()
  let used = 0
  let life = 0
  let dead = signal()
  const opfs: FakeOpfs = {
    quotaBytes: Number.POSITIVE_INFINITY,
    killAfter: Number.POSITIVE_INFINITY,
    usedBytes: () => used,
    storage: { getDirectory: async () => directoryOf(root, life) },
    killed: () => dead.promise,
    kill: () => {
      held.clear()
      life++
      dead = signal()
    }
  }
  /** Whether what is done has an effect. */
  const acts = (of: number): boolean => {
    if (of !== life) return false
    if (opfs.killAfter <= 0) dead.resolve()
    return opfs.killAfter-- > 0
  }
  const resize = (file: File, size: number) => {
    if (size > file.bytes.length) {
      const bytes = new Uint8Array(Math.max(size, file.bytes.length * 2))
      bytes.set(file.bytes.subarray(0, file.size))
      file.bytes = bytes
    }
    if (size < file.size) file.bytes.fill(0, size, file.size)
    used += size - file.size
    file.size = size
  }
  const handleOf = (file: File, of: number) => ({
    getSize: () => file.size,
    flush: () => {},
    close: () => {
      if (of === life) held.delete(file)
    },
    truncate: (size: number) => {
      if (acts(of)) resize(file, size)
    },
    read: (into: Uint8Array | ArrayBuffer, { at }: { readonly at: number }) => {
      const bytes = file.bytes.subarray(Math.min(at, file.size), Math.min(at + into.byteLength, file.size))
      const target = into instanceof Uint8Array ? into : new Uint8Array(into)
      target.set(bytes)
      return bytes.length
    },
    write: (bytes: Uint8Array | ArrayBuffer, { at }: { readonly at: number }) => {
      const given = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
      if (!acts(of)) return given.length
      const end = Math.min(at + given.length, Math.max(file.size, opfs.quotaBytes - used + file.size))
      if (end > file.size) resize(file, end)
      if (end > at) file.bytes.set(given.subarray(0, end - at), at)
      // Chromium's count is no count then.
      return end === at + given.length ? given.length : 0xffff_fff8
    }
  })
  const fileOf = (file: File, of: number) => ({
    createSyncAccessHandle: async () => {
      // Whoever was killed gets nothing that others would have to wait for.
      if (of !== life) return handleOf(file, of)
      if (held.has(file)) throw named("NoModificationAllowedError")
      held.add(file)
      return handleOf(file, of)
    }
  })
  const directoryOf = (entries: Map<string, Entry>, of: number): unknown => ({
    getDirectoryHandle: async (name: string, { create = false } = {}) => {
      const found = entries.get(name)
      if (found instanceof Map) return directoryOf(found, of)
      if (!create) throw named("NotFoundError")
      const made = new Map<string, Entry>()
      if (acts(of)) entries.set(name, made)
      return directoryOf(made, of)
    },
    getFileHandle: async (name: string, { create = false } = {}) => {
      const found = entries.get(name)
      if (found !== undefined && !(found instanceof Map)) return fileOf(found, of)
      if (!create) throw named("NotFoundError")
      if (used >= opfs.quotaBytes) throw named("QuotaExceededError")
      const made = { bytes: new Uint8Array(0), size: 0 }
      if (acts(of)) entries.set(name, made)
      return fileOf(made, of)
    },
    removeEntry: async (name: string) => {
      const free = (entry: Entry | undefined): void => {
        if (entry instanceof Map) for (const one of entry.values()) free(one)
        else if (entry !== undefined) used -= entry.size
      }
      if (!entries.has(name)) throw named("NotFoundError")
      if (!acts(of)) return
      free(entries.get(name))
      entries.delete(name)
    },
    keys: () => entries.keys()
  })
  return opfs
}

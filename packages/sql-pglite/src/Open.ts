/**
 * Opens and closes the PGlite instance behind a client: its options, its lock, its image, its durability.
 */

import type { SqlError } from "@effect/sql/SqlError"
import { PGlite, type PGliteInterface, type PGliteOptions } from "@electric-sql/pglite"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { clientError, PgliteLocked, sqlError } from "./Errors.ts"

type Image = Blob | File | Uint8Array

export interface OpenOptions {
  /**
   * Where the data lives: `memory://` (the default), a directory (Node), `idb://name`, `opfs-ahp://path`
   * (browser). A directory survives the end of the process, but PGlite never calls fsync: the last transactions
   * may be lost when the machine loses power.
   */
  readonly dataDir?: string | undefined
  /**
   * A data directory made by `PgliteClient.prepareImage`, loaded when the store is empty. It saves initdb's 1.6 s, and on
   * `idb://` it makes every commit cheaper: a flush writes whole files, and its log segments are 1 MB instead of 16.
   * A function is asked for it only then; when it rejects, the store is set up without.
   */
  readonly image?: Image | (() => Promise<Image | undefined>) | undefined
  /** The database to connect to, `postgres` by default. */
  readonly database?: string | undefined
  /** Browser stores only: answer before a commit is durable. A crash may lose the last transactions. */
  readonly relaxedDurability?: boolean | undefined
  /** Command-line parameters of the server, added to the defaults (`["-c", "work_mem=16MB"]`). */
  readonly startParams?: ReadonlyArray<string> | undefined
  /** An instance of the caller's, used and not closed. Keep its own `query` and `transaction` out of the client's way. */
  readonly pglite?: PGliteInterface | undefined
  /** Further options of PGlite: `extensions`, `fs`, `fsBundle`, `pgliteWasmModule`, `initdbWasmModule`. */
  readonly pgliteOptions?:
    | Omit<PGliteOptions, "dataDir" | "database" | "loadDataDir" | "relaxedDurability" | "startParams">
    | undefined
}

/** More than this, and a plpgsql recursion overflows the WASM stack before Postgres notices. */
const maxStackDepth = ["-c", "max_stack_depth=128kB"]

/**
 * Opens an instance for the life of the scope.
 *
 * Fails with `PgliteLocked` when another opener has the directory, and with `SqlError` when PGlite cannot
 * start (its `cause` is PGlite's error).
 */
export const open = (
  options: OpenOptions
): Effect.Effect<PGliteInterface, SqlError | PgliteLocked, Scope.Scope> =>
  options.pglite !== undefined
    ? Effect.succeed(options.pglite)
    : Effect.zipRight(lock(options.dataDir), Effect.acquireRelease(start(options), close))

/** Whether commits reach the store only by an explicit flush. */
export const needsFlush = (options: OpenOptions): boolean =>
  storeOf(options.dataDir ?? (options.pglite as { dataDir?: string } | undefined)?.dataDir) === "browser" ||
  options.pgliteOptions?.fs !== undefined

const start = (options: OpenOptions): Effect.Effect<PGlite, SqlError> =>
  Effect.tryPromise({
    try: async () => {
      const dataDir = options.dataDir ?? "memory://"
      const begun = await begin(dataDir)
      const loadDataDir =
        options.image !== undefined && !(await storeExists(dataDir)) ? await toBlob(options.image) : undefined
      const db = await PGlite.create({
        ...options.pgliteOptions,
        dataDir,
        startParams: [...PGlite.defaultStartParams, ...maxStackDepth, ...(options.startParams ?? [])],
        ...(options.database === undefined ? {} : { database: options.database }),
        ...(options.relaxedDurability === undefined ? {} : { relaxedDurability: options.relaxedDurability }),
        ...(loadDataDir === undefined ? {} : { loadDataDir })
      })
      await begun()
      return db
    },
    catch: (cause) => sqlError(clientError("08001", `PGlite did not start: ${String(cause)}`, cause))
  })

/** PGlite does not flush on close, and a relaxed idb store would lose everything since its last one. */
const close = (db: PGlite): Effect.Effect<void> =>
  Effect.promise(async () => {
    if (db.closed) return
    await db.fs?.syncToFs(false).catch(() => {})
    await db.close().catch(() => {})
  })

const lock = (dataDir: string | undefined): Effect.Effect<void, SqlError | PgliteLocked, Scope.Scope> =>
  storeOf(dataDir) !== "directory"
    ? Effect.void
    : Effect.acquireRelease(
        Effect.tryPromise({
          try: async () => (await import("./Lock.ts")).acquireLock(directoryOf(dataDir!)),
          catch: (cause) =>
            cause instanceof PgliteLocked
              ? cause
              : sqlError(
                  clientError("58030", `The directory ${dataDir} cannot be locked: ${String(cause)}`, cause)
                )
        }),
        (release) => Effect.sync(release)
      )

const storeOf = (dataDir: string | undefined): "memory" | "directory" | "browser" => {
  if (dataDir === undefined || dataDir === "" || dataDir.startsWith("memory://")) return "memory"
  return /^(?:idb|opfs-ahp|memfs2opfs):\/\//.test(dataDir) ? "browser" : "directory"
}

const directoryOf = (dataDir: string): string => dataDir.replace(/^file:\/\//, "")

const storeExists = async (dataDir: string): Promise<boolean> => {
  const [, scheme, path] = /^(?:([a-z0-9-]+):\/\/)?(.*)$/.exec(dataDir)!
  switch (scheme) {
    case "memory":
      return false
    case "idb":
      return (await indexedDB.databases()).some(({ name }) => name === `/pglite/${path}`)
    case "opfs-ahp":
    case "memfs2opfs":
      return opfsHasFiles(path!)
    default: {
      const { existsSync } = await import("node:fs")
      return existsSync(`${directoryOf(dataDir)}/PG_VERSION`)
    }
  }
}

/**
 * A store in the origin's private files cannot be opened again when its first start was cut short. A file beside it says that
 * it was begun, and is gone once it is complete; who finds it begins anew.
 *
 * @returns what to do when the store is complete
 */
const begin = async (dataDir: string): Promise<() => Promise<void>> => {
  const [, path] = /^opfs-ahp:\/\/(.*)$/.exec(dataDir) ?? []
  if (path === undefined) return async () => {}
  const names = path.split("/").filter(Boolean)
  const name = names.pop()!
  const mark = `${name}.begun`
  let parent = await navigator.storage.getDirectory()
  for (const folder of names) parent = await parent.getDirectoryHandle(folder, { create: true })
  const isBegun = await parent.getFileHandle(mark).then(
    () => true,
    () => false
  )
  if (!isBegun && (await opfsHasFiles(path))) return async () => {}
  if (isBegun) await parent.removeEntry(name, { recursive: true }).catch(() => {})
  await parent.getFileHandle(mark, { create: true })
  return () => parent.removeEntry(mark)
}

const opfsHasFiles = async (path: string): Promise<boolean> => {
  try {
    let directory = await navigator.storage.getDirectory()
    for (const name of path.split("/").filter(Boolean)) directory = await directory.getDirectoryHandle(name)
    const { done } = await (directory as unknown as { keys(): AsyncIterator<string> }).keys().next()
    return done !== true
  } catch {
    return false
  }
}

const toBlob = async (given: NonNullable<OpenOptions["image"]>): Promise<Blob | undefined> => {
  const image = typeof given === "function" ? await given().catch(() => undefined) : given
  return image === undefined || image instanceof Blob ? image : new Blob([image as Uint8Array<ArrayBuffer>])
}

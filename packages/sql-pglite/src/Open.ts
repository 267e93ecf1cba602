/**
 * Opens and closes the PGlite instance behind a client: its options, its lock, its image, its durability.
 */

import type { SqlError } from "@effect/sql/SqlError"
import { PGlite, type PGliteInterface, type PGliteOptions } from "@electric-sql/pglite"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { clientError, PgliteLocked, sqlError } from "./Errors.ts"
import { unpacked } from "./Image.ts"
import { begin } from "./opfs.ts"
import { directoryOf, exists, storeOf } from "./Store.ts"

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
  /**
   * Browser stores only: asked when a commit could not be written, for want of room perhaps. When it gives true, it is tried
   * once more; else the instance is dead, for it shows what its store does not have.
   */
  readonly makeRoom?: ((cause: unknown) => Promise<boolean>) | undefined
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
      const path = /^opfs-ahp:\/\/(.*)$/.exec(dataDir)?.[1]
      const begun = path === undefined ? undefined : await begin(path)
      const image =
        options.image !== undefined && !(await exists(dataDir)) ? await toBlob(options.image) : undefined
      const { fs, loadDataDir } = path === undefined ? { loadDataDir: image } : await opfsStore(path, image)
      const db = await PGlite.create({
        ...options.pgliteOptions,
        dataDir,
        ...(fs === undefined ? {} : { fs }),
        startParams: [...PGlite.defaultStartParams, ...maxStackDepth, ...(options.startParams ?? [])],
        ...(options.database === undefined ? {} : { database: options.database }),
        ...(options.relaxedDurability === undefined ? {} : { relaxedDurability: options.relaxedDurability }),
        ...(loadDataDir === undefined ? {} : { loadDataDir })
      }).catch(async (error: unknown) => {
        await fs?.abandon()
        throw error
      })
      await begun?.()
      return db
    },
    catch: (cause) => sqlError(clientError("08001", `PGlite did not start: ${String(cause)}`, cause))
  })

/** Its files are made before they are needed, which takes a while: as many as the image has, and not those of an initdb. */
const opfsStore = async (path: string, image: Blob | undefined) => {
  const { OpfsStore } = await import("./OpfsStore.ts")
  if (image === undefined) return { fs: new OpfsStore(path) }
  const { files, tarball } = await unpacked(image)
  return { fs: new OpfsStore(path, { initialPoolSize: files + sparePoolSize }), loadDataDir: tarball }
}

/** PGlite keeps so many at hand. */
const sparePoolSize = 100

const close = (db: PGlite): Effect.Effect<void> =>
  Effect.promise(async () => {
    if (!db.closed) await db.close().catch(() => {})
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

const toBlob = async (given: NonNullable<OpenOptions["image"]>): Promise<Blob | undefined> => {
  const image = typeof given === "function" ? await given().catch(() => undefined) : given
  return image === undefined || image instanceof Blob ? image : new Blob([image as Uint8Array<ArrayBuffer>])
}

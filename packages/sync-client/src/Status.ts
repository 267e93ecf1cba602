/** What the session is doing, for people and programs. One plain value; it only says what is known. */
import type { Cursors } from "@synchrotron/sync-core"
import * as Observable from "./Observable.ts"
import { same as sameValue } from "./share.ts"

/**
 * - `idle`: nothing is under way; the last sync went well, or none was tried yet
 * - `syncing`: a request is under way, or its answer is being applied
 * - `waiting`: offline or refused for now; the next try is at `retryAt`
 * - `paused`: by `pause()`
 * - `stopped`: `error` says what must change first; `sync()`, `resume()` and coming online try again
 */
export type Phase = "idle" | "syncing" | "waiting" | "paused" | "stopped"

export interface StatusError {
  /** The error's `_tag`, such as `Offline` or `SchemaMismatch`. */
  readonly tag: string
  readonly message: string
  /** Whether the session tries again by itself. */
  readonly retryable: boolean
}

/**
 * How far a load is: rows that come in chunks, in a first sync or after a long time. While it is `fetching`, the database
 * is as it was and can be used; `applying` is one transaction, and what is executed meanwhile waits for it.
 */
export interface Load extends Cursors.Progress {
  readonly phase: "fetching" | "applying"
}

/** Where the local database is kept. What is not known is null. */
export interface Storage {
  readonly kind: "opfs" | "indexeddb" | "memory" | "directory"
  /** Whether the browser has promised not to delete it when the device runs short of room. */
  readonly persisted: boolean | null
  /** Of all that this origin keeps, as the browser says. */
  readonly usedBytes: number | null
  readonly quotaBytes: number | null
  /** Nothing new is executed until there is room again; what is there is safe, and is synced. */
  readonly full: boolean
}

export interface Status {
  readonly phase: Phase
  /** False when the device says that it is offline, or when the last attempt did not reach the server. */
  readonly online: boolean
  /** Whether changes come as they happen; they are asked for now and then otherwise. */
  readonly live: boolean
  /** Records that the authority has not judged yet. */
  readonly pending: number
  /** Records in the inbox of refused ones. */
  readonly rejected: number
  /** When the last answer was applied, in milliseconds since 1970 by this device's clock; null before the first. */
  readonly lastSyncedAt: number | null
  /** When the next attempt after a failure is due, likewise; null when none is planned. */
  readonly retryAt: number | null
  /** The last attempt's failure; null after a success. */
  readonly error: StatusError | null
  /** Milliseconds that the server's clock is ahead of this device's, as last estimated. */
  readonly clockOffsetMs: number
  /** The last commit of the authority that this database holds; 0 before the first. */
  readonly seq: number
  /** Whether this database has ever been filled by the server. Until then an empty table may just be unloaded. */
  readonly firstSyncDone: boolean
  /** Null when no load is on its way. */
  readonly load: Load | null
  /** Null until the database is open. */
  readonly storage: Storage | null
}

export const initial: Status = {
  phase: "idle",
  online: true,
  live: false,
  pending: 0,
  rejected: 0,
  lastSyncedAt: null,
  retryAt: null,
  error: null,
  clockOffsetMs: 0,
  seq: 0,
  firstSyncDone: false,
  load: null,
  storage: null
}

export interface StatusStore extends Observable.Store<Status> {
  /** Replaces some fields. Nobody is told when nothing changed. */
  readonly update: (fields: Partial<Status>) => void
}

export const make = (): StatusStore => {
  const store = Observable.make<Status>(initial, same)
  return { ...store, update: (fields) => store.set({ ...store.get(), ...fields }) }
}

const same = (a: Status, b: Status): boolean =>
  (Object.keys(a) as ReadonlyArray<keyof Status>).every((key) => sameValue(a[key], b[key]))

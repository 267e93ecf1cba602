/** One PGlite that serves many runs: processes come and go on it, crash at a message, and leave what they committed. */
import { PGlite, type PGliteInterface } from "@electric-sql/pglite"
import { PgliteClient, type PgliteSqlClient } from "@synchrotron/sql-pglite"
import { Execution } from "@synchrotron/sync-core"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import * as Storage from "./Storage.ts"

export interface Database {
  /** A connection past the processes, for checkers and writes from outside. */
  readonly probe: PgliteSqlClient
  /** A new process' way to the database. */
  readonly attach: (watch: Watch) => Attachment
}

export interface Slot extends Database {
  readonly storage: Storage.Storage
  /** Whether a process has a transaction open. */
  readonly busy: () => boolean
  /** Takes everything back that happened since the slot was opened. */
  readonly reset: () => Promise<void>
  /** What there is now, for others to begin with: it costs less than to install the same there. */
  readonly image: () => Promise<Blob>
  readonly close: () => Promise<void>
}

export interface Watch {
  /** After each message that leaves no transaction open. */
  readonly onIdle: () => void
  readonly onCrash: (message: number) => void
  /** Another database takes this one's place on the instance: prepared statements are lost. */
  readonly onTurnOver: () => void
}

export interface Attachment {
  readonly pglite: PGliteInterface
  /** The process ends at the `after`-th message from now on: before it is executed when odd, else after. */
  readonly crashAfter: (after: number | null) => void
  /** The process ends now. */
  readonly kill: () => void
  /** Sends messages that are not the process' own doing, unless it has ended: none counts, is watched, or is its last. */
  readonly aside: (act: () => void) => void
  readonly messages: () => number
}

/** The stack as PgliteClient has it, and little memory, for there are many of them. */
const startParams = [...PGlite.defaultStartParams, "-c", "max_stack_depth=128kB", "-c", "shared_buffers=2MB"]

/**
 * Boots an instance, lets `install` prepare it, and remembers that state.
 *
 * @param image a data directory of `PgliteClient.prepareImage`, or of another slot
 */
export const open = async (
  image: Blob,
  install: (sql: PgliteSqlClient) => Promise<void> = async () => {}
): Promise<Slot> => {
  const db = await PGlite.create({ dataDir: "memory://", loadDataDir: image, startParams })
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(
    Layer.build(PgliteClient.layer({ pglite: db })).pipe(Scope.extend(scope))
  )
  const probe = Context.get(context, PgliteClient)
  await install(probe)
  const storage = await Effect.runPromise(Storage.make(probe))
  let status = idle
  return {
    probe,
    storage,
    busy: () => status !== idle,
    attach: (watch) =>
      attach(db, watch, (now) => {
        status = now
      }),
    reset: async () => {
      await Effect.runPromise(
        probe.unsafe(`ROLLBACK;DEALLOCATE ALL;${Execution.prepareSession}`).pipe(Effect.ignore)
      )
      await Effect.runPromise(storage.load())
    },
    image: async () => {
      await db.exec("CHECKPOINT")
      return db.dumpDataDir("none")
    },
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await db.close()
    }
  }
}

/** A simple query, as the protocol has it: type, length, text. */
const rollback = new Uint8Array([0x51, 0, 0, 0, 13, ...new TextEncoder().encode("ROLLBACK"), 0])

/** ReadyForQuery ends each reply; its status is I when no transaction is open. */
const idle = 0x49

const attach = (db: PGlite, watch: Watch, onStatus: (status: number) => void): Attachment => {
  let dead = false
  let fuse: number | null = null
  let early = false
  let messages = 0
  let beside = false
  const crash = (): Promise<never> => {
    dead = true
    // What the process left open ends with its connection.
    void db.execProtocolRawStream(rollback, { syncToFs: false, onRawData: () => {} })
    onStatus(idle)
    watch.onCrash(messages)
    return Promise.reject(new Error("the process has ended"))
  }
  const pglite = {
    dataDir: "memory://",
    execProtocolRawStream: (
      message: Uint8Array,
      options: { readonly onRawData: (chunk: Uint8Array) => void; readonly syncToFs?: boolean }
    ) => {
      if (dead) return Promise.reject(new Error("the process has ended"))
      if (beside) return db.execProtocolRawStream(message, options)
      messages++
      const ends = fuse !== null && --fuse <= 0
      if (ends && early) return crash()
      let status = 0
      const done = db.execProtocolRawStream(message, {
        ...options,
        onRawData: (chunk) => {
          status = chunk[chunk.length - 1] ?? 0
          if (!ends) options.onRawData(chunk)
        }
      })
      onStatus(status)
      if (status === idle) watch.onIdle()
      return ends ? crash() : done
    }
  }
  return {
    pglite: pglite as unknown as PGliteInterface,
    crashAfter: (after) => {
      fuse = after
      early = after !== null && after % 2 === 1
    },
    kill: () => {
      dead = true
    },
    aside: (act) => {
      if (dead) return
      beside = true
      act()
      beside = false
    },
    messages: () => messages
  }
}

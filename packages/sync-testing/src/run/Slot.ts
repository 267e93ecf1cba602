/** One PGlite that serves many runs: processes come and go on it, crash at a message, and leave what they committed. */
import type { SqlClient } from "@effect/sql"
import { PGlite, type PGliteInterface } from "@electric-sql/pglite"
import { PgliteClient, type PgliteSqlClient } from "@synchrotron/sql-pglite"
import { Execution, identifier, literal } from "@synchrotron/sync-core"
import { Context, Effect, Exit, Layer, Scope } from "effect"

export interface Slot {
  /** A connection past the processes, for checkers and writes from outside. */
  readonly probe: PgliteSqlClient
  /** A new process' way to the database. */
  readonly attach: (watch: Watch) => Attachment
  /** Takes everything back that happened since the slot was opened. */
  readonly reset: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface Watch {
  /** After each message that leaves no transaction open. */
  readonly onIdle: () => void
  readonly onCrash: (message: number) => void
}

export interface Attachment {
  readonly pglite: PGliteInterface
  /** The process ends at the `after`-th message from now on: before it is executed when odd, else after. */
  readonly crashAfter: (after: number | null) => void
  /** The process ends now. */
  readonly kill: () => void
  readonly messages: () => number
}

/** The same as PgliteClient gives its own instances. */
const startParams = [...PGlite.defaultStartParams, "-c", "max_stack_depth=128kB"]

/**
 * Boots an instance, lets `install` prepare it, and remembers that state.
 *
 * @param image a data directory of `PgliteClient.prepareImage`
 */
export const open = async (image: Blob, install: (sql: PgliteSqlClient) => Promise<void>): Promise<Slot> => {
  const db = await PGlite.create({ dataDir: "memory://", loadDataDir: image, startParams })
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(
    Layer.build(PgliteClient.layer({ pglite: db })).pipe(Scope.extend(scope))
  )
  const probe = Context.get(context, PgliteClient)
  await install(probe)
  const blank = await snapshot(probe)
  return {
    probe,
    attach: (watch) => attach(db, watch),
    reset: async () => {
      await Effect.runPromise(
        probe.unsafe(`ROLLBACK;DEALLOCATE ALL;${Execution.prepareSession}`).pipe(Effect.ignore)
      )
      await Effect.runPromise(probe.unsafe(blank))
    },
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await db.close()
    }
  }
}

/** A simple query, as the protocol has it: type, length, text. */
const rollback = new Uint8Array([0x51, 0, 0, 0, 13, ...new TextEncoder().encode("ROLLBACK"), 0])

const attach = (db: PGlite, watch: Watch): Attachment => {
  let dead = false
  let fuse: number | null = null
  let early = false
  let messages = 0
  const crash = (): Promise<never> => {
    dead = true
    // What the process left open ends with its connection.
    void db.execProtocolRawStream(rollback, { syncToFs: false, onRawData: () => {} })
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
      // ReadyForQuery ends each reply; its status is I when no transaction is open.
      if (status === 0x49) watch.onIdle()
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
    messages: () => messages
  }
}

/** Tables that a run cannot change. */
const fixed = new Set(["synchrotron.tables", "synchrotron.installed", "synchrotron.migrations"])

/** SQL that makes all tables be what they are now. */
export const snapshot = async (sql: SqlClient.SqlClient): Promise<string> => {
  const run = <Row extends object>(text: string) => Effect.runPromise(sql.unsafe<Row>(text))
  const tables = (
    await run<{ schema: string; name: string; columns: ReadonlyArray<string> }>(
      `SELECT n.nspname AS schema, c.relname AS name, ARRAY(
         SELECT a.attname::text FROM pg_attribute AS a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum) AS columns
       FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
       WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2`
    )
  ).filter(({ name, schema }) => !fixed.has(`${schema}.${name}`))
  const qualified = (table: { schema: string; name: string }) =>
    `${identifier(table.schema)}.${identifier(table.name)}`
  const fills: Array<string> = []
  for (const table of tables) {
    const name = qualified(table)
    const rows = await run<{ row: string }>(`SELECT t::text AS row FROM ${name} AS t`)
    if (rows.length === 0) continue
    const columns = table.columns.map(identifier)
    fills.push(
      `INSERT INTO ${name} (${columns.join(", ")}) OVERRIDING SYSTEM VALUE SELECT ${columns.map((c) => `(x.r).${c}`).join(", ")} FROM (SELECT v::${name} AS r FROM unnest(ARRAY[${rows.map(({ row }) => literal(row)).join(", ")}]) AS v) AS x`
    )
  }
  return [
    "SET session_replication_role = replica",
    `TRUNCATE ${tables.map(qualified).join(", ")} RESTART IDENTITY CASCADE`,
    ...fills,
    "SET session_replication_role = origin"
  ].join(";")
}

/** An application as both sides know it: its schema, synced tables, actions and audiences. */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import type { AnyAction } from "./Action.ts"
import type { SyncTable } from "./SyncTable.ts"

/** One step of the application's schema; applied once, in order, on every replica. */
export interface Migration {
  /** Unique and unchanging, such as `001_todos`. */
  readonly id: string
  /**
   * SQL for every replica: tables, types, functions. What it writes to rows shows on a client until its next sync; then
   * rows are what they are on the server, for all rows are fetched again.
   */
  readonly sql: string
  /** SQL for the server alone, run after `sql`: row-level security, grants, indexes, rows. */
  readonly serverSql?: string
}

export interface SyncApp {
  readonly name: string
  readonly migrations: ReadonlyArray<Migration>
  readonly tables: ReadonlyArray<SyncTable>
  /** By name and version, as `todo.add@1`. */
  readonly actions: ReadonlyMap<string, AnyAction>
  /** Query with one text column: the audiences of the principal, run as the principal on the server. */
  readonly audiences: string
  /** Changes when the migrations or the tables change; client and server compare it. */
  readonly schemaHash: string
}

export const actionKey = (name: string, version: number): string => `${name}@${version}`

/**
 * Describes an application.
 *
 * @param options.name identifies the application to the server; a client of another application is refused
 * @param options.audiences SQL query that returns the principal's audiences in its first column, for example
 *   `select 'list:' || list_id from members where user_id = synchrotron.user_id()`
 */
export const make = (options: {
  readonly name: string
  readonly migrations: ReadonlyArray<Migration>
  readonly tables: ReadonlyArray<SyncTable>
  readonly actions: ReadonlyArray<{ readonly definition: AnyAction }>
  readonly audiences: string
}): SyncApp => {
  const actions = new Map<string, AnyAction>()
  for (const { definition } of options.actions) {
    const key = actionKey(definition.name, definition.version)
    if (actions.has(key))
      throw new Error(`SyncApp.make: the action ${key} is defined twice. Raise the version of one of them.`)
    actions.set(key, definition)
  }
  return {
    name: options.name,
    migrations: options.migrations,
    tables: options.tables,
    actions,
    audiences: options.audiences,
    schemaHash: hash([
      options.migrations.map(({ id, sql }) => [id, sql]),
      options.tables.map(({ audience, name }) => [name, audience]).sort()
    ])
  }
}

const hash = (value: unknown): string => bytesToHex(sha256(utf8ToBytes(JSON.stringify(value)))).slice(0, 32)

/** The server's database as a `SqlClient`: an embedded PGlite, or a Postgres. Both give the same JavaScript values. */
import { mkdirSync } from "node:fs"
import type { SqlClient, SqlError } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import {
  PgliteClient,
  type PgliteClientOptions,
  type PgliteLocked,
  pgDefaults,
  pgTypes,
  sessionSettings,
  settingsSql
} from "@synchrotron/sql-pglite"
import { Effect, Layer, Redacted, type Scope } from "effect"
import pg from "pg"
import { layerPglite, layerPostgres, type Notifications } from "./live/Notifications.ts"

export type Database =
  | {
      readonly _tag: "embedded"
      /** Directory of the store, made when absent; `memory://` keeps nothing. */
      readonly dataDir: string
      /** What a new store begins with, see `PgliteClient.prepareImage`: it saves a second or two. */
      readonly image?: PgliteClientOptions["image"]
    }
  | {
      readonly _tag: "postgres"
      /** `postgres://user:password@host:port/database`, Postgres 15 or later. */
      readonly url: Redacted.Redacted | string
      /** Connections that are open at the same time; 10 unless given. */
      readonly connectionsMax?: number
    }

/** Opens the database while the layer lives. `PgliteLocked`: another process has the directory. */
export const layer = (
  database: Database
): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError | PgliteLocked> =>
  database._tag === "embedded"
    ? Layer.suspend(() => {
        if (!database.dataDir.includes("://")) mkdirSync(database.dataDir, { recursive: true })
        return PgliteClient.layer({ dataDir: database.dataDir, image: database.image })
      })
    : PgClient.layerFromPool({ acquire: pool(database) })

/** Hears what the database notifies; on Postgres by one connection more than `connectionsMax`, opened when it is needed. */
export const notifications = (database: Database): Layer.Layer<Notifications, never, SqlClient.SqlClient> =>
  database._tag === "embedded"
    ? layerPglite
    : layerPostgres({
        connectionString: urlOf(database),
        connectionTimeoutMillis: connectMsMax,
        application_name: "synchrotron-server-listen",
        keepAlive: true
      })

const connectMsMax = 10_000

/**
 * The server's connections to a Postgres, until the scope is closed.
 *
 * @param more options of the pool that come first; its `onConnect` runs after the server's own
 */
export const pool = (
  database: Extract<Database, { _tag: "postgres" }>,
  { onConnect, ...more }: pg.PoolConfig = {}
): Effect.Effect<pg.Pool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      Object.assign(pg.defaults, pgDefaults)
      const made = new pg.Pool({
        connectionString: urlOf(database),
        max: database.connectionsMax ?? 10,
        connectionTimeoutMillis: connectMsMax,
        application_name: "synchrotron-server",
        types: pgTypes,
        // Statements go out without waiting for the answers before them; the executor overlaps one per record.
        pipeline: true,
        onConnect: async (client) => {
          await client.query(settingsSql(sessionSettings))
          await onConnect?.(client)
        },
        ...more
      })
      // A connection that breaks while idle is replaced; without a listener it would end the process.
      made.on("error", () => {})
      return made
    }),
    (made) => Effect.promise(() => made.end())
  )

/** For logs: where the data is, without the password. */
export const describe = (database: Database): string => {
  if (database._tag === "embedded") return `embedded store in ${database.dataDir}`
  try {
    const { host, pathname } = new URL(urlOf(database))
    return `Postgres ${host}${pathname}`
  } catch {
    return "Postgres"
  }
}

const urlOf = ({ url }: { readonly url: Redacted.Redacted | string }) =>
  Redacted.isRedacted(url) ? Redacted.value(url) : url

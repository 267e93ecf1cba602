/** Options about the database that several commands share. */
import { resolve } from "node:path"
import { Option, Redacted } from "effect"
import { compactEveryMsDefault, tombstoneMsDefault } from "../authority/index.ts"
import { reorderWindowMsDefault, reorderWindowRecordsDefault } from "../authority/window.ts"
import type { Database } from "../database.ts"
import { count, text } from "./options.ts"

const dataDirDefault = ".synchrotron/server"

export const databaseOptions = {
  databaseUrl: text("database-url", "DATABASE_URL", "Postgres to use; without it, the embedded store"),
  dataDir: text(
    "data-dir",
    "SYNCHROTRON_DATA_DIR",
    `Directory of the embedded store; ${dataDirDefault} unless given`
  )
}

export const databaseOf = (options: {
  readonly databaseUrl: Option.Option<string>
  readonly dataDir: Option.Option<string>
}): Database =>
  Option.match(options.databaseUrl, {
    onSome: (url) => ({ _tag: "postgres", url: Redacted.make(url) }),
    onNone: () => ({
      _tag: "embedded",
      dataDir: dataDirOf(Option.getOrElse(options.dataDir, () => dataDirDefault))
    })
  })

/** A directory as an absolute path; `memory://` as it is. */
const dataDirOf = (dataDir: string): string => (dataDir.includes("://") ? dataDir : resolve(dataDir))

/** How much of the log stays: the same for the server and for whoever compacts its database. */
export const retention = {
  reorderWindowMs: count(
    "reorder-window-ms",
    "SYNCHROTRON_REORDER_WINDOW_MS",
    "How far back in time a late arrival may be placed: milliseconds",
    reorderWindowMsDefault
  ),
  reorderWindowRecords: count(
    "reorder-window-records",
    "SYNCHROTRON_REORDER_WINDOW_RECORDS",
    "How many records a late arrival may go before",
    reorderWindowRecordsDefault
  ),
  tombstoneMs: count(
    "tombstone-ms",
    "SYNCHROTRON_TOMBSTONE_MS",
    "How long it is known which rows are gone: milliseconds; clients away for longer fetch all rows again",
    tombstoneMsDefault
  )
}

export const retentionOf = ({
  reorderWindowMs,
  reorderWindowRecords,
  tombstoneMs
}: Readonly<Record<keyof typeof retention, number>>) => ({
  reorderWindowMs,
  reorderWindowRecords,
  tombstoneMs
})

export const compactEveryMs = count(
  "compact-every-ms",
  "SYNCHROTRON_COMPACT_EVERY_MS",
  "How often the server compacts: milliseconds; 0: never",
  compactEveryMsDefault
)

import type { SyncApp } from "@synchrotron/sync-core"

/** Tabs of which this is the same can work with one database: same tables, same actions. */
export const versionOf = ({ actions, name, schemaHash }: SyncApp.SyncApp): string =>
  [name, schemaHash, ...[...actions.keys()].sort()].join(" ")

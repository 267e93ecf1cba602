export type { Inspect } from "@synchrotron/sync-core"
export { historyLimits } from "./History.ts"
export { type Inspector, type InspectorState, inspector } from "./inspector.ts"
export {
  type Dock,
  type Mounted,
  type MountOptions,
  mountInspector,
  openOnShortcut,
  type ShortcutOptions
} from "./open.ts"
export type {
  Network,
  RecordDetail,
  RecordState,
  RecordSummary,
  Round,
  Snapshot,
  Verdict
} from "./Snapshot.ts"

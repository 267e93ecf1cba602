/** Every benchmark by name. */
import { Effect } from "effect"
import { audiences } from "./audiences.ts"
import { bootstrapMemory, bootstrapTime } from "./bootstrap.ts"
import { liveQueries } from "./browser/liveQueries.ts"
import { reload } from "./browser/reload.ts"
import { batch, durable, toRender } from "./browser/tabs.ts"
import { typing } from "./browser/typing.ts"
import { converge, idle } from "./converge.ts"
import { fanout, idleSessions, latency } from "./live/live.ts"
import { localAction } from "./local.ts"
import type { Measurement, Scale } from "./measure.ts"
import { rebase } from "./rebase.ts"
import { catchUp, history, ingest, late } from "./server.ts"
import { storage } from "./storage.ts"

const one = (effect: Effect.Effect<Measurement, unknown>) =>
  Effect.map(effect, (measurement) => [measurement])

export const benchmarks: ReadonlyArray<
  readonly [name: string, run: (scale: Scale) => Effect.Effect<ReadonlyArray<Measurement>, unknown>]
> = [
  ["local-action-1", (scale) => one(localAction(1, scale))],
  ["local-action-5", (scale) => one(localAction(5, scale))],
  ["rebase-100-100", (scale) => one(rebase("rebase", 100, 100, scale))],
  ["rebase-1000-10", (scale) => one(rebase("rebase", 1000, 10, scale))],
  ["rebase-1000-1000", (scale) => one(rebase("rebase", 1000, 1000, scale))],
  ["sync-100-100", (scale) => one(rebase("sync", 100, 100, scale))],
  ["sync-1000-1000", (scale) => one(rebase("sync", 1000, 1000, scale))],
  ["converge-10x100", (scale) => one(converge(10, 100, scale))],
  ["ingest-1000", (scale) => one(ingest(1000, scale))],
  ["late-1-before-1000", (scale) => one(late(1000, scale))],
  ["sync-1-after-50000", (scale) => one(history(1000, 50_000, scale))],
  ["sync-1-in-10000-audiences", (scale) => audiences(10_000, scale)],
  ["idle-sync", (scale) => one(idle(scale))],
  ["bootstrap-50k", (scale) => one(bootstrapTime(50_000, scale))],
  ["bootstrap-1000k", (scale) => bootstrapMemory(1_000_000, scale)],
  ["catchup-50k-actions", (scale) => one(catchUp(50_000, scale))],
  ["storage-20000", (scale) => one(storage("storage-20000", 20_000, { compacted: false }, scale))],
  [
    "storage-20000-compacted",
    (scale) => one(storage("storage-20000-compacted", 20_000, { compacted: true }, scale))
  ],
  [
    "storage-40000-compacted",
    (scale) => one(storage("storage-40000-compacted", 40_000, { compacted: true }, scale))
  ],
  ["live-latency", latency],
  ["fanout-500", (scale) => fanout(500, scale)],
  ["idle-2000-sessions", (scale) => idleSessions(2000, scale)],
  ["tab-to-render", toRender],
  ["tab-durable-opfs-ahp", (scale) => durable("opfs-ahp", scale)],
  ["tab-durable-idb", (scale) => durable("idb", scale)],
  ["tab-batch-100", batch],
  ["reload-10k-opfs-ahp", (scale) => reload("opfs-ahp", scale)],
  ["reload-10k-idb", (scale) => reload("idb", scale)],
  ["typing-1000", typing],
  ["live-queries-100", liveQueries]
]

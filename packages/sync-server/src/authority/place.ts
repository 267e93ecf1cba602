/**
 * Where records go in the canonical order (I3): at their own HLC, unless that is behind the reorder window or behind
 * an earlier record of the same client; then just after what they may not pass.
 */

import type { ClientId } from "@synchrotron/sync-core"
import { Hlc } from "@synchrotron/sync-core"

export interface Bounds {
  /** The oldest place that the reorder window leaves open; null when everything is. */
  readonly floor: Hlc.ClockState | null
  /** Where this client's latest canonical record is; null when it has none. */
  readonly last: Hlc.ClockState | null
}

/** Places one client's records, which must be in the order in which the client stamped them. */
export const place = <R extends { readonly hlc: Hlc.Hlc }>(
  records: ReadonlyArray<R>,
  node: ClientId,
  bounds: Bounds
): ReadonlyArray<R> => {
  let last = bounds.last
  return records.map((record) => {
    let at: Hlc.ClockState = Hlc.parts(record.hlc)
    for (const bound of [bounds.floor, last])
      if (bound !== null && !isAfter(at, bound)) at = Hlc.successor(bound)
    last = { ms: at.ms, counter: at.counter }
    return { ...record, hlc: Hlc.make(at, node) }
  })
}

/** Order of two clock states, strictly. */
export const isAfter = (a: Hlc.ClockState, b: Hlc.ClockState): boolean =>
  a.ms > b.ms || (a.ms === b.ms && a.counter > b.counter)

/**
 * What to do with a sync response: a pure decision. The runner in {@link Replica} executes the plan in one transaction.
 *
 *     canonical order ──────────────► HLC
 *        … k k k │ l   l l   l        k: confirmed, before every pending record
 *                │  p p   p    p      p: pending        l: confirmed, after the oldest pending record
 *                A
 *                └── the common ancestor: everything before the oldest pending record
 *
 * Invariants that the plan keeps, for tables T, pending P, later records L and confirmed state C at the cursor:
 *
 * 1. A + patches(L) = C, and T = replay of merge(P, L) in HLC order over A.
 * 2. P empty implies L empty, an empty journal, and T = C.
 * 3. A record leaves P only by a verdict.
 *
 * | path       | when                                                                    | work                           |
 * |------------|-------------------------------------------------------------------------|--------------------------------|
 * | `nothing`  | nothing came in, and nothing is crossed                                 | none                           |
 * | `rows`     | no record stays pending                                                 | undo if any was, put rows      |
 * | `disjoint` | no verdict, no later record, rows in tables that no pending record used | put rows                       |
 * | `pending`  | records stay pending, none is crossed                                   | undo, put rows, replay P       |
 * | `merge`    | records stay pending, later ones cross them                             | undo, put rows, replay P and L |
 */
import type { Hlc } from "./Hlc.ts"
import type { RecordId } from "./Ids.ts"

export interface Ordered {
  readonly id: RecordId
  readonly hlc: Hlc
}

export interface State<P extends Ordered> {
  /** In HLC order. */
  readonly pending: ReadonlyArray<P>
  /** Whether confirmed records are crossed now, which the tables show. */
  readonly crossing: boolean
  /** Tables that pending records read or wrote when they last ran; `null` when that is not known. */
  readonly used: ReadonlySet<string> | null
}

export interface Incoming<L extends Ordered> {
  /** Ids that the authority judged, whatever the verdict. */
  readonly judged: ReadonlySet<RecordId>
  /** Tables of the net rows. */
  readonly tables: ReadonlySet<string>
  /**
   * Whether the confirmed state has to stand before rows come: others go without being named (those of an audience that
   * was lost, or all that do not come again), or a load brings rows that are no part of the answer.
   */
  readonly resets: boolean
  /** Confirmed records that may be crossed, in canonical order. */
  readonly later: ReadonlyArray<L>
}

export type Plan<P extends Ordered, L extends Ordered> =
  | { readonly path: "nothing" }
  | { readonly path: "disjoint" }
  | {
      readonly path: "rows"
      /** Whether records were pending, and so the journal has something. */
      readonly undo: boolean
    }
  | {
      readonly path: "pending" | "merge"
      readonly pending: ReadonlyArray<P>
      readonly later: ReadonlyArray<L>
      /** Both, in HLC order: what to replay over the new common ancestor. */
      readonly replay: ReadonlyArray<P | L>
    }

/** Decides; `fast: false` takes the general path always, for tests that compare the two. */
export const plan = <P extends Ordered, L extends Ordered>(
  state: State<P>,
  incoming: Incoming<L>,
  options: { readonly fast: boolean } = { fast: true }
): Plan<P, L> => {
  const pending = state.pending.filter((record) => !incoming.judged.has(record.id))
  const later = pending.length === 0 ? [] : incoming.later.filter((record) => record.hlc > pending[0]!.hlc)
  const quiet =
    pending.length === state.pending.length && later.length === 0 && !state.crossing && !incoming.resets
  if (options.fast && quiet) {
    if (incoming.tables.size === 0) return { path: "nothing" }
    if (pending.length === 0) return { path: "rows", undo: false }
    if (state.used !== null && isDisjoint(state.used, incoming.tables)) return { path: "disjoint" }
  }
  if (pending.length === 0) return { path: "rows", undo: true }
  return { path: later.length === 0 ? "pending" : "merge", pending, later, replay: merge(pending, later) }
}

const isDisjoint = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => {
  for (const item of b) if (a.has(item)) return false
  return true
}

const merge = <P extends Ordered, L extends Ordered>(
  pending: ReadonlyArray<P>,
  later: ReadonlyArray<L>
): ReadonlyArray<P | L> => [...pending, ...later].sort((a, b) => (a.hlc < b.hlc ? -1 : 1))

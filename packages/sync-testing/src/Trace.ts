/**
 * What happened in a run, in order: for people, for the timeline, and as a hash that two runs of one seed share. It
 * names records and clients by their place in the run (`c2#5`), since ids of external writes are not the seed's.
 */

import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import type { Live } from "@synchrotron/sync-core"

/** Whose lane an event belongs to: `c0` … for clients, `s0` … for servers, `sim` for what concerns all. */
export type Lane = string

export type Event = { readonly at: number; readonly lane: Lane } & (
  | {
      readonly kind: "executed"
      readonly record: string
      readonly action: string
      readonly args: string
      readonly hlc: string
    }
  | { readonly kind: "refused"; readonly action: string; readonly args: string; readonly error: string }
  | { readonly kind: "sent"; readonly exchange: number; readonly records: ReadonlyArray<string> }
  /** A message's way ended: a request or an answer that nobody gets. */
  | {
      readonly kind: "lost"
      readonly exchange: number
      readonly what: "request" | "answer"
      readonly why: string
    }
  /** The server begins with a request. `lane` is the server's. */
  | { readonly kind: "arrived"; readonly exchange: number; readonly client: Lane; readonly again: boolean }
  /** The server has an answer: the records in the canonical order that it took back and executed again. */
  | {
      readonly kind: "served"
      readonly exchange: number
      readonly client: Lane
      readonly seq: number
      readonly rows: number
      readonly later: ReadonlyArray<string>
      readonly verdicts: ReadonlyArray<{
        readonly record: string
        readonly outcome: string
        readonly why?: string
      }>
      readonly replayed: number
    }
  | { readonly kind: "failed"; readonly exchange: number; readonly client: Lane; readonly error: string }
  /** The client has applied an answer. */
  | {
      readonly kind: "applied"
      readonly exchange: number
      readonly path: string
      readonly rows: number
      readonly replayed: number
      readonly pending: number
      readonly verdicts: ReadonlyArray<{
        readonly record: string
        readonly outcome: string
        readonly why?: string
      }>
    }
  /** The server tells a client of commits from `from` to `seq`; `rows` is null when it only says that there are some. */
  | {
      readonly kind: "told"
      readonly exchange: number
      readonly client: Lane
      readonly from: number
      readonly seq: number
      readonly rows: number | null
    }
  /** What the client made of it. */
  | { readonly kind: "followed"; readonly exchange: number; readonly decision: Live.Decision }
  /** The server has compacted its log, as far as it came. */
  | {
      readonly kind: "compacted"
      readonly records: number
      readonly patches: number
      readonly tombstones: number
    }
  /** The client forgot its cursors, which were too old. */
  | { readonly kind: "forgot" }
  | { readonly kind: "offline" | "online" | "partition" | "reachable" | "restarted" }
  | { readonly kind: "crashed"; readonly message: number }
  | { readonly kind: "clock"; readonly jumpMs: number }
  | { readonly kind: "external" | "membership"; readonly sql: string; readonly error?: string }
  | { readonly kind: "forged"; readonly what: string; readonly answer: string }
  | { readonly kind: "dismissed" | "retried"; readonly record: string }
  | { readonly kind: "healed" | "converged" }
  | { readonly kind: "violated"; readonly check: string; readonly message: string }
)

export type EventKind = Event["kind"]

/** SHA-256 over the events in order, in hexadecimal. */
export const hash = (events: ReadonlyArray<Event>): string =>
  bytesToHex(sha256(utf8ToBytes(JSON.stringify(events))))

/** The first event in which two traces differ, as JSON; null when they are equal. */
export const difference = (
  a: ReadonlyArray<Event>,
  b: ReadonlyArray<Event>
): { readonly was: string; readonly is: string } | null => {
  const textOf = (event: Event | undefined) => (event === undefined ? "nothing" : JSON.stringify(event))
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [was, is] = [textOf(a[i]), textOf(b[i])]
    if (was !== is) return { was, is }
  }
  return null
}

/**
 * What an inspector is told: plain values that can be cloned, so they come from another tab's worker too. The client that has
 * the database answers a {@link Question} each; see `Inspection`.
 */
import type { Audience, ClientId, Hlc, Inspect, Protocol, RecordId, Replica } from "@synchrotron/sync-core"

/**
 * - `pending`: not judged yet
 * - `confirmed`: in the canonical order; `changed` when the authority's patches were others than this client's
 * - `rejected`, `voided`: refused, at once or later; it is in the inbox until it is retried or dismissed
 */
export type RecordState = "pending" | "confirmed" | "changed" | "rejected" | "voided"

export interface RecordSummary {
  readonly id: RecordId
  readonly name: string
  readonly version: number
  readonly hlc: Hlc.Hlc
  readonly state: RecordState
  /** Whether this database executed it first; others are known as far as pending records cross them. */
  readonly own: boolean
  /** Whose record it is, when it is another client's. */
  readonly userId: string | null
  /** How often it was executed again since the database was opened. */
  readonly replays: number
  /** Null when it was confirmed while nobody inspected. A pending one with none has no effect here now. */
  readonly patches: number | null
  /** When the verdict came, in milliseconds since 1970 by the device's clock; null before, and for refusals of before a restart. */
  readonly judgedAt: number | null
  readonly error: Protocol.Rejection | null
  /** Whether one can step back to it. */
  readonly steppable: boolean
}

/** What is too large for a list. */
export interface RecordDetail {
  /** Null when they are not known: it was judged while nobody inspected, or they may not be seen. */
  readonly args: { readonly value: unknown } | null
  /** Null likewise; the first `Inspect.limits.patchesMax`. Those of a refused record were undone. */
  readonly patches: ReadonlyArray<Protocol.Patch> | null
  readonly patchesTotal: number
}

/** One request and its answer, or a message of the live path that was applied. */
export interface Round {
  /** Grows. */
  readonly n: number
  readonly kind: "sync" | "live"
  readonly state: "running" | "done" | "failed" | "abandoned"
  /** Milliseconds since 1970 by the device's clock. */
  readonly startedAt: number
  /** Until the answer was here, an inspector's delay included; null before. */
  readonly answeredMs: number | null
  /** How long applying it took; null before. */
  readonly appliedMs: number | null
  readonly sent: number
  readonly verdicts: Readonly<Record<Verdict, number>>
  readonly rows: number
  /** Confirmed records of the answer that pending ones may cross. */
  readonly later: number
  /** Which way the answer was applied, see `Reconcile` and `Replica.Received`. */
  readonly path: Replica.Received["path"] | null
  readonly replayed: number
  /** Of the JSON before compression, roughly; null while nobody inspected. */
  readonly bytesUp: number | null
  readonly bytesDown: number | null
  readonly seq: number | null
  readonly error: { readonly tag: string; readonly message: string } | null
}
export type Verdict = Protocol.Verdict["outcome"]

/** What an inspector does to the session's requests. Another tab that takes the database over begins without. */
export interface Network {
  /** Before each request, at most `historyLimits.delayMsMax`; messages of the live path come so much later. */
  readonly delayMs: number
  /** Each request fails as when the server cannot be reached, and messages of the live path are lost. */
  readonly failing: boolean
}

export interface Snapshot {
  /** Names the run of the client that answered. */
  readonly epoch: string
  /** Grows with every change. */
  readonly version: number
  readonly clientId: ClientId
  readonly userId: string
  readonly app: string
  /** In HLC order: those that the database keeps, and the last confirmed ones. */
  readonly records: ReadonlyArray<RecordSummary>
  /** How many earlier ones there are besides. */
  readonly recordsBefore: number
  /** Oldest first. */
  readonly rounds: ReadonlyArray<Round>
  readonly cursors: {
    readonly seq: number
    /** The first `historyLimits.audiencesMax` that are held, each with its cursor; null when a load has not come to it. */
    readonly audiences: ReadonlyArray<{ readonly audience: Audience; readonly cursor: number | null }>
    readonly audiencesTotal: number
  }
  readonly network: Network
}

export type Question =
  /** Answered when something is newer than what was seen, or after a while. To ask keeps details being noted. */
  | { readonly _tag: "Snapshot"; readonly seen: Pick<Snapshot, "epoch" | "version"> | null }
  /** Keeps details being noted, and asks for nothing. */
  | { readonly _tag: "Keep" }
  | { readonly _tag: "Record"; readonly id: RecordId }
  | { readonly _tag: "StepBack"; readonly to: RecordId | null; readonly rowsMax?: number | undefined }
  | { readonly _tag: "Network"; readonly network: Network }

interface Answers {
  readonly Snapshot: Snapshot
  readonly Keep: undefined
  readonly Record: RecordDetail | null
  readonly StepBack: Inspect.StepBack
  readonly Network: undefined
}
export type Answer<Q extends Question> = Answers[Q["_tag"]]

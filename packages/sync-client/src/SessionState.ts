/**
 * When to sync: the decisions of the session, without its network, its database or its clock.
 *
 * ```
 *            trigger            answer applied
 *   resting ─────────> running ───────────────> resting   (at once again when more is queued)
 *      ^                  │ failure
 *      │ due, or cut      v
 *      └─────────────── failed: retryable | unauthorized | final
 * ```
 *
 * | event            | resting        | running          | retryable              | unauthorized | final  |
 * |------------------|----------------|------------------|------------------------|--------------|--------|
 * | commit           | run, debounced | run again after  | run, not before S3, S4 | -            | -      |
 * | sync             | run            | run again after  | run                    | run          | run    |
 * | online           | run            | run again after  | run                    | run          | run    |
 * | resume           | run            | run again after  | run                    | run          | run    |
 * | pause            | nothing runs until resume; the session ends what is running                     |
 * | live, quiet      | the live path is up, or down: how long until the next poll, nothing else        |
 *
 * What holds (tests cite the numbers):
 *
 * - S1 Single flight: no run is decided while one is running.
 * - S2 Paused: nothing runs.
 * - S3 Two attempts after a retryable failure are at least `retryMsMin` apart, unless sync, online or resume asks.
 * - S4 The server's `retryAfterMs` is kept, unless sync, online or resume asks.
 * - S5 A final failure is not tried again until sync, online or resume asks.
 * - S6 No wait is longer than its maximum: `pollMs`, `livePollMs`, `retryMsMax`, `unauthorizedRetryMsMax` or the server's.
 * - S7 Nothing asked for is forgotten: after a commit or sync a run follows, unless S2 or S5 forbids it.
 */
import * as Limits from "./Limits.ts"

export interface Settings {
  readonly pollMs: number
  readonly livePollMs: number
  readonly commitDebounceMs: number
  readonly retryMsMin: number
  readonly retryMsMax: number
  readonly unauthorizedRetryMsMin: number
  readonly unauthorizedRetryMsMax: number
}

export const settings: Settings = {
  pollMs: Limits.pollMs,
  livePollMs: Limits.livePollMs,
  commitDebounceMs: Limits.commitDebounceMs,
  retryMsMin: Limits.retryMsMin,
  retryMsMax: Limits.retryMsMax,
  unauthorizedRetryMsMin: Limits.unauthorizedRetryMsMin,
  unauthorizedRetryMsMax: Limits.unauthorizedRetryMsMax
}

/** What a failure asks for: the same again later, another token, or a change by somebody. */
export type FailureKind = "retryable" | "unauthorized" | "final"

export interface State {
  readonly paused: boolean
  /** What the device says; while false only sync, online and the slowest retry attempt anything. */
  readonly deviceOnline: boolean
  /** Whether the live path tells of commits. */
  readonly live: boolean
  readonly running: boolean
  /** Whether sync, online or resume asked since the last run began. */
  readonly urgent: boolean
  /** When the next run is wanted: after a commit, or by polling. Milliseconds; null when nothing is wanted. */
  readonly wantedAt: number | null
  readonly failure: Failure | null
}

export interface Failure {
  readonly kind: FailureKind
  /** Consecutive failures of this kind, this one included. */
  readonly count: number
  /** When to try again by itself; infinite for a final one. */
  readonly retryAt: number
  /** A commit may cut the wait down to this. */
  readonly notBefore: number
}

export type Event =
  | {
      readonly _tag:
        | "Commit"
        | "Sync"
        | "Online"
        | "Offline"
        | "Pause"
        | "Resume"
        | "Begin"
        | "Abandon"
        | "Live"
        | "Quiet"
    }
  /** An answer was applied; `more`: records are left and this run made progress. */
  | { readonly _tag: "Done"; readonly more: boolean }
  /** `jitter` is a random number in [0, 1). */
  | {
      readonly _tag: "Failed"
      readonly kind: FailureKind
      readonly retryAfterMs?: number | undefined
      readonly jitter: number
    }

export type Decision =
  | { readonly _tag: "Run" }
  | { readonly _tag: "Wait"; readonly untilMs: number }
  /** Nothing to do until an event comes. */
  | { readonly _tag: "Rest" }

export const initial = (options: {
  readonly paused: boolean
  readonly deviceOnline: boolean
  readonly nowMs: number
}): State => ({
  paused: options.paused,
  deviceOnline: options.deviceOnline,
  live: false,
  running: false,
  urgent: false,
  wantedAt: options.nowMs,
  failure: null
})

/** The state after an event at `nowMs`. */
export const step = (state: State, event: Event, nowMs: number, settings: Settings): State => {
  switch (event._tag) {
    case "Commit":
      return {
        ...state,
        wantedAt: earlier(state.wantedAt, nowMs + settings.commitDebounceMs),
        failure: state.failure === null ? null : cut(state.failure, nowMs + settings.commitDebounceMs)
      }
    case "Sync":
      return { ...state, urgent: true }
    case "Online":
      return { ...state, deviceOnline: true, urgent: true }
    case "Offline":
      return { ...state, deviceOnline: false }
    case "Pause":
      return { ...state, paused: true }
    case "Resume":
      return { ...state, paused: false, urgent: true }
    case "Begin":
      return { ...state, running: true, urgent: false, wantedAt: null }
    case "Abandon":
      return { ...state, running: false, wantedAt: nowMs }
    case "Live":
      return { ...state, live: true }
    case "Quiet":
      return { ...state, live: false, wantedAt: earlier(state.wantedAt, nextPoll(nowMs, settings)) }
    case "Done": {
      const next = event.more ? nowMs : nextPoll(nowMs, settings, state.live)
      return { ...state, running: false, wantedAt: earlier(state.wantedAt, next), failure: null }
    }
    case "Failed": {
      const count = state.failure?.kind === event.kind ? state.failure.count + 1 : 1
      const retryAfterMs = Math.ceil(event.retryAfterMs ?? 0)
      const delayMs = Math.max(retryAfterMs, backoffMs(event.kind, count, event.jitter, settings))
      const notBefore = nowMs + Math.max(retryAfterMs, settings.retryMsMin)
      return {
        ...state,
        running: false,
        // A commit during the attempt is covered by the retry.
        wantedAt: nowMs,
        failure: { kind: event.kind, count, retryAt: nowMs + delayMs, notBefore }
      }
    }
  }
}

/** What to do at `nowMs`. */
export const decide = (state: State, nowMs: number, settings: Settings): Decision => {
  if (state.paused || state.running) return rest
  if (state.urgent) return run
  const due = dueAt(state, settings)
  return due === null ? rest : due <= nowMs ? run : { _tag: "Wait", untilMs: due }
}

/** Whether the live path may be used. */
export const wantsLive = ({ deviceOnline, paused }: State): boolean => deviceOnline && !paused

/** When the session tries again by itself after a failure, or null. */
export const retryAt = (state: State): number | null =>
  state.paused || state.failure === null || state.failure.retryAt === Number.POSITIVE_INFINITY
    ? null
    : state.failure.retryAt

/**
 * Exponential from the minimum, doubling, up to the maximum; the upper half of it random, so that clients which
 * lost a server together do not come back together ("equal jitter", Brooker, "Exponential Backoff and Jitter", 2015).
 */
export const backoffMs = (kind: FailureKind, count: number, jitter: number, settings: Settings): number => {
  if (kind === "final") return Number.POSITIVE_INFINITY
  const min = kind === "retryable" ? settings.retryMsMin : settings.unauthorizedRetryMsMin
  const max = kind === "retryable" ? settings.retryMsMax : settings.unauthorizedRetryMsMax
  const full = Math.min(max, min * 2 ** Math.min(count, 30))
  // Whole milliseconds: timers cut fractions, and a timer that fires early finds nothing due.
  return Math.min(max, Math.ceil(Math.max(min, (full / 2) * (1 + jitter))))
}

const run: Decision = { _tag: "Run" }
const rest: Decision = { _tag: "Rest" }

const dueAt = (state: State, settings: Settings): number | null => {
  if (state.failure !== null) {
    return state.failure.retryAt === Number.POSITIVE_INFINITY ? null : state.failure.retryAt
  }
  // A device may wrongly say that it is offline; a slow attempt now and then finds out.
  if (state.wantedAt === null || state.deviceOnline) return state.wantedAt
  return state.wantedAt + settings.retryMsMax
}

/** When to look again, if nothing else asks for it; null without polling. */
const nextPoll = (nowMs: number, { livePollMs, pollMs }: Settings, live = false): number | null =>
  pollMs > 0 ? nowMs + (live ? Math.max(pollMs, livePollMs) : pollMs) : null

const cut = (failure: Failure, atMs: number): Failure =>
  failure.kind === "retryable"
    ? { ...failure, retryAt: Math.min(failure.retryAt, Math.max(atMs, failure.notBefore)) }
    : failure

const earlier = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.min(a, b)

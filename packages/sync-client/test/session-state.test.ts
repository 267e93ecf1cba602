/** The session's decisions, by their numbered promises (S1 to S7 in SessionState.ts). */
import { SessionState } from "@synchrotron/sync-client"
import fc from "fast-check"
import { describe, expect, it } from "vitest"

const { backoffMs, decide, initial, settings, step } = SessionState
type State = SessionState.State
type Event = SessionState.Event

const start = (fields: Partial<State> = {}): State => ({
  ...initial({ paused: false, deviceOnline: true, nowMs: 0 }),
  ...fields
})

const outside = fc.constantFrom<Event>(
  { _tag: "Commit" },
  { _tag: "Sync" },
  { _tag: "Online" },
  { _tag: "Offline" },
  { _tag: "Pause" },
  { _tag: "Resume" },
  { _tag: "Live" },
  { _tag: "Quiet" }
)
const ending: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ _tag: fc.constant("Done" as const), more: fc.boolean() }),
  fc.record({
    _tag: fc.constant("Failed" as const),
    kind: fc.constantFrom("retryable" as const, "unauthorized" as const, "final" as const),
    retryAfterMs: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
    jitter: fc.double({ min: 0, max: 0.999, noNaN: true })
  }),
  fc.constant<Event>({ _tag: "Abandon" })
)
const moment = fc.record({
  afterMs: fc.integer({ min: 0, max: 40_000 }),
  event: fc.oneof({ weight: 3, arbitrary: outside }, { weight: 2, arbitrary: ending })
})

interface Attempt {
  readonly atMs: number
  readonly asked: boolean
  /** The failure that it comes after. */
  readonly after: State["failure"]
  readonly failedAtMs: number
}

/** Drives the machine as the session does: runs when told to, ends runs only when one is under way. */
const drive = (moments: ReadonlyArray<{ readonly afterMs: number; readonly event: Event }>) => {
  let nowMs = 0
  let state = start()
  let failedAtMs = Number.NEGATIVE_INFINITY
  let retryAfterMs = 0
  const attempts: Array<Attempt & { readonly retryAfterMs: number }> = []
  const waits: Array<{ readonly state: State; readonly waitMs: number; readonly retryAfterMs: number }> = []
  const settle = () => {
    const decision = decide(state, nowMs, settings)
    if (decision._tag === "Run") {
      expect(state.running, "S1").toBe(false)
      expect(state.paused, "S2").toBe(false)
      attempts.push({ atMs: nowMs, asked: state.urgent, after: state.failure, failedAtMs, retryAfterMs })
      state = step(state, { _tag: "Begin" }, nowMs, settings)
    } else if (decision._tag === "Wait") {
      waits.push({ state, waitMs: decision.untilMs - nowMs, retryAfterMs })
    }
    return decision
  }
  for (const { afterMs, event } of moments) {
    // What falls due before the event happens first.
    const untilMs = nowMs + afterMs
    for (
      let decision = settle();
      decision._tag === "Wait" && decision.untilMs <= untilMs;
      decision = settle()
    ) {
      nowMs = decision.untilMs
    }
    nowMs = untilMs
    const ends = event._tag === "Done" || event._tag === "Failed" || event._tag === "Abandon"
    if (ends && !state.running) continue
    if (event._tag === "Failed") {
      failedAtMs = nowMs
      retryAfterMs = event.retryAfterMs ?? 0
    }
    state = step(state, event, nowMs, settings)
    if (event._tag === "Commit" || event._tag === "Sync") {
      // S7: unless it is paused or has stopped, a run is due, or due when the one under way has ended.
      const decision = decide({ ...state, running: false }, nowMs, settings)
      const blocked = state.paused || (event._tag === "Commit" && state.failure?.kind === "final")
      if (!blocked) expect(decision._tag, "S7").not.toBe("Rest")
    }
    settle()
  }
  return { attempts, waits }
}

describe("SessionState", () => {
  it("keeps S1 to S7 in any order of events", () => {
    fc.assert(
      fc.property(fc.array(moment, { maxLength: 60 }), (moments) => {
        const { attempts, waits } = drive(moments)
        for (const { after, asked, atMs, failedAtMs, retryAfterMs } of attempts) {
          if (after === null || asked) continue
          expect(after.kind, "S5").not.toBe("final")
          expect(atMs - failedAtMs, "S3").toBeGreaterThanOrEqual(settings.retryMsMin)
          expect(atMs - failedAtMs, "S4").toBeGreaterThanOrEqual(retryAfterMs)
        }
        for (const { retryAfterMs, state, waitMs } of waits) {
          const longest =
            state.failure === null
              ? (state.live ? settings.livePollMs : settings.pollMs) +
                (state.deviceOnline ? 0 : settings.retryMsMax)
              : state.failure.kind === "retryable"
                ? settings.retryMsMax
                : settings.unauthorizedRetryMsMax
          expect(waitMs, "S6").toBeLessThanOrEqual(Math.max(longest, retryAfterMs))
        }
      }),
      { numRuns: 2000 }
    )
  })

  it("backs off between the minimum and the maximum, longer and longer, and spreads", () => {
    for (const kind of ["retryable", "unauthorized"] as const) {
      let last = 0
      for (let count = 1; count < 40; count++) {
        const longest = backoffMs(kind, count, 0.999999, settings)
        expect(longest).toBeGreaterThanOrEqual(last)
        expect(backoffMs(kind, count, 0, settings)).toBeLessThan(longest)
        last = longest
      }
    }
    expect(backoffMs("retryable", 1, 0, settings)).toBe(settings.retryMsMin)
    expect(backoffMs("retryable", 100, 0.999999, settings)).toBeLessThanOrEqual(settings.retryMsMax)
    expect(backoffMs("final", 1, 0, settings)).toBe(Number.POSITIVE_INFINITY)
  })

  it("lets a commit cut a wait, but not the server's", () => {
    const failed = (retryAfterMs: number | undefined) => {
      let state = start({ running: true, wantedAt: null })
      for (let i = 0; i < 6; i++) {
        state = step(state, { _tag: "Failed", kind: "retryable", retryAfterMs, jitter: 0.5 }, 0, settings)
      }
      return state
    }
    const commit: Event = { _tag: "Commit" }
    expect(decide(failed(undefined), 0, settings)).toMatchObject({ _tag: "Wait", untilMs: 22_500 })
    const cut = step(failed(undefined), commit, 2000, settings)
    expect(decide(cut, 2000, settings)).toEqual({ _tag: "Wait", untilMs: 2000 + settings.commitDebounceMs })
    const held = step(failed(60_000), commit, 2000, settings)
    expect(decide(held, 2000, settings)).toEqual({ _tag: "Wait", untilMs: 60_000 })
    expect(decide(step(held, { _tag: "Sync" }, 2000, settings), 2000, settings)._tag).toBe("Run")
  })

  it("S7: what was committed during a run is sent after it", () => {
    const running = start({ running: true, wantedAt: null })
    const committed = step(running, { _tag: "Commit" }, 10, settings)
    const after = step(committed, { _tag: "Done", more: false }, 100, { ...settings, pollMs: 0 })
    expect(decide(after, 100, settings)._tag).toBe("Run")
    const failed = step(committed, { _tag: "Failed", kind: "retryable", jitter: 0 }, 100, settings)
    expect(decide(failed, 100, settings)).toEqual({ _tag: "Wait", untilMs: 100 + settings.retryMsMin })
  })

  it("polls, unless told not to", () => {
    const done = (pollMs: number) =>
      step(start({ running: true, wantedAt: null }), { _tag: "Done", more: false }, 100, {
        ...settings,
        pollMs
      })
    expect(decide(done(5000), 100, settings)).toEqual({ _tag: "Wait", untilMs: 5100 })
    expect(decide(done(0), 100, settings)).toEqual({ _tag: "Rest" })
  })
})

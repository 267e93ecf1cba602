/**
 * Hybrid logical clock: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks and Consistent
 * Snapshots in Globally Distributed Databases", 2014.
 *
 *     0199c2f4a1b0-0003-6f1c…e2
 *     |            |    '------ node: the client id, breaks ties
 *     |            '----------- counter: events within one millisecond, 4 hexadecimal digits
 *     '------------------------ milliseconds since 1970, 12 hexadecimal digits
 *
 * The text form has a fixed width up to the node and uses ASCII only, so `<` on JavaScript strings and `<` under
 * `COLLATE "C"` in SQL are the same total order: lexicographic over (milliseconds, counter, node).
 *
 * | failure            | when                                                | recovery                              |
 * |--------------------|-----------------------------------------------------|---------------------------------------|
 * | `HlcDriftError`    | a stamp is ahead of the wall clock beyond the bound | set the clock, or stamp again         |
 * | `HlcRangeError`    | milliseconds leave 48 bits (year 10889)             | set the clock                         |
 * | parse failure      | the text is not an HLC                              | refuse the message                    |
 *
 * The counter cannot overflow: at 65,535 it carries into the milliseconds, which the drift bound limits.
 */
import { Either, Schema } from "effect"
import type { ClientId } from "./Ids.ts"

const pattern = /^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A stamp in its text form. Compare stamps with {@link compare}, or with `<` on the strings. */
export const Hlc = Schema.String.pipe(Schema.pattern(pattern), Schema.brand("Hlc"))
export type Hlc = typeof Hlc.Type

/** Largest milliseconds that fit: 48 bits. */
export const msMax = 2 ** 48 - 1
/** Largest counter that fits: 16 bits. */
export const counterMax = 0xffff
/** How far a stamp may be ahead of the wall clock, unless configured otherwise: five minutes. */
export const driftMsMaxDefault = 5 * 60_000

/** The stamp is ahead of the wall clock by more than the bound: one of the two clocks is wrong. */
export class HlcDriftError extends Schema.TaggedError<HlcDriftError>()("HlcDriftError", {
  hlc: Hlc,
  wallMs: Schema.Number,
  driftMsMax: Schema.Number
}) {
  override get message() {
    const aheadMs = parts(this.hlc).ms - this.wallMs
    return `The stamp ${this.hlc} is ${aheadMs} ms ahead of the clock, and at most ${this.driftMsMax} ms are allowed. Set this device's clock.`
  }
}

/** The milliseconds of a stamp do not fit into 48 bits. */
export class HlcRangeError extends Schema.TaggedError<HlcRangeError>()("HlcRangeError", {
  ms: Schema.Number
}) {
  override get message() {
    return `${this.ms} is not a time in milliseconds that a stamp can hold (0 to ${msMax}). Set this device's clock.`
  }
}

/** What a clock remembers between stamps: the last milliseconds and counter that it gave or saw. */
export interface ClockState {
  readonly ms: number
  readonly counter: number
}

export const clockZero: ClockState = { ms: 0, counter: 0 }

/** Joins the three parts. Milliseconds and counter must be integers in range. */
export const make = (state: ClockState, node: ClientId): Hlc =>
  `${state.ms.toString(16).padStart(12, "0")}-${state.counter.toString(16).padStart(4, "0")}-${node}` as Hlc

/** Splits a stamp into milliseconds, counter and node. */
export const parts = (hlc: Hlc): ClockState & { readonly node: ClientId } => ({
  ms: Number.parseInt(hlc.slice(0, 12), 16),
  counter: Number.parseInt(hlc.slice(13, 17), 16),
  node: hlc.slice(18) as ClientId
})

/** Total order: negative when `a` is before `b`, 0 only for the same stamp. */
export const compare = (a: Hlc, b: Hlc): -1 | 0 | 1 => (a < b ? -1 : a > b ? 1 : 0)

/** The smallest state after `state`; the counter carries into the milliseconds. */
export const successor = (state: ClockState): ClockState =>
  state.counter < counterMax ? { ms: state.ms, counter: state.counter + 1 } : { ms: state.ms + 1, counter: 0 }

/**
 * The next state for a local event: the wall clock when it is ahead, else the successor of the last state.
 * `wallMs` is in milliseconds since 1970 and may jump in both directions; the result never goes back.
 */
export const tick = (state: ClockState, wallMs: number): Either.Either<ClockState, HlcRangeError> => {
  const now = Math.floor(wallMs)
  const next = now > state.ms ? { ms: now, counter: 0 } : successor(state)
  return next.ms >= 0 && next.ms <= msMax
    ? Either.right(next)
    : Either.left(new HlcRangeError({ ms: next.ms }))
}

/** The state after a stamp was seen: whatever comes next orders after it. */
export const witness = (state: ClockState, hlc: Hlc): ClockState => latest(state, parts(hlc))

/** The later of two states. */
export const latest = (a: ClockState, b: ClockState): ClockState =>
  b.ms > a.ms || (b.ms === a.ms && b.counter > a.counter) ? { ms: b.ms, counter: b.counter } : a

/** Refuses a stamp that is ahead of `wallMs` by more than `driftMsMax` milliseconds. */
export const checkDrift = (
  hlc: Hlc,
  wallMs: number,
  driftMsMax: number = driftMsMaxDefault
): Either.Either<Hlc, HlcDriftError> =>
  parts(hlc).ms - wallMs > driftMsMax
    ? Either.left(new HlcDriftError({ hlc, wallMs, driftMsMax }))
    : Either.right(hlc)

/**
 * How far the server's clock is ahead, in milliseconds, after one more answer (Cristian, "Probabilistic clock
 * synchronization", 1989). The server read its clock at some moment between request and answer. An offset that agrees with any such moment is
 * kept, for a slow answer says nothing against it; another one gives way to the middle of what is possible.
 */
export const offsetAfter = (
  offsetMs: number,
  serverTimeMs: number,
  sentMs: number,
  receivedMs: number
): number =>
  offsetMs >= serverTimeMs - receivedMs && offsetMs <= serverTimeMs - sentMs
    ? offsetMs
    : Math.round(serverTimeMs - (sentMs + receivedMs) / 2)

/** What the code of an action finds around it in its process besides its arguments, and must not look at. */
import * as Random from "../Random.ts"

export interface Surroundings {
  /** Where `Date` and `performance.now` stand, in milliseconds since 1970. */
  readonly nowMs: number
  /** Seeds `Math.random` and the random bytes and UUIDs of `crypto`. */
  readonly chance: string
  /** The time zone of `Date`; the process' own when undefined. */
  readonly timeZone: string | undefined
}

/** After so long the clock goes on, so that whoever waits for a time to come is not there for ever. */
const standstillMs = 1_000

/**
 * Runs something while the process looks like this, then puts everything back. One at a time, since a process has one
 * clock; whatever else runs in it meanwhile sees the same. A worker thread cannot change its time zone.
 */
export const within = <A>(surroundings: Surroundings, run: () => Promise<A>): Promise<A> => {
  const done = turn.then(async () => {
    const restore = install(surroundings)
    try {
      return await run()
    } finally {
      for (const undo of restore.reverse()) undo()
    }
  })
  turn = done.catch(() => {})
  return done
}

let turn: Promise<unknown> = Promise.resolve()

const install = ({ chance, nowMs, timeZone }: Surroundings): Array<() => void> => {
  const elapsedMs = performance.now.bind(performance)
  const beganMs = elapsedMs()
  const now = () => Math.floor(nowMs + Math.max(0, elapsedMs() - beganMs - standstillMs))
  const random = Random.make("surroundings", chance)
  const bytes = <Bytes extends ArrayBufferView>(array: Bytes): Bytes => {
    const view = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    for (let i = 0; i < view.length; i++) view[i] = random.int(256)
    return array
  }
  return [
    replace(globalThis, "Date", dateAt(now)),
    replace(performance, "now", () => now() - performance.timeOrigin),
    replace(Math, "random", random.next),
    replace(crypto, "getRandomValues", bytes),
    replace(crypto, "randomUUID", () => uuidOf(bytes(new Uint8Array(16)))),
    ...(timeZone === undefined ? [] : [replaceTimeZone(timeZone)])
  ]
}

/** PGlite asks it too, so the clock of SQL goes with that of the code. */
const dateAt = (now: () => number): DateConstructor =>
  new Proxy(Date, {
    construct: (target, args, self) => Reflect.construct(target, args.length === 0 ? [now()] : args, self),
    apply: (target) => new target(now()).toString(),
    get: (target, name, receiver) => (name === "now" ? now : Reflect.get(target, name, receiver))
  })

const uuidOf = (bytes: Uint8Array): string => {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

const replace = (target: object, name: string, value: unknown): (() => void) => {
  const known = Object.getOwnPropertyDescriptor(target, name)
  Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: false })
  return () => {
    if (known === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, known)
  }
}

const replaceTimeZone = (timeZone: string): (() => void) => {
  const known = process.env.TZ
  process.env.TZ = timeZone
  return () => {
    if (known === undefined) delete process.env.TZ
    else process.env.TZ = known
  }
}

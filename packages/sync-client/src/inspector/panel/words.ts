/** Numbers and states as people read them. */
import { Hlc } from "@synchrotron/sync-core"
import type { RecordState, RecordSummary, Round, Snapshot } from "../Snapshot.ts"

/** A state is a sign and a word besides its colour. */
export const states: Readonly<
  Record<RecordState, { readonly sign: string; readonly word: string; readonly meaning: string }>
> = {
  pending: { sign: "◌", word: "pending", meaning: "not judged by the authority yet" },
  confirmed: { sign: "✓", word: "confirmed", meaning: "in the canonical order" },
  changed: {
    sign: "≈",
    word: "changed",
    meaning: "in the canonical order; the authority's patches are others than this client's"
  },
  rejected: { sign: "✕", word: "rejected", meaning: "refused by the authority, and undone here" },
  voided: {
    sign: "⊘",
    word: "voided",
    meaning: "was confirmed, and fails since a late arrival came before it"
  }
}

const two = (n: number, digits = 2): string => String(n).padStart(digits, "0")

/** Of the day, by the device's time zone, to the millisecond. */
export const timeOf = (ms: number): string => {
  const date = new Date(ms)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`
}

export const dateTimeOf = (ms: number): string => {
  const date = new Date(ms)
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${timeOf(ms)}`
}

export const durationOf = (ms: number | null): string =>
  ms === null ? "–" : ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`

export const bytesOf = (bytes: number | null): string =>
  bytes === null
    ? "–"
    : bytes < 1000
      ? `${bytes} B`
      : bytes < 1_000_000
        ? `${(bytes / 1000).toFixed(1)} kB`
        : bytes < 1_000_000_000
          ? `${(bytes / 1_000_000).toFixed(1)} MB`
          : `${(bytes / 1_000_000_000).toFixed(1)} GB`

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`

/** Milliseconds and, where it is not zero, the counter. */
export const stampOf = (hlc: Hlc.Hlc): string => {
  const { counter, ms } = Hlc.parts(hlc)
  return counter === 0 ? timeOf(ms) : `${timeOf(ms)}+${counter}`
}

export const nodeOf = (hlc: Hlc.Hlc, clientId: Snapshot["clientId"]): string => {
  const { node } = Hlc.parts(hlc)
  return node === clientId ? `${node} (this client)` : node
}

export const verdictsOf = ({ verdicts }: Round): string =>
  Object.entries(verdicts)
    .filter(([, n]) => n > 0)
    .map(([verdict, n]) => `${n} ${verdict}`)
    .join(", ") || "–"

export const resultOf = ({ error, state }: Round): string =>
  error !== null
    ? `✕ ${error.tag}`
    : state === "running"
      ? "◌ under way"
      : state === "abandoned"
        ? "⊘ abandoned"
        : "✓ done"

export const jsonOf = (value: unknown): string => JSON.stringify(value, null, 2) ?? "undefined"

/** Where one can step back to, the oldest first; null is the common ancestor. */
export const placesOf = (snapshot: Snapshot): ReadonlyArray<RecordSummary | null> => [
  null,
  ...snapshot.records.filter(({ steppable }) => steppable)
]

/** How far one can step back, said honestly. */
export const reachOf = (snapshot: Snapshot): string => {
  const [, oldest] = placesOf(snapshot)
  return oldest === undefined || oldest === null
    ? "Nothing is pending: the tables are the confirmed state, and the database does not know what was before."
    : `One can step back to the common ancestor, before ${oldest.name} of ${stampOf(oldest.hlc)}. What was before it is not kept on this device.`
}

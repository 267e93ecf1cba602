/** A seeded generator: the same seed gives the same numbers on every machine and in every run. */

export interface Random {
  /** The next number in [0, 1). */
  readonly next: () => number
  /** An integer from 0 up to, not including, `end`. */
  readonly int: (end: number) => number
  /** True with this probability. */
  readonly chance: (probability: number) => boolean
  /** One of the items. */
  readonly pick: <A>(items: ReadonlyArray<A>) => A
}

/** Mulberry32 (Tommy Ettinger, 2017), seeded with a hash of all parts, so that streams do not depend on each other. */
export const make = (...parts: ReadonlyArray<string | number>): Random => {
  let state = hash(parts.join("\u0000"))
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    int: (end) => Math.floor(next() * end),
    chance: (probability) => next() < probability,
    pick: (items) => {
      if (items.length === 0) throw new Error("Random.pick: there is nothing to pick from.")
      return items[Math.floor(next() * items.length)]!
    }
  }
}

/** FNV-1a, 32 bits, with the finalizer of MurmurHash3, so that near seeds give far streams. */
const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

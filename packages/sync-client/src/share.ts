/** Structural sharing: what did not change keeps its identity, so that a view draws only what did. */

type Row = Readonly<Record<string, unknown>>

/**
 * The rows of `next`, with each row that also was in `previous` replaced by the one of there; `previous` itself
 * when all rows are the same. Rows are told apart by their values, so no key has to be declared.
 * O(values) in time; only rows between the first and the last difference are hashed.
 */
export const shareRows = <A extends Row>(
  previous: ReadonlyArray<A>,
  next: ReadonlyArray<A>
): ReadonlyArray<A> => {
  const shortest = Math.min(previous.length, next.length)
  let head = 0
  while (head < shortest && same(previous[head], next[head])) head++
  if (head === previous.length && head === next.length) return previous
  let tail = 0
  while (tail < shortest - head && same(previous.at(-1 - tail), next.at(-1 - tail))) tail++

  const unused = new Map<string, Array<A>>()
  for (const row of previous.slice(head, previous.length - tail)) {
    const key = textOf(row)
    const rows = unused.get(key)
    if (rows === undefined) unused.set(key, [row])
    else rows.push(row)
  }
  const middle = next.slice(head, next.length - tail).map((row) => unused.get(textOf(row))?.shift() ?? row)
  return [...previous.slice(0, head), ...middle, ...previous.slice(previous.length - tail)]
}

/** Deep equality of values as the driver gives them: JSON values, bigint, Date, bytes. */
export const same = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (a instanceof Date || b instanceof Date) {
    return a instanceof Date && b instanceof Date && Object.is(a.getTime(), b.getTime())
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false
  if (a instanceof Uint8Array !== b instanceof Uint8Array) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same((a as Row)[key], (b as Row)[key]))
  )
}

/** A text that is the same for equal values (of rows of one query) and for no others. */
export const textOf = (value: unknown): string => JSON.stringify(value, tagged)

/** JSON has neither bigint nor bytes nor NaN; a Date arrives here as its text and stands in no column of strings. */
const tagged = (_key: string, value: unknown): unknown => {
  if (typeof value === "bigint") return { $bigint: String(value) }
  if (value instanceof Uint8Array) return { $bytes: Array.from(value) }
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    return { $number: Object.is(value, -0) ? "-0" : String(value) }
  }
  return value
}

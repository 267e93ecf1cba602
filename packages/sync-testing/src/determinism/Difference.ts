/** Compares two executions of one record. */
import type { Protocol } from "@synchrotron/sync-core"

/** One row's net change, images with the text forms of the columns. */
export interface NetChange {
  readonly table: string
  readonly key: string
  readonly before: Protocol.Image | null
  readonly after: Protocol.Image | null
}

/** What an execution did: which rows it left how, or why it failed. */
export type Effects =
  | { readonly _tag: "changed"; readonly rows: ReadonlyArray<NetChange> }
  | { readonly _tag: "failed"; readonly message: string }

/** `first` is the execution that the other is compared with. Values are in Postgres' text form, null for NULL. */
export type Difference =
  /** A column of a row that both left behind. */
  | {
      readonly _tag: "column"
      readonly table: string
      readonly key: string
      readonly column: string
      readonly first: string | null
      readonly second: string | null
    }
  /** A row that only one of them left behind; the other is null. */
  | {
      readonly _tag: "row"
      readonly table: string
      readonly key: string
      readonly first: Protocol.Image | null
      readonly second: Protocol.Image | null
    }
  /** Only one of them failed; null for the one that did not. */
  | { readonly _tag: "failure"; readonly first: string | null; readonly second: string | null }

/** None when both did the same. Two that failed did the same: nothing. */
export const compare = (first: Effects, second: Effects): ReadonlyArray<Difference> => {
  if (first._tag === "failed" || second._tag === "failed") {
    if (first._tag === second._tag) return []
    const message = (effects: Effects) => (effects._tag === "failed" ? effects.message : null)
    return [{ _tag: "failure", first: message(first), second: message(second) }]
  }
  const [rows, others] = [byName(first.rows), byName(second.rows)]
  return [...new Set([...rows.keys(), ...others.keys()])].sort().flatMap((name) => {
    const [a, b] = [rows.get(name), others.get(name)]
    const { key, table } = (a ?? b)!
    // Whoever did not touch the row left it as the other found it.
    const left = a === undefined ? b!.before : a.after
    const otherLeft = b === undefined ? a!.before : b.after
    return compareRows({ table, key }, left, otherLeft)
  })
}

const byName = (rows: ReadonlyArray<NetChange>): ReadonlyMap<string, NetChange> =>
  new Map(rows.map((row) => [`${row.table} ${row.key}`, row]))

const compareRows = (
  row: { readonly table: string; readonly key: string },
  first: Protocol.Image | null,
  second: Protocol.Image | null
): ReadonlyArray<Difference> => {
  if (first === null || second === null)
    return first === second ? [] : [{ _tag: "row", ...row, first, second }]
  return Object.keys(first).flatMap((column): ReadonlyArray<Difference> => {
    const [value, other] = [first[column] ?? null, second[column] ?? null]
    return value === other ? [] : [{ _tag: "column", ...row, column, first: value, second: other }]
  })
}

/** A line for people: where, what the first did, and what the other. */
export const describe = (difference: Difference): string => {
  switch (difference._tag) {
    case "column":
      return `${difference.table} ${difference.key} ${difference.column}: ${valueOf(difference.first)} and ${valueOf(difference.second)}`
    case "row":
      return `${difference.table} ${difference.key}: ${rowOf(difference.first)} and ${rowOf(difference.second)}`
    case "failure":
      return `${difference.first === null ? "done" : `failed (${difference.first})`} and ${difference.second === null ? "done" : `failed (${difference.second})`}`
  }
}

const valueOf = (value: string | null) => (value === null ? "NULL" : clip(JSON.stringify(value)))

const rowOf = (row: Protocol.Image | null) => (row === null ? "no row" : clip(JSON.stringify(row)))

const clip = (text: string) => (text.length > 200 ? `${text.slice(0, 200)}…` : text)

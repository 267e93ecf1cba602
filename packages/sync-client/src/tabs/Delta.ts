/** How rows became other rows, for another process that has the first ones. Rows are told apart by identity. */

// biome-ignore lint/suspicious/noExplicitAny: rows have the type that the caller declares
export type Row = any

/** In order: rows from `from` up to, and without, `to` of those before, or new ones. */
export type Delta<A> = ReadonlyArray<
  { readonly from: number; readonly to: number } | { readonly rows: ReadonlyArray<A> }
>

/** O(rows) in time, and as large as what is new. */
export const delta = <A>(before: ReadonlyArray<A>, after: ReadonlyArray<A>): Delta<A> => {
  const places = new Map<A, number>(before.map((row, place) => [row, place]))
  const parts: Array<{ from: number; to: number } | { rows: Array<A> }> = []
  for (const row of after) {
    const place = places.get(row)
    const last = parts.at(-1)
    if (place === undefined) {
      if (last !== undefined && "rows" in last) last.rows.push(row)
      else parts.push({ rows: [row] })
    } else if (last !== undefined && "to" in last && last.to === place) last.to++
    else parts.push({ from: place, to: place + 1 })
  }
  return parts
}

/** The rows after `delta`, those that stay being the same objects. */
export const patch = <A>(before: ReadonlyArray<A>, delta: Delta<A>): ReadonlyArray<A> =>
  delta.flatMap((part) => ("rows" in part ? part.rows : before.slice(part.from, part.to)))

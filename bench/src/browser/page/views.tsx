/** What the tabs show, and when they showed it. */
import { useLiveQuery } from "@synchrotron/sync-client/react"
import { memo, useLayoutEffect, useState } from "react"
import { listSql, lists, rowSql, tables } from "../app.ts"

export interface Item {
  readonly id: string
  readonly title: string
  readonly n: number
}

/** What React has committed, for whoever measures. */
export const shown = {
  /** Milliseconds since the navigation began; null until there were rows. */
  firstMs: null as number | null,
  renders: 0,
  onRows: (_rows: ReadonlyArray<Item>): void => {},
  onInput: (_event: { readonly timeStamp: number }): void => {}
}

const Row = memo(({ item }: { readonly item: Item }) => (
  <li>
    {item.title}: {item.n}
  </li>
))

export const Items = ({ rows }: { readonly rows: ReadonlyArray<Item> }) => {
  useLayoutEffect(() => {
    if (rows.length === 0) return
    shown.firstMs ??= performance.now()
    shown.renders++
    shown.onRows(rows)
  })
  return (
    <ul>
      {rows.map((item) => (
        <Row key={item.id} item={item} />
      ))}
    </ul>
  )
}

export const List = () => {
  const { rows } = useLiveQuery<Item>(listSql, [0])
  return <Items rows={rows} />
}

const Query = memo(({ params, sql }: { readonly sql: string; readonly params: ReadonlyArray<unknown> }) => {
  const { rows } = useLiveQuery<Item>(sql, params)
  // As a virtual list: what does not fit on the screen is not drawn.
  return <Items rows={rows.slice(0, 20)} />
})

const sumSql = (table: string) =>
  `SELECT 'sum' AS id, count(*)::text AS title, sum(n)::integer AS n FROM ${table} WHERE list < $1`
const likeSql = (table: string) =>
  `SELECT id, title, n FROM ${table} WHERE title LIKE $1 ORDER BY title LIMIT 50`
const allSql = "SELECT id, title, n FROM items ORDER BY id"

/** A hundred queries: a list, a sum, a search or a row each; of items, which change, the fifth, and one reads all of them. */
export const manyQueries = Array.from({ length: 100 }, (_, i) => {
  const table = i % 5 === 0 ? "items" : tables[1 + (i % 3)]!
  if (i === 0) return { sql: allSql, params: [] }
  const kind = Math.floor(i / 5) % 4
  if (kind === 0) return { sql: sumSql(table), params: [i % lists] }
  if (kind === 1) return { sql: likeSql(table), params: [`%${i}`] }
  if (kind === 2) return { sql: rowSql.replace("items", table), params: [`row${i}`] }
  return { sql: listSql.replace("items", table), params: [i % lists] }
})

const Input = () => {
  const [text, setText] = useState("")
  return (
    <input
      aria-label="Note"
      value={text}
      onChange={(event) => {
        setText(event.target.value)
        shown.onInput(event.nativeEvent)
      }}
    />
  )
}

export const Many = () => (
  <>
    <Input />
    {manyQueries.map(({ params, sql }) => (
      <Query key={`${sql} ${params}`} sql={sql} params={params} />
    ))}
  </>
)

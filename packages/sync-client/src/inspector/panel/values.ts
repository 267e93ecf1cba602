/** Patches and rows as tables. */
import type { Protocol } from "@synchrotron/sync-core"
import { h, scrolling } from "./dom.ts"

type Image = Protocol.Patch["before"]

/** Rows of a change: columns that differ, or all of a row that came or went. */
export const columnsOf = (
  before: Image,
  after: Image
): ReadonlyArray<
  readonly [column: string, before: string | null | undefined, after: string | null | undefined]
> =>
  [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
    .filter((column) => before === null || after === null || before[column] !== after[column])
    .map((column) => [column, before?.[column], after?.[column]])

const verbOf = (before: Image, after: Image): string =>
  before === null ? "insert" : after === null ? "delete" : "update"

/** Without the brackets of a key of one column. */
const keyText = (key: string): string => {
  const parts = JSON.parse(key) as ReadonlyArray<string>
  return parts.length === 1 ? String(parts[0]) : key
}

const tableName = (table: string): string => table.replace(/^public\./, "")

/** A cell: what is not there at all is a dash, NULL is a word. */
export const cell = (value: string | null | undefined, tag: "del" | "ins" | "span" = "span"): HTMLElement =>
  value === undefined
    ? h("td", { class: "value muted" }, "–")
    : value === null
      ? h("td", { class: "value null" }, "NULL")
      : h("td", { class: "value" }, h(tag, {}, value))

/** @param words heads of the two columns */
export const changeTable = (
  { after, before, key, table }: Pick<Protocol.Patch, "table" | "key" | "before" | "after">,
  words: { readonly since?: string; readonly before: string; readonly after: string }
): HTMLElement => {
  const row = `${tableName(table)} ${keyText(key)}`
  const title = words.since === undefined ? `${verbOf(before, after)} ${row}` : `${row}: ${words.since}`
  return scrolling(
    title,
    h(
      "table",
      {},
      h("caption", {}, title),
      h(
        "thead",
        {},
        h("tr", {}, ...["Column", words.before, words.after].map((text) => h("th", { scope: "col" }, text)))
      ),
      h(
        "tbody",
        {},
        columnsOf(before, after).map(([column, was, is]) =>
          h("tr", {}, h("th", { scope: "row" }, column), cell(was, "del"), cell(is, "ins"))
        )
      )
    )
  )
}

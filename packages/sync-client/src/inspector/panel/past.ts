/** The tables as they were. */
import type { Inspect, RecordId } from "@synchrotron/sync-core"
import type { Inspector } from "../inspector.ts"
import type { Snapshot } from "../Snapshot.ts"
import { h, scrolling } from "./dom.ts"
import { cell, changeTable } from "./values.ts"
import { count, placesOf, stampOf } from "./words.ts"

export const pastView = (
  inspected: Inspector,
  { close, fail }: { readonly close: () => void; readonly fail: (error: unknown) => void }
) => {
  const root = h("section", { class: "pane", "aria-label": "The tables as they were", tabindex: 0 })
  let asked = 0

  const show = async (to: RecordId | null, focus?: string): Promise<void> => {
    const ask = ++asked
    try {
      const past = await inspected.stepBack(to)
      if (ask !== asked) return
      const { snapshot } = inspected.get()
      root.replaceChildren(...(snapshot === null ? [] : draw(past, snapshot)))
      root.scrollTop = 0
      root
        .querySelector<HTMLElement>(focus === undefined ? "h2" : `[data-action="${focus}"]:enabled, h2`)
        ?.focus()
    } catch (error) {
      if (ask === asked) fail(error)
    }
  }

  const draw = (past: Inspect.StepBack, snapshot: Snapshot): ReadonlyArray<HTMLElement> => {
    const places = placesOf(snapshot)
    const at = places.findIndex((place) => (place?.id ?? null) === past.to)
    const record = places[at] ?? null
    const older = at > 0 ? places[at - 1] : undefined
    const newer = at >= 0 ? places[at + 1] : undefined
    const step = (name: string, action: string, place: typeof record | undefined) =>
      h(
        "button",
        {
          type: "button",
          "data-action": action,
          disabled: place === undefined,
          click: () => void show(place?.id ?? null, action)
        },
        name
      )
    const differing = new Map(past.changes.map((change) => [`${change.table} ${change.key}`, change]))
    return [
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", class: "main", "data-action": "now", click: close }, "Back to now"),
        step("← Older", "older", older),
        step("Newer →", "newer", newer)
      ),
      h(
        "h2",
        { tabindex: -1 },
        record === null
          ? "The tables at the common ancestor"
          : `The tables just after ${record.name} of ${stampOf(record.hlc)}`
      ),
      h(
        "p",
        { class: "muted" },
        record === null
          ? "Before all records that are pending here. The database keeps nothing from before it."
          : "What later records did was undone in a transaction that was rolled back. Nothing was changed, and nobody else saw it."
      ),
      h(
        "h3",
        {},
        `${count(past.changesTotal, "row")} ${past.changesTotal === 1 ? "is" : "are"} different now`
      ),
      ...past.changes.map(({ key, now, table, was }) =>
        changeTable(
          { table: table as never, key: key as never, before: was, after: now },
          {
            since: was === null ? "added since" : now === null ? "removed since" : "changed since",
            before: "Then",
            after: "Now"
          }
        )
      ),
      ...(past.changesTotal > past.changes.length
        ? [h("p", { class: "muted" }, `${past.changesTotal - past.changes.length} more are not shown.`)]
        : []),
      h("h3", {}, "Tables"),
      ...past.tables.map((table) => tableOf(table, differing))
    ]
  }

  return { root, show }
}

const tableOf = (
  { columns, more, name, rows }: Inspect.TableThen,
  differing: ReadonlyMap<string, Inspect.RowChange>
): HTMLElement =>
  scrolling(
    name,
    h(
      "table",
      {},
      h("caption", {}, `${name}: ${more ? `the first ${rows.length} rows` : count(rows.length, "row")}`),
      h(
        "thead",
        {},
        h("tr", {}, h("th", { scope: "col" }, "Now"), ...columns.map((c) => h("th", { scope: "col" }, c)))
      ),
      h(
        "tbody",
        {},
        rows.map(({ cells, key }) => {
          const change = differing.get(`${name} ${key}`)
          return h(
            "tr",
            { class: change === undefined ? null : "differs" },
            h(
              "td",
              { class: "nowrap" },
              change === undefined ? "same" : change.now === null ? "✕ removed" : "≈ changed"
            ),
            ...cells.map((value) => cell(value))
          )
        })
      )
    )
  )

/** The timeline: a list of records, and what is known of the one that is chosen. */
import { Hlc, type RecordId } from "@synchrotron/sync-core"
import type { Inspector } from "../inspector.ts"
import type { RecordDetail, RecordSummary, Snapshot } from "../Snapshot.ts"
import { definitions, h, redraw } from "./dom.ts"
import { changeTable } from "./values.ts"
import { count, dateTimeOf, jsonOf, nodeOf, stampOf, states } from "./words.ts"

export interface Actions {
  /** Runs a command and shows its failure, or says that it was done. */
  readonly run: (doing: Promise<unknown>, done: string) => void
  readonly stepBack: (to: RecordId | null) => void
}

export const recordsView = (inspected: Inspector, { run, stepBack }: Actions) => {
  let snapshot: Snapshot | null = null
  let chosen: RecordId | null = null
  let detail: { readonly key: string; readonly value: RecordDetail | null } | null = null
  const options = new Map<RecordId, { readonly element: HTMLElement; summary: RecordSummary }>()

  const filter = h("input", {
    type: "search",
    placeholder: "Filter: name, state or id",
    "aria-label": "Filter records",
    input: () => drawList()
  })
  const listbox = h("div", {
    role: "listbox",
    tabindex: 0,
    "aria-label": "Records in the order of their stamps",
    keydown: (event: KeyboardEvent) => onKey(event)
  })
  const note = h("p", { class: "empty" })
  const list = h("div", { class: "list" }, h("div", { class: "filter" }, filter), note, listbox)
  const pane = h("section", { class: "pane", "aria-label": "The chosen record", tabindex: 0 })
  const root = h("div", { class: "records", "data-shows": "list" }, list, pane)

  const matches = (record: RecordSummary): boolean => {
    const text = filter.value.trim().toLowerCase()
    return text === "" || `${record.name} ${record.state} ${record.id}`.toLowerCase().includes(text)
  }
  const shown = (): ReadonlyArray<RecordSummary> => snapshot?.records.filter(matches) ?? []
  const chosenRecord = (): RecordSummary | undefined => snapshot?.records.find(({ id }) => id === chosen)

  const choose = (id: RecordId | null) => {
    if (chosen !== null) options.get(chosen)?.element.setAttribute("aria-selected", "false")
    chosen = id
    const option = id === null ? undefined : options.get(id)?.element
    if (option === undefined) listbox.removeAttribute("aria-activedescendant")
    else {
      option.setAttribute("aria-selected", "true")
      listbox.setAttribute("aria-activedescendant", option.id)
      option.scrollIntoView({ block: "nearest" })
    }
    drawPane()
  }

  const onKey = (event: KeyboardEvent) => {
    const records = shown()
    const at = records.findIndex(({ id }) => id === chosen)
    const places: Readonly<Record<string, number>> = {
      ArrowDown: Math.min(records.length - 1, at + 1),
      ArrowUp: at === -1 ? records.length - 1 : Math.max(0, at - 1),
      PageDown: Math.min(records.length - 1, at + 10),
      PageUp: Math.max(0, at - 10),
      Home: 0,
      End: records.length - 1
    }
    const place = places[event.key]
    if (event.key === "Enter" && chosen !== null) {
      root.dataset.shows = "pane"
      pane.focus()
    } else if (place === undefined || records.length === 0) return
    else choose(records[place]!.id)
    event.preventDefault()
  }

  const optionOf = (summary: RecordSummary): HTMLElement => {
    const known = options.get(summary.id)
    if (known !== undefined && same(known.summary, summary)) return known.element
    const { sign, word } = states[summary.state]
    const extras = [
      summary.own ? null : `by ${summary.userId ?? "another client"}`,
      summary.replays > 0 ? `replayed ${summary.replays}×` : null,
      summary.patches === null ? null : count(summary.patches, "patch", "patches")
    ].filter((text) => text !== null)
    const element = h(
      "div",
      {
        role: "option",
        id: `record-${summary.id}`,
        "aria-selected": summary.id === chosen,
        click: () => {
          choose(summary.id)
          root.dataset.shows = "pane"
        }
      },
      h("time", {}, stampOf(summary.hlc)),
      h("span", { class: "name" }, summary.name),
      h("span", { class: "extra" }, extras.join(" · ")),
      h("span", { class: "state", "data-sign": sign, style: `--state: var(--${summary.state})` }, word)
    )
    element.setAttribute("aria-selected", String(summary.id === chosen))
    options.set(summary.id, { element, summary })
    return element
  }

  const drawList = () => {
    if (snapshot === null) return
    const { scrollHeight, scrollTop, clientHeight } = listbox
    const wasAtEnd = scrollHeight - scrollTop - clientHeight < 8
    const records = shown()
    const elements = records.map(optionOf)
    for (const id of options.keys()) if (!snapshot.records.some((one) => one.id === id)) options.delete(id)
    // Only what is out of place is moved.
    for (const [place, element] of elements.entries())
      if (listbox.children[place] !== element) listbox.insertBefore(element, listbox.children[place] ?? null)
    while (listbox.children.length > elements.length) listbox.lastElementChild!.remove()
    listbox.hidden = records.length === 0
    const before = snapshot.recordsBefore
    note.hidden = records.length > 0 && before === 0
    note.textContent =
      records.length > 0
        ? `${count(before, "earlier record")} not shown.`
        : filter.value === ""
          ? "No records yet. They come here when an action is executed."
          : "No record matches the filter."
    if (wasAtEnd) listbox.scrollTop = listbox.scrollHeight
  }

  const drawPane = () => {
    const record = chosenRecord()
    if (snapshot === null || record === undefined) {
      redraw(pane, "none", () =>
        h("p", { class: "muted" }, "Choose a record to see its arguments, its patches and what can be done.")
      )
      root.dataset.shows = "list"
      return
    }
    const key = JSON.stringify(record)
    if (detail?.key !== key) {
      inspected.record(record.id).then(
        (value) => {
          if (chosen !== record.id) return
          detail = { key, value }
          drawPane()
        },
        () => {}
      )
      if (pane.dataset.record === record.id) return
    }
    pane.dataset.record = record.id
    const known = detail?.key === key ? detail : null
    redraw(pane, `${key} ${known !== null}`, () => describe(record, snapshot!, known))
  }

  const describe = (
    record: RecordSummary,
    { clientId }: Snapshot,
    known: { readonly value: RecordDetail | null } | null
  ) => {
    const { error, hlc, id, name, state, version } = record
    const { meaning, sign, word } = states[state]
    const { counter, ms } = Hlc.parts(hlc)
    const refused = state === "rejected" || state === "voided"
    return [
      h(
        "button",
        {
          class: "back plain",
          type: "button",
          "data-action": "list",
          click: () => {
            root.dataset.shows = "list"
            listbox.focus()
          }
        },
        "← All records"
      ),
      h("h2", {}, name, h("span", { class: "muted" }, ` version ${version}`)),
      h(
        "p",
        {},
        h("span", { class: "state", "data-sign": sign, style: `--state: var(--${state})` }, word),
        `: ${meaning}`
      ),
      h(
        "div",
        { class: "actions" },
        h(
          "button",
          {
            type: "button",
            "data-action": "step",
            disabled: !record.steppable,
            click: () => stepBack(id)
          },
          "Step back to here"
        ),
        refused &&
          h(
            "button",
            {
              type: "button",
              "data-action": "retry",
              click: () => {
                run(inspected.retry(id), `${name} was executed again`)
                listbox.focus()
              }
            },
            "Retry"
          ),
        refused &&
          h(
            "button",
            {
              type: "button",
              "data-action": "dismiss",
              click: () => {
                run(inspected.dismiss(id), `${name} was dismissed`)
                listbox.focus()
              }
            },
            "Dismiss"
          ),
        !record.steppable &&
          h(
            "span",
            { class: "muted" },
            refused ? "It is undone." : "What was before it is not kept any more."
          )
      ),
      error === null
        ? null
        : definitions([
            ["Refused as", error.class],
            ["Because", error.message],
            error.detail === undefined ? null : ["Detail", h("pre", {}, jsonOf(error.detail))]
          ]),
      definitions([
        ["Time", `${dateTimeOf(ms)} (${ms})`],
        ["Counter", String(counter)],
        ["Node", h("code", {}, nodeOf(hlc, clientId))],
        ["Record", h("code", {}, id)],
        record.userId === null ? null : ["User", record.userId],
        ["Replayed", count(record.replays, "time")],
        record.judgedAt === null ? null : ["Judged", dateTimeOf(record.judgedAt)]
      ]),
      h("h3", {}, "Arguments"),
      known === null
        ? h("p", { class: "muted" }, "Reading …")
        : known.value?.args == null
          ? h("p", { class: "muted" }, forgotten)
          : h("pre", { tabindex: 0, "aria-label": "Arguments" }, jsonOf(known.value.args.value)),
      h("h3", {}, refused ? "Patches, undone" : "Patches"),
      ...patchesOf(record, known?.value ?? null, known !== null)
    ]
  }

  return {
    root,
    update: (next: Snapshot) => {
      snapshot = next
      drawList()
      drawPane()
    },
    focus: () => listbox.focus()
  }
}

const forgotten = "Not known: the verdict came while nobody inspected, or they may not be seen."

const patchesOf = (
  record: RecordSummary,
  detail: RecordDetail | null,
  read: boolean
): ReadonlyArray<HTMLElement> => {
  if (!read) return [h("p", { class: "muted" }, "Reading …")]
  if (detail?.patches == null) return [h("p", { class: "muted" }, forgotten)]
  if (detail.patches.length === 0)
    return [
      h(
        "p",
        { class: "muted" },
        record.state === "pending"
          ? "None: it has no effect on this device now. It changed nothing, or failed when it was replayed; the authority decides."
          : "None."
      )
    ]
  const rest = detail.patchesTotal - detail.patches.length
  return [
    ...detail.patches.map((patch) => changeTable(patch, { before: "Before", after: "After" })),
    ...(rest > 0 ? [h("p", { class: "muted" }, `${rest} more are not shown.`)] : [])
  ]
}

const same = (a: RecordSummary, b: RecordSummary): boolean =>
  a.state === b.state && a.replays === b.replays && a.patches === b.patches && a.hlc === b.hlc

/** The session's requests, the last one first. */
import type { Round, Snapshot } from "../Snapshot.ts"
import { h, scrolling } from "./dom.ts"
import { bytesOf, count, durationOf, resultOf, timeOf, verdictsOf } from "./words.ts"

const heads = [
  ["Started", ""],
  ["Result", ""],
  ["Answer", "number"],
  ["Applied", "number"],
  ["Sent", "number"],
  ["Verdicts", ""],
  ["Rows", "number"],
  ["Path", ""],
  ["Replayed", "number"],
  ["Later", "number"],
  ["Up", "number"],
  ["Down", "number"],
  ["Commit", "number"]
] as const

export const roundsView = () => {
  const body = h("tbody")
  const rows = new Map<number, { readonly element: HTMLElement; readonly key: string }>()
  const quiet = h("input", { type: "checkbox", change: () => draw() })
  const note = h("span", { class: "muted" })
  let rounds: ReadonlyArray<Round> = []
  const root = h(
    "section",
    { class: "pane", "aria-label": "Requests of the session", tabindex: 0 },
    h("div", { class: "actions" }, h("label", {}, quiet, "Only what did something"), note),
    scrolling(
      "Requests of the session",
      h(
        "table",
        {},
        h("caption", { class: "quiet" }, "Requests of the session, the last one first"),
        h(
          "thead",
          {},
          h("tr", {}, ...heads.map(([text, kind]) => h("th", { scope: "col", class: kind }, text)))
        ),
        body
      )
    )
  )

  const draw = () => {
    const shown = rounds.filter((round) => !quiet.checked || didSomething(round)).reverse()
    note.textContent = `${count(shown.length, "request")} shown`
    const elements = shown.map((round) => {
      const key = JSON.stringify(round)
      const known = rows.get(round.n)
      if (known?.key === key) return known.element
      const element = rowOf(round)
      rows.set(round.n, { element, key })
      return element
    })
    for (const n of rows.keys()) if (n < (rounds[0]?.n ?? 0)) rows.delete(n)
    for (const [place, element] of elements.entries())
      if (body.children[place] !== element) body.insertBefore(element, body.children[place] ?? null)
    while (body.children.length > elements.length) body.lastElementChild!.remove()
  }

  return {
    root,
    update: (snapshot: Snapshot) => {
      rounds = snapshot.rounds
      draw()
    }
  }
}

const didSomething = ({ error, kind, replayed, rows, sent, state }: Round): boolean =>
  kind === "live" || state === "running" || error !== null || sent + rows + replayed > 0

const rowOf = (round: Round): HTMLElement => {
  const number = (text: string | number) => h("td", { class: "number" }, String(text))
  return h(
    "tr",
    {},
    h("td", { class: "nowrap" }, timeOf(round.startedAt)),
    h(
      "td",
      { class: "result" },
      round.kind === "live" ? "⚡ live" : resultOf(round),
      round.error !== null && h("div", { class: "muted" }, round.error.message)
    ),
    number(round.kind === "live" ? "–" : durationOf(round.answeredMs)),
    number(durationOf(round.appliedMs)),
    number(round.sent),
    h("td", { class: "nowrap" }, verdictsOf(round)),
    number(round.rows),
    h("td", { class: "nowrap" }, pathOf(round)),
    number(round.replayed),
    number(round.later),
    number(bytesOf(round.bytesUp)),
    number(bytesOf(round.bytesDown)),
    number(round.seq ?? "–")
  )
}

const pathOf = ({ path }: Round): string =>
  path === null ? "–" : path === "pending" || path === "merge" ? `${path} (rebase)` : path

/**
 * The page's script: one function that is written into the page as text, so it uses nothing from outside itself. It
 * shows details, highlights lives, and moves between events; it makes no markup from data, only text.
 */
import type { PageData } from "./Data.ts"

const run = () => {
  const one = <E extends Element = HTMLElement>(selector: string): E => document.querySelector<E>(selector)!
  const data: PageData = JSON.parse(one("#data").textContent)
  const scrollers = [...document.querySelectorAll<HTMLElement>(".scroller")]
  const withQuiet = document.querySelector<HTMLInputElement>("#quiet")
  const chooser = one<HTMLSelectElement>("#record")
  const eventPanel = one("#event")
  const recordPanel = one("#life")
  const panel = one(".panel")
  const hint = eventPanel.firstElementChild!.cloneNode(true)
  const quiet = new Set(data.quiet)
  let picked: number | null = null

  const element = (name: string, text = "", className = ""): HTMLElement => {
    const made = document.createElement(name)
    made.textContent = text
    if (className !== "") made.className = className
    return made
  }
  const reference = (text: string, action: () => void): HTMLElement => {
    const button = element("button", text, "ref")
    button.setAttribute("type", "button")
    button.addEventListener("click", action)
    return button
  }
  const definitions = (facts: ReadonlyArray<readonly [string, string]>): HTMLElement => {
    const list = element("dl")
    for (const [name, value] of facts) list.append(element("dt", name), element("dd", value))
    return list
  }
  const drawing = (): HTMLElement => scrollers.find((scroller) => !scroller.hidden)!
  const markOf = (event: number): SVGGElement | null => drawing().querySelector(`.mark[data-e="${event}"]`)

  const showEvent = (event: number) => {
    const { lane, time, title, facts, records, exchange } = data.events[event]!
    const head = element("p")
    const about = element(
      "span",
      ` ${lane}, ${time}${exchange === null ? "" : `, exchange ${exchange}`}`,
      "hint"
    )
    head.append(element("b", title), about)
    const parts: Array<HTMLElement> = [head, definitions(facts)]
    if (records.length > 0) {
      const line = element("p", "Follow ", "hint")
      for (const record of records)
        line.append(
          reference(record, () => follow(record)),
          " "
        )
      parts.push(line)
    }
    eventPanel.replaceChildren(...parts)
    panel.classList.remove("idle")
  }

  const showRecord = (name: string) => {
    const { facts, life } = data.records[name]!
    const list = element("ol")
    for (const { event, text } of life) {
      const row = element("li")
      row.append(
        element("time", data.events[event]!.time),
        reference(text, () => pick(event))
      )
      list.append(row)
    }
    recordPanel.replaceChildren(element("h2", `Record ${name}`), definitions(facts), list)
    recordPanel.parentElement!.scrollTop = 0
  }

  const highlight = (focus: {
    readonly events: ReadonlySet<number>
    readonly exchanges: ReadonlySet<number>
    readonly record: string | null
  }) => {
    for (const part of document.querySelectorAll(".on")) part.classList.remove("on")
    for (const svg of document.querySelectorAll(".drawing")) {
      svg.classList.toggle("focusing", focus.events.size > 0)
      for (const part of svg.querySelectorAll<SVGElement>("[data-e],[data-x],[data-r]")) {
        const { e, x, r } = part.dataset
        const on =
          e !== undefined
            ? focus.events.has(Number(e))
            : x !== undefined
              ? focus.exchanges.has(Number(x))
              : r === focus.record || focus.record === null
        if (on) part.classList.add("on")
      }
    }
  }

  const follow = (name: string) => {
    const record = data.records[name]
    if (record === undefined) return clear()
    chooser.value = name
    showRecord(name)
    highlight({
      events: new Set(record.life.map(({ event }) => event)),
      exchanges: new Set(record.exchanges),
      record: name
    })
  }

  const followExchange = (number: number) => {
    highlight({ events: new Set(data.exchanges[number] ?? []), exchanges: new Set([number]), record: null })
  }

  const clear = () => {
    picked = null
    chooser.value = ""
    for (const part of document.querySelectorAll(".picked")) part.classList.remove("picked")
    highlight({ events: new Set(), exchanges: new Set(), record: null })
    panel.classList.add("idle")
    eventPanel.replaceChildren(hint.cloneNode(true))
    recordPanel.replaceChildren(element("p", "Choose a record to follow it through every lane.", "hint"))
  }

  const reveal = (event: number): SVGGElement | null => {
    if (quiet.has(event) && withQuiet !== null && !withQuiet.checked) {
      withQuiet.checked = true
      switchDrawing()
    }
    const mark = markOf(event)
    if (mark === null) return null
    const pane = drawing()
    const at = mark.getBoundingClientRect()
    const frame = pane.getBoundingClientRect()
    if (at.left < frame.left + 40 || at.left > frame.right - 120)
      pane.scrollLeft += at.left - frame.left - frame.width / 3
    const panelTop = panel.getBoundingClientRect().top
    if (at.top < 0 || at.bottom > panelTop) window.scrollBy(0, at.top - panelTop / 2)
    for (const other of document.querySelectorAll('.mark[tabindex="0"]')) other.setAttribute("tabindex", "-1")
    mark.setAttribute("tabindex", "0")
    return mark
  }

  /** Shows the event, stays with it, and moves there when it is elsewhere. */
  const pick = (event: number) => {
    picked = event
    showEvent(event)
    for (const part of document.querySelectorAll(".picked")) part.classList.remove("picked")
    const mark = reveal(event)
    mark?.classList.add("picked")
    mark?.focus({ preventScroll: true })
    history.replaceState(null, "", `#e${event}`)
  }

  const choose = (event: number) => {
    const { records, exchange } = data.events[event]!
    pick(event)
    if (records.length === 1) follow(records[0]!)
    else if (exchange !== null) followExchange(exchange)
    else if (!data.records[chooser.value]?.life.some((moment) => moment.event === event)) {
      clear()
      pick(event)
    }
  }

  const switchDrawing = () => {
    for (const scroller of scrollers)
      scroller.hidden = (scroller.id === "all") !== (withQuiet?.checked ?? false)
  }

  const eventAt = (target: EventTarget | null): number | null => {
    const found =
      target instanceof Element ? target.closest<SVGElement>(".mark[data-e],.rewind[data-e]") : null
    return found === null ? null : Number(found.dataset.e)
  }

  for (const scroller of scrollers) {
    scroller.addEventListener("pointerover", (input) => {
      const event = eventAt(input.target)
      if (event !== null) showEvent(event)
    })
    scroller.addEventListener("pointerout", () => {
      if (picked !== null) showEvent(picked)
    })
    scroller.addEventListener("focusin", (input) => {
      const event = eventAt(input.target)
      if (event !== null) showEvent(event)
    })
    scroller.addEventListener("click", (input) => {
      const target = input.target as Element
      const verdict = target.closest<SVGElement>(".verdict[data-r]")?.dataset.r
      const arrow = target.closest<SVGElement>(".arrow[data-x]")?.dataset.x
      const event = eventAt(target)
      if (event !== null) choose(event)
      if (verdict !== undefined) follow(verdict)
      else if (event === null && arrow !== undefined) {
        const number = Number(arrow)
        pick(data.exchanges[number]![0]!)
        followExchange(number)
      } else if (event === null) clear()
    })
    scroller.addEventListener("keydown", (input) => {
      const here = eventAt(input.target)
      if (here === null) return
      const marks = [...scroller.querySelectorAll<SVGElement>(".mark")].map(({ dataset }) =>
        Number(dataset.e)
      )
      const lane = data.events[here]!.lane
      const inLane = input.shiftKey ? marks.filter((event) => data.events[event]!.lane === lane) : marks
      const index = inLane.indexOf(here)
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: inLane.length - 1 }[input.key]
      const next = to === undefined ? undefined : inLane[to]
      if (input.key === "Enter" || input.key === " ") choose(here)
      else if (next !== undefined) pick(next)
      else return
      input.preventDefault()
    })
  }
  document.addEventListener("keydown", (input) => {
    if (input.key === "Escape") clear()
  })
  document.addEventListener("click", (input) => {
    const link = (input.target as Element).closest<HTMLElement>("[data-goto],[data-follow]")
    if (link === null) return
    input.preventDefault()
    if (link.dataset.goto !== undefined) choose(Number(link.dataset.goto))
    if (link.dataset.follow !== undefined) follow(link.dataset.follow)
  })
  chooser.addEventListener("change", () => {
    const first = data.records[chooser.value]?.life[0]?.event
    follow(chooser.value)
    if (first !== undefined) reveal(first)
  })
  withQuiet?.addEventListener("change", switchDrawing)

  for (const scroller of scrollers) scroller.querySelector(".mark")?.setAttribute("tabindex", "0")
  switchDrawing()
  const linked = /^#e(\d+)$/.exec(location.hash)
  if (linked !== null && data.events[Number(linked[1])] !== undefined) choose(Number(linked[1]))
}

// A compiler that keeps the names of functions calls `__name`, which a page does not have.
export const pageScript = `{ const __name = (it) => it; (${run.toString()})() }`

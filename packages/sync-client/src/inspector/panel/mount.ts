/** The panel: a shadow root on an element of its own, docked to the window or inside an element. */
import type { RecordId } from "@synchrotron/sync-core"
import type { PromiseClient } from "../../PromiseClient.ts"
import { type InspectorState, inspector } from "../inspector.ts"
import { h } from "./dom.ts"
import { overviewView } from "./overview.ts"
import { pastView } from "./past.ts"
import { recordsView } from "./records.ts"
import { roundsView } from "./rounds.ts"
import { styles } from "./styles.ts"
import { count } from "./words.ts"

export type Dock = "bottom" | "side" | "inside"

export interface MountOptions {
  /** What it is put into; the document's body unless given. */
  readonly parent?: HTMLElement | undefined
  /** `bottom` unless given; `inside` fills the parent. */
  readonly dock?: Dock | undefined
}

export interface Mounted {
  readonly element: HTMLElement
  /** Puts the keyboard's focus into it. */
  readonly focus: () => void
  /** Takes it away, and ends what it did to the network. */
  readonly close: () => Promise<void>
  /** Resolves when it is taken away. */
  readonly closed: Promise<void>
}

const sizeMin = 20
const sizeMax = 90

export const mount = (client: PromiseClient, options: MountOptions = {}): Mounted => {
  const inspected = inspector(client)
  const host = h("synchrotron-inspector" as "div", { dock: options.dock ?? "bottom" })
  const shadow = host.attachShadow({ mode: "open" })
  const focusedBefore = document.activeElement
  // A phone shows little else besides.
  let size = innerWidth < 700 ? 68 : 46
  let ended = () => {}
  const closed = new Promise<void>((resolve) => {
    ended = resolve
  })

  const problem = h(
    "div",
    { class: "problem", role: "alert", hidden: true },
    h("span"),
    h(
      "button",
      {
        type: "button",
        class: "plain",
        click: () => {
          problem.hidden = true
        }
      },
      "Hide"
    )
  )
  const spoken = h("div", { class: "quiet", role: "status" })
  const fail = (error: unknown) => {
    const { _tag, message } = error as { readonly _tag?: string; readonly message?: string }
    problem.hidden = false
    problem.firstElementChild!.textContent = [_tag, message].filter(Boolean).join(": ") || String(error)
  }
  const run = (doing: Promise<unknown>, done: string) => {
    problem.hidden = true
    doing.then(() => {
      spoken.textContent = done
    }, fail)
  }

  // ---- the header ------------------------------------------------------------------------------------------------

  const phase = h("b")
  const numbers = h("span")
  const offline = h(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      click: () => {
        const paused = offline.getAttribute("aria-pressed") === "true"
        run(paused ? inspected.resume() : inspected.pause(), paused ? "Syncing goes on" : "Syncing is paused")
      }
    },
    "Offline"
  )
  const syncNow = h("button", { type: "button", click: () => run(inspected.sync(), "Synced") }, "Sync now")
  const delay = h("input", {
    type: "number",
    min: 0,
    max: 60_000,
    step: 100,
    value: 0,
    change: () => run(inspected.setNetwork({ delayMs: Number(delay.value) }), "The delay is set")
  })
  const failing = h("input", {
    type: "checkbox",
    change: () =>
      run(
        inspected.setNetwork({ failing: failing.checked }),
        failing.checked ? "Requests fail" : "Requests go through"
      )
  })
  const dock = h("button", { type: "button", class: "plain dock", click: () => setDock(otherDock()) })
  const header = h(
    "header",
    {},
    h("h1", {}, "Synchrotron"),
    h("span", { class: "session" }, phase, numbers),
    h("span", { class: "grow" }),
    h(
      "div",
      { class: "controls", role: "group", "aria-label": "Session and network" },
      offline,
      syncNow,
      h("label", {}, "Delay", delay, "ms"),
      h("label", {}, failing, "Fail requests")
    ),
    options.dock !== "inside" && dock,
    h(
      "button",
      { type: "button", class: "plain", "aria-label": "Close the inspector", click: () => void close() },
      "✕"
    )
  )

  // ---- the tabs --------------------------------------------------------------------------------------------------

  const records = recordsView(inspected, { run, stepBack: (to) => openPast(to) })
  const rounds = roundsView()
  const overview = overviewView((to) => openPast(to))
  const past = pastView(inspected, { close: () => closePast(), fail })
  const tabs = [
    { name: "Records", view: records.root },
    { name: "Sync", view: rounds.root },
    { name: "State", view: overview.root }
  ].map(({ name, view }, place) => ({
    tab: h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${place}`,
        "aria-controls": "body",
        click: () => select(place)
      },
      name
    ),
    view
  }))
  const body = h("div", { role: "tabpanel", id: "body" })
  const tablist = h(
    "nav",
    {
      role: "tablist",
      "aria-label": "Views",
      keydown: (event: KeyboardEvent) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
        if (by === undefined) return
        select((selected + by + tabs.length) % tabs.length)
        tabs[selected]!.tab.focus()
        event.preventDefault()
      }
    },
    ...tabs.map(({ tab }) => tab)
  )
  let selected = 0
  const select = (place: number) => {
    selected = place
    for (const [i, { tab }] of tabs.entries()) {
      tab.setAttribute("aria-selected", String(i === place))
      tab.tabIndex = i === place ? 0 : -1
    }
    body.setAttribute("aria-labelledby", `tab-${place}`)
    body.replaceChildren(tabs[place]!.view)
    draw(inspected.get())
  }
  const openPast = (to: RecordId | null) => {
    body.replaceChildren(past.root)
    void past.show(to)
  }
  const closePast = () => {
    select(selected)
    if (selected === 0) records.focus()
    else tabs[selected]!.tab.focus()
  }

  // ---- docking ---------------------------------------------------------------------------------------------------

  const grip = h("div", {
    class: "grip",
    role: "separator",
    tabindex: 0,
    "aria-label": "Size of the inspector",
    "aria-valuemin": sizeMin,
    "aria-valuemax": sizeMax,
    keydown: (event: KeyboardEvent) => {
      const by = { ArrowUp: 4, ArrowLeft: 4, ArrowDown: -4, ArrowRight: -4 }[event.key]
      if (by === undefined) return
      setSize(size + by)
      event.preventDefault()
    },
    pointerdown: (event: PointerEvent) => {
      grip.setPointerCapture(event.pointerId)
      event.preventDefault()
    },
    pointermove: (event: PointerEvent) => {
      if (!grip.hasPointerCapture(event.pointerId)) return
      const share = dockNow() === "bottom" ? 1 - event.clientY / innerHeight : 1 - event.clientX / innerWidth
      setSize(share * 100)
    }
  })
  const dockNow = () => host.getAttribute("dock") as Dock
  const otherDock = (): Dock => (dockNow() === "bottom" ? "side" : "bottom")
  const setSize = (next: number) => {
    size = Math.min(sizeMax, Math.max(sizeMin, Math.round(next)))
    host.style.setProperty("--size", String(size))
    grip.setAttribute("aria-valuenow", String(size))
  }
  const setDock = (next: Dock) => {
    host.setAttribute("dock", next)
    grip.setAttribute("aria-orientation", next === "bottom" ? "horizontal" : "vertical")
    dock.textContent = otherDock() === "side" ? "◨ Side" : "⬓ Bottom"
    dock.setAttribute("aria-label", `Dock to the ${otherDock()}`)
  }

  // ---- drawing ---------------------------------------------------------------------------------------------------

  let told: Error | null = null
  const draw = (state: InspectorState) => {
    const { error, snapshot, status } = state
    phase.textContent = status.phase
    numbers.textContent = `${count(status.pending, "pending", "pending")} · ${status.rejected} refused`
    offline.setAttribute("aria-pressed", String(status.phase === "paused"))
    syncNow.disabled = status.phase === "paused"
    // Once: it may be hidden, and goes by itself when all is well again.
    if (error !== told) {
      if (error !== null) fail(error)
      else problem.hidden = true
      told = error
    }
    if (snapshot === null) return
    if (shadow.activeElement !== delay) delay.value = String(snapshot.network.delayMs)
    failing.checked = snapshot.network.failing
    if (selected === 0) records.update(snapshot)
    else if (selected === 1) rounds.update(snapshot)
    else overview.update(state)
  }
  // What comes together is drawn once.
  let drawing = 0
  const unsubscribe = inspected.subscribe(() => {
    if (drawing === 0)
      drawing = requestAnimationFrame(() => {
        drawing = 0
        draw(inspected.get())
      })
  })

  const close = async () => {
    cancelAnimationFrame(drawing)
    unsubscribe()
    host.remove()
    if (focusedBefore instanceof HTMLElement) focusedBefore.focus()
    ended()
    await inspected.close()
  }

  shadow.append(
    h("style", {}, styles),
    h(
      "section",
      {
        class: "panel",
        "aria-label": "Synchrotron inspector",
        keydown: (event: KeyboardEvent) => {
          // What the page does with keys is not meant for what is typed here.
          event.stopPropagation()
          if (event.key === "Escape" && past.root.isConnected) closePast()
        }
      },
      grip,
      header,
      tablist,
      problem,
      body,
      spoken
    )
  )
  setSize(size)
  setDock(dockNow())
  select(0)
  ;(options.parent ?? document.body).append(host)
  return { element: host, focus: () => records.focus(), close, closed }
}

/**
 * Where everything stands: a pure function from a story to positions, in pixels.
 *
 *     x: one column per event, in the order of the trace; a long wait is a break of fixed width with its length
 *     y: one lane per client, then one per server
 *
 * Virtual time has waits of days between messages of milliseconds, so distance says order, and labels say time.
 */
import type { Event, Lane } from "../Trace.ts"
import * as Duration from "./Duration.ts"
import { cut } from "./Html.ts"
import { exchangeOf, type Fate, type LaneStory, type Story } from "./Story.ts"

export type Shape =
  | "record"
  | "sent"
  | "arrived"
  | "served"
  | "failed"
  | "applied"
  | "refused"
  | "switch"
  | "crashed"
  | "restarted"
  | "clock"
  | "write"
  | "forged"
  | "inbox"
  | "phase"
  | "violated"
  | "lost"

export interface LaneBox {
  readonly story: LaneStory
  readonly top: number
  readonly height: number
  /** Of its line. */
  readonly y: number
}

export interface Mark {
  /** Position of the event in the trace. */
  readonly event: number
  readonly x: number
  readonly y: number
  readonly shape: Shape
  /** What became of the record, for marks of one record. */
  readonly fate: Fate | "external" | null
  /** As much of the label as there is room for, to the right of `x` above the mark; empty for none. */
  readonly label: string
  /** Verdicts that the server gave, below the mark; names only when there is room. */
  readonly verdicts: ReadonlyArray<{
    readonly record: string
    readonly outcome: string
    readonly named: boolean
  }>
}

export interface Arrow {
  readonly exchange: number
  readonly from: readonly [x: number, y: number]
  readonly to: readonly [x: number, y: number]
  readonly way: "request" | "answer"
  /** `again`: a duplicate. `unheard`: an answer that the trace says nothing more about. */
  readonly fate: "delivered" | "again" | "lost" | "unheard"
  /** Whether it carries records or verdicts or rows. */
  readonly loaded: boolean
}

export interface Band {
  readonly lane: Lane
  readonly kind: "offline" | "partition" | "down"
  readonly x: number
  readonly width: number
  readonly y: number
  readonly height: number
  /** How long it lasts, in words. */
  readonly label: string
}

/** A server at work on a request, from its arrival to its answer. */
export interface Span {
  readonly exchange: number
  readonly x: number
  readonly width: number
  readonly y: number
}

/** Records taken back and executed again: from now back to the first of them. */
export interface Rewind {
  readonly event: number
  readonly from: number
  readonly to: number
  readonly y: number
  readonly side: "above" | "below"
}

export interface Tick {
  readonly x: number
  readonly label: string
  /** Time since the beginning; the others are times since the tick before that is absolute. */
  readonly absolute: boolean
}

export interface Break {
  readonly x: number
  readonly label: string
}

/** A moment that concerns everybody. */
export interface Rule {
  readonly event: number
  readonly x: number
  readonly kind: "healed" | "converged" | "violated"
}

export interface Layout {
  readonly width: number
  readonly height: number
  readonly axisY: number
  /** Distance of two columns without a break. */
  readonly step: number
  readonly lanes: ReadonlyArray<LaneBox>
  readonly marks: ReadonlyArray<Mark>
  readonly arrows: ReadonlyArray<Arrow>
  readonly bands: ReadonlyArray<Band>
  readonly spans: ReadonlyArray<Span>
  readonly rewinds: ReadonlyArray<Rewind>
  readonly ticks: ReadonlyArray<Tick>
  readonly breaks: ReadonlyArray<Break>
  readonly rules: ReadonlyArray<Rule>
}

export interface Options {
  /** Whether exchanges that moved nothing take room. */
  readonly quiet: boolean
  /** Width that a short run is spread over. */
  readonly fitWidth?: number
}

const stepMin = 15
const stepMax = 54
const marginX = 26
const breakWidth = 34
/** For the label of the last event. */
const labelWidth = 30
/** Waits from this on are breaks. */
const breakMs = 5 * 60_000
const axisHeight = 40
const charWidth = 6.3
const verdictsNamedMax = 4

export const layout = (story: Story, options: Options): Layout => {
  const shown = story.events.flatMap((_, at) => (!options.quiet && story.quiet.has(at) ? [] : [at]))
  const columns = columnsOf(story.events, shown, options.fitWidth ?? 1116)
  const lanes = lanesOf(story, shown)
  const boxByLane = new Map(lanes.map((lane) => [lane.story.name, lane]))
  const last = lanes[lanes.length - 1]
  const scene: Scene = {
    story,
    shown,
    xOf: (at) => columns.x.get(at) ?? 0,
    yOf: (lane) => boxByLane.get(lane)?.y ?? axisHeight,
    boxByLane,
    width: columns.width
  }
  return {
    width: columns.width,
    height: last === undefined ? axisHeight : last.top + last.height + 8,
    axisY: axisHeight - 10,
    step: columns.step,
    lanes,
    ...messagesOf(scene),
    bands: bandsOf(scene),
    rewinds: rewindsOf(scene),
    ticks: ticksOf(scene, columns.breaks),
    breaks: columns.breaks.map(({ x, label }) => ({ x, label })),
    rules: shown.flatMap((event) => {
      const { kind } = story.events[event]!
      return kind === "healed" || kind === "converged" || kind === "violated"
        ? [{ event, kind, x: scene.xOf(event) }]
        : []
    })
  }
}

interface Scene {
  readonly story: Story
  readonly shown: ReadonlyArray<number>
  readonly xOf: (event: number) => number
  readonly yOf: (lane: Lane) => number
  readonly boxByLane: ReadonlyMap<Lane, LaneBox>
  readonly width: number
}

// ------------------------------------------------------------------------------------------ the axes

interface Columns {
  readonly x: ReadonlyMap<number, number>
  readonly width: number
  readonly step: number
  /** `before`: the first event after the wait. */
  readonly breaks: ReadonlyArray<Break & { readonly before: number }>
}

const columnsOf = (events: ReadonlyArray<Event>, shown: ReadonlyArray<number>, fitWidth: number): Columns => {
  const waits = shown.map((at, i) => (i === 0 ? 0 : events[at]!.at - events[shown[i - 1]!]!.at))
  const breakCount = waits.filter((wait) => wait >= breakMs).length
  const room = (fitWidth - 2 * marginX - labelWidth - breakCount * breakWidth) / Math.max(1, shown.length - 1)
  const step = Math.min(stepMax, Math.max(stepMin, room))
  const x = new Map<number, number>()
  const breaks: Array<Break & { before: number }> = []
  let here = marginX
  shown.forEach((at, i) => {
    if (i > 0) here += step
    if (waits[i]! >= breakMs) {
      breaks.push({ x: here + breakWidth / 2 - step / 2, label: Duration.short(waits[i]!), before: at })
      here += breakWidth
    }
    x.set(at, here)
  })
  return { x, width: Math.max(fitWidth, here + marginX + labelWidth), step, breaks }
}

const tickDistance = 84
const anchorDistance = 700

const ticksOf = ({ story, shown, xOf }: Scene, breaks: Columns["breaks"]): ReadonlyArray<Tick> => {
  const afterBreak = new Set(breaks.map(({ before }) => before))
  const ticks: Array<Tick> = []
  let anchor = { x: Number.NEGATIVE_INFINITY, at: 0 }
  let lastX = Number.NEGATIVE_INFINITY
  for (const event of shown) {
    const x = xOf(event)
    const { at } = story.events[event]!
    const absolute = afterBreak.has(event) || x - anchor.x > anchorDistance
    if (absolute ? x - lastX < tickDistance / 2 && !afterBreak.has(event) : x - lastX < tickDistance) continue
    if (absolute) anchor = { x, at }
    ticks.push({ x, absolute, label: absolute ? Duration.short(at) : `+${Duration.short(at - anchor.at)}` })
    lastX = x
  }
  return ticks
}

const lanesOf = (story: Story, shown: ReadonlyArray<number>): ReadonlyArray<LaneBox> => {
  const roomy = story.lanes.length <= 7
  const tight = story.lanes.length > 12
  const stack = Math.min(
    verdictsNamedMax,
    shown.reduce((most, at) => {
      const event = story.events[at]!
      return event.kind === "served" ? Math.max(most, event.verdicts.length) : most
    }, 0)
  )
  const sizes = {
    sim: { above: 24, below: 14 },
    client: roomy ? { above: 34, below: 32 } : tight ? { above: 19, below: 11 } : { above: 21, below: 17 },
    server: { above: roomy ? 48 : 42, below: 22 + stack * 13 }
  }
  let top = axisHeight
  return story.lanes.map((lane) => {
    const { above, below } = sizes[lane.role]
    const box = { story: lane, top, height: above + below, y: top + above }
    top += box.height
    return box
  })
}

// ---------------------------------------------------------------------------- marks, messages, service

const shapeByKind: Readonly<Record<Event["kind"], Shape>> = {
  executed: "record",
  refused: "refused",
  sent: "sent",
  lost: "lost",
  arrived: "arrived",
  served: "served",
  failed: "failed",
  applied: "applied",
  offline: "switch",
  online: "switch",
  partition: "switch",
  reachable: "switch",
  crashed: "crashed",
  restarted: "restarted",
  clock: "clock",
  external: "write",
  membership: "write",
  forged: "forged",
  dismissed: "inbox",
  retried: "inbox",
  healed: "phase",
  converged: "phase",
  violated: "violated"
}

interface Way {
  readonly event: number
  readonly lane: Lane
}

/** Walks once through the events: an exchange is a request, its arrivals, the answers that wait for their end. */
const messagesOf = (scene: Scene): Pick<Layout, "marks" | "arrows" | "spans"> => {
  const { story, shown, xOf, yOf } = scene
  const marks: Array<Mark> = []
  const arrows: Array<Arrow> = []
  const spans: Array<Span> = []
  const sent = new Map<number, Way>()
  const working = new Map<string, number>()
  const answers = new Map<number, Array<Way>>()
  const firstServer = story.lanes.find((lane) => lane.role === "server")?.name ?? "s0"
  const room = roomOf(scene)
  const point = ({ event, lane }: Way) => [xOf(event), yOf(lane)] as const

  for (const at of shown) {
    const event = story.events[at]!
    const here: Way = { event: at, lane: event.lane }
    const number = exchangeOf(event)
    let [x, y] = point(here)
    if (number !== undefined) {
      const exchange = story.exchanges.get(number)!
      const request = sent.get(number)
      const loadedRequest = exchange.records.length > 0
      if (event.kind === "sent") sent.set(number, here)
      if (event.kind === "arrived") {
        working.set(`${number} ${event.lane}`, at)
        if (request !== undefined)
          arrows.push({
            exchange: number,
            from: point(request),
            to: [x, y],
            way: "request",
            fate: event.again ? "again" : "delivered",
            loaded: loadedRequest
          })
      }
      if (event.kind === "served" || event.kind === "failed") {
        answers.set(number, [...(answers.get(number) ?? []), here])
        const since = working.get(`${number} ${event.lane}`)
        if (since !== undefined) spans.push({ exchange: number, x: xOf(since), width: x - xOf(since), y })
        working.delete(`${number} ${event.lane}`)
      }
      if (event.kind === "applied" || (event.kind === "lost" && event.what === "answer")) {
        const waiting = answers.get(number) ?? []
        // An answer is applied once, the first; of several, the ones after it find nobody who waits.
        const answer = event.kind === "applied" ? waiting.shift() : waiting.pop()
        const from = answer === undefined ? undefined : point(answer)
        const end = [x, yOf(exchange.client)] as const
        if (event.kind === "lost") y = from === undefined ? y : between(from[1], end[1])
        if (from !== undefined)
          arrows.push({
            exchange: number,
            from,
            to: [x, event.kind === "lost" ? y : end[1]],
            way: "answer",
            fate: event.kind === "lost" ? "lost" : "delivered",
            loaded: !exchange.empty
          })
      }
      if (event.kind === "lost" && event.what === "request") {
        y = between(yOf(exchange.client), yOf(event.lane === exchange.client ? firstServer : event.lane))
        if (request !== undefined)
          arrows.push({
            exchange: number,
            from: point(request),
            to: [x, y],
            way: "request",
            fate: "lost",
            loaded: loadedRequest
          })
      }
    }
    marks.push({
      event: at,
      x,
      y,
      shape: shapeByKind[event.kind],
      fate: event.kind === "executed" ? (story.records.get(event.record)?.fate ?? null) : null,
      label: labelOf(event, room(at)),
      verdicts:
        event.kind === "served"
          ? event.verdicts.map(({ record, outcome }) => ({
              record,
              outcome,
              named: room(at) > (record.length + 2) * charWidth
            }))
          : []
    })
  }
  for (const [number, waiting] of answers)
    for (const answer of waiting) {
      const from = point(answer)
      const up = yOf(story.exchanges.get(number)!.client) < from[1] ? -1 : 1
      arrows.push({
        exchange: number,
        from,
        to: [from[0] + 9, from[1] + up * 26],
        way: "answer",
        fate: "unheard",
        loaded: true
      })
    }
  return { marks, arrows, spans }
}

/** Where a message is lost: past the middle of its way. */
const between = (from: number, to: number): number => from + (to - from) * 0.6

/** Pixels to the right of an event until the next labelled one of its lane. */
const roomOf = ({ story, shown, xOf, width }: Scene): ((event: number) => number) => {
  const room = new Map<number, number>()
  const nextX = new Map<Lane, number>()
  for (let i = shown.length - 1; i >= 0; i--) {
    const at = shown[i]!
    const { lane } = story.events[at]!
    const x = xOf(at)
    room.set(at, (nextX.get(lane) ?? width) - x - 4)
    if (labelOf(story.events[at]!, Number.POSITIVE_INFINITY) !== "") nextX.set(lane, x)
  }
  return (at) => room.get(at) ?? 0
}

/** The most telling label that fits. */
const labelOf = (event: Event, room: number): string => {
  const chars = Math.floor(room / charWidth)
  const fit = (...texts: ReadonlyArray<string>) => texts.find((text) => text.length <= chars) ?? ""
  switch (event.kind) {
    case "executed": {
      const name = event.record.startsWith(event.lane) ? event.record.slice(event.lane.length) : event.record
      const action = event.action.replace(/@\d+$/, "")
      const verb = action.slice(action.lastIndexOf(".") + 1)
      const shortened = chars >= name.length + 5 ? [`${name} ${cut(verb, chars - name.length - 1)}`] : []
      return fit(`${name} ${action}`, ...shortened, name)
    }
    case "served":
      return event.replayed > 0
        ? fit(`↺ ${event.replayed} · seq ${event.seq}`, `↺ ${event.replayed}`, `↺${event.replayed}`)
        : fit(`seq ${event.seq}`)
    case "applied":
      return event.replayed > 0
        ? fit(`↺ ${event.replayed} ${event.path}`, `↺ ${event.replayed}`, `↺${event.replayed}`)
        : ""
    case "refused":
      return fit("refused")
    case "crashed":
      return fit("crash")
    case "failed":
      return fit("failed")
    case "forged":
      return fit("forged")
    case "clock":
      return fit(`${event.jumpMs > 0 ? "+" : ""}${Duration.short(event.jumpMs)}`, "clock")
    case "external":
    case "membership":
    case "dismissed":
    case "retried":
    case "healed":
    case "converged":
      return fit(event.kind)
    case "violated":
      return event.check
    default:
      return ""
  }
}

// -------------------------------------------------------------------------------------------- periods

const openers: Readonly<Partial<Record<Event["kind"], Band["kind"]>>> = {
  offline: "offline",
  partition: "partition",
  crashed: "down"
}
const closers: Readonly<Partial<Record<Event["kind"], Band["kind"]>>> = {
  online: "offline",
  reachable: "partition",
  restarted: "down"
}

const bandsOf = ({ story, shown, xOf, boxByLane, width }: Scene): ReadonlyArray<Band> => {
  const open = new Map<string, { lane: Lane; kind: Band["kind"]; since: number }>()
  const bands: Array<Band> = []
  const close = (key: string, x: number, at: number | null) => {
    const period = open.get(key)
    const box = period === undefined ? undefined : boxByLane.get(period.lane)
    if (period === undefined || box === undefined) return
    open.delete(key)
    const from = story.events[period.since]!
    const length = at === null ? "" : ` ${Duration.short(story.events[at]!.at - from.at)}`
    bands.push({
      lane: period.lane,
      kind: period.kind,
      x: xOf(period.since),
      width: Math.max(2, x - xOf(period.since)),
      y: box.top + 3,
      height: box.height - 6,
      label: `${period.kind}${length}`
    })
  }
  for (const at of shown) {
    const event = story.events[at]!
    const opens = openers[event.kind]
    const closes = closers[event.kind]
    if (opens !== undefined && !open.has(`${event.lane} ${opens}`))
      open.set(`${event.lane} ${opens}`, { lane: event.lane, kind: opens, since: at })
    if (closes !== undefined) close(`${event.lane} ${closes}`, xOf(at), at)
    // The end of the faults ends what they began.
    if (event.kind === "healed")
      for (const [key, { kind }] of open) if (kind !== "down") close(key, xOf(at), at)
  }
  for (const key of [...open.keys()]) close(key, width - marginX / 2, null)
  return bands
}

/** How far back a replay went: on a server to the first answer that it changed, on a client to its first pending record. */
const rewindsOf = ({ story, shown, xOf, yOf }: Scene): ReadonlyArray<Rewind> => {
  const judgedAt = new Map<string, number>()
  const rewinds: Array<Rewind> = []
  for (const at of shown) {
    const event = story.events[at]!
    const again =
      event.kind === "served" && event.replayed > 0
        ? event.later.flatMap((name) => judgedAt.get(name) ?? [])
        : event.kind === "applied" && event.replayed > 0
          ? (story.pendingAt.get(at) ?? []).flatMap((name) => story.records.get(name)?.executed ?? [])
          : []
    if (again.length > 0)
      rewinds.push({
        event: at,
        from: xOf(at),
        to: xOf(Math.min(...again)),
        y: yOf(event.lane),
        side: event.kind === "served" ? "above" : "below"
      })
    if (event.kind === "served")
      for (const { record } of event.verdicts) if (!judgedAt.has(record)) judgedAt.set(record, at)
  }
  return rewinds
}

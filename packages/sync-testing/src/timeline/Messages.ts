/** Marks, the messages between them, and the servers' work: one walk through the events. */
import type { Event, Lane } from "../Trace.ts"
import type { Arrow, Layout, Mark, Scene, Shape, Span } from "./Drawing.ts"
import { charWidth, labelOf, roomOf } from "./Labels.ts"
import { exchangeOf } from "./Story.ts"

const shapeByKind: Readonly<Record<Event["kind"], Shape>> = {
  executed: "record",
  refused: "refused",
  sent: "sent",
  lost: "lost",
  arrived: "arrived",
  served: "served",
  failed: "failed",
  applied: "applied",
  told: "served",
  followed: "applied",
  offline: "switch",
  online: "switch",
  partition: "switch",
  reachable: "switch",
  crashed: "crashed",
  restarted: "restarted",
  clock: "clock",
  external: "write",
  membership: "write",
  compacted: "write",
  forgot: "switch",
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
export const messagesOf = (scene: Scene): Pick<Layout, "marks" | "arrows" | "spans"> => {
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
      if (event.kind === "served" || event.kind === "failed" || event.kind === "told") {
        answers.set(number, [...(answers.get(number) ?? []), here])
        const since = working.get(`${number} ${event.lane}`)
        if (since !== undefined) spans.push({ exchange: number, x: xOf(since), width: x - xOf(since), y })
        working.delete(`${number} ${event.lane}`)
      }
      if (isReceived(event) || (event.kind === "lost" && event.what === "answer")) {
        const waiting = answers.get(number) ?? []
        // An answer is applied once, the first; of several, the ones after it find nobody who waits.
        const answer = isReceived(event) ? waiting.shift() : waiting.pop()
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
        to: [from[0] + 16, from[1] + up * 52],
        way: "answer",
        fate: "unheard",
        loaded: true
      })
    }
  return { marks, arrows, spans }
}

const isReceived = ({ kind }: Event): boolean => kind === "applied" || kind === "followed"

/** Where a message is lost: past the middle of its way. */
const between = (from: number, to: number): number => from + (to - from) * 0.6

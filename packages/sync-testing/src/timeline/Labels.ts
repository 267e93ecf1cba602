/** What is written at a mark: as much as there is room for. */
import type { Event, Lane } from "../Trace.ts"
import type { Scene } from "./Drawing.ts"
import * as Duration from "./Duration.ts"
import { cut } from "./Html.ts"

/** Mean width of a character of a label. */
export const charWidth = 6.3

/** Pixels to the right of an event until the next labelled one of its lane. */
export const roomOf = ({ story, shown, xOf, width }: Scene): ((event: number) => number) => {
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
export const labelOf = (event: Event, room: number): string => {
  const chars = Math.floor(room / charWidth)
  const fitting = (...texts: ReadonlyArray<string>) => texts.find((text) => text.length <= chars) ?? ""
  switch (event.kind) {
    case "executed": {
      const name = event.record.startsWith(event.lane) ? event.record.slice(event.lane.length) : event.record
      const action = event.action.replace(/@\d+$/, "")
      const verb = action.slice(action.lastIndexOf(".") + 1)
      const shortened = chars >= name.length + 5 ? [`${name} ${cut(verb, chars - name.length - 1)}`] : []
      return fitting(`${name} ${action}`, ...shortened, name)
    }
    case "served":
      return event.replayed > 0
        ? fitting(`↺ ${event.replayed} · seq ${event.seq}`, `↺ ${event.replayed}`, `↺${event.replayed}`)
        : fitting(`seq ${event.seq}`)
    case "applied":
      return event.replayed > 0
        ? fitting(`↺ ${event.replayed} ${event.path}`, `↺ ${event.replayed}`, `↺${event.replayed}`)
        : ""
    case "told":
      return fitting(`seq ${event.seq}`)
    case "refused":
      return fitting("refused")
    case "crashed":
      return fitting("crash")
    case "failed":
      return fitting("failed")
    case "compacted":
      return fitting("compacted", "−")
    case "forged":
      return fitting("forged")
    case "clock":
      return fitting(Duration.signed(event.jumpMs), "clock")
    case "external":
    case "membership":
    case "dismissed":
    case "retried":
    case "healed":
    case "converged":
      return fitting(event.kind)
    case "violated":
      return event.check
    default:
      return ""
  }
}

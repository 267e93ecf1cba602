/** The time axis: one column per event, a break for each long wait, and labels that say when. */
import type { Event } from "../Trace.ts"
import type { Break, Scene, Tick } from "./Drawing.ts"
import * as Duration from "./Duration.ts"

const stepMin = 15
const stepMax = 54
export const marginX = 26
const breakWidth = 34
/** For the label of the last event. */
const labelWidth = 40
/** Waits from this on are breaks. */
const breakMs = 5 * 60_000

export interface Columns {
  readonly x: ReadonlyMap<number, number>
  readonly width: number
  readonly step: number
  /** `before`: the first event after the wait. */
  readonly breaks: ReadonlyArray<Break & { readonly before: number }>
}

export const columnsOf = (
  events: ReadonlyArray<Event>,
  shown: ReadonlyArray<number>,
  fitWidth: number
): Columns => {
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

export const ticksOf = ({ story, shown, xOf }: Scene, breaks: Columns["breaks"]): ReadonlyArray<Tick> => {
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

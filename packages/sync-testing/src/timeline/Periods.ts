/** What lasts: being offline, cut off or down; and how far back a replay went. */
import type { Event, Lane } from "../Trace.ts"
import { marginX } from "./Columns.ts"
import type { Band, Rewind, Scene } from "./Drawing.ts"
import * as Duration from "./Duration.ts"

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

export const bandsOf = ({ story, shown, xOf, boxByLane, width }: Scene): ReadonlyArray<Band> => {
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
export const rewindsOf = ({ story, shown, xOf, yOf }: Scene): ReadonlyArray<Rewind> => {
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

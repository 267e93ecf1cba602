/**
 * Where everything stands: a pure function from a story to positions, in pixels.
 *
 *     x: one column per event, in the order of the trace; a long wait is a break of fixed width with its length
 *     y: one lane per client, then one per server
 *
 * Virtual time has waits of days between messages of milliseconds, so distance says order, and labels say time.
 */
import type { Lane } from "../Trace.ts"
import { columnsOf, ticksOf } from "./Columns.ts"
import type { LaneBox, Layout, Scene } from "./Drawing.ts"
import { messagesOf } from "./Messages.ts"
import { bandsOf, rewindsOf } from "./Periods.ts"
import type { LaneStory, Story } from "./Story.ts"

export interface Options {
  /** Whether exchanges that moved nothing take room. */
  readonly quiet: boolean
  /** Width that a short run is spread over. */
  readonly fitWidth?: number
}

const axisHeight = 40
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

const lanesOf = (story: Story, shown: ReadonlyArray<number>): ReadonlyArray<LaneBox> => {
  const roomy = story.lanes.length <= 7
  const tight = story.lanes.length > 12
  const stackByLane = new Map<Lane, number>()
  for (const at of shown) {
    const event = story.events[at]!
    if (event.kind !== "served") continue
    const stack = Math.min(verdictsNamedMax, event.verdicts.length)
    stackByLane.set(event.lane, Math.max(stack, stackByLane.get(event.lane) ?? 0))
  }
  const sizeOf = ({ name, role }: LaneStory) => {
    if (role === "sim") return { above: 24, below: 14 }
    if (role === "server") return { above: roomy ? 48 : 42, below: 22 + (stackByLane.get(name) ?? 0) * 13 }
    return roomy ? { above: 34, below: 32 } : tight ? { above: 19, below: 11 } : { above: 21, below: 17 }
  }
  let top = axisHeight
  return story.lanes.map((lane) => {
    const { above, below } = sizeOf(lane)
    const box = { story: lane, top, height: above + below, y: top + above }
    top += box.height
    return box
  })
}

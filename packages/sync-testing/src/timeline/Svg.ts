/** Draws a layout. Every mark has its sentence as a text alternative; colours come from the style sheet by class. */
import { sentence } from "./Describe.ts"
import type { Arrow, Band, Layout, Mark, Rewind, Shape } from "./Drawing.ts"
import * as Duration from "./Duration.ts"
import { escape } from "./Html.ts"
import type { Story } from "./Story.ts"

const n = (value: number): string => String(Math.round(value * 10) / 10)

/** `name`: unique among the drawings of a page. */
export const draw = (story: Story, layout: Layout, name: string): string => {
  const { width, height } = layout
  return `<svg class="drawing" width="${n(width)}" height="${n(height)}" viewBox="0 0 ${n(width)} ${n(height)}" role="group" aria-label="Timeline of ${layout.marks.length} events on ${layout.lanes.length} lanes. Arrow keys move between events.">
<defs>
<pattern id="${name}-offline" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch" width="1.6" height="6"/></pattern>
<pattern id="${name}-partition" width="7" height="7" patternUnits="userSpaceOnUse"><circle class="hatch" cx="2" cy="2" r="1.1"/></pattern>
<marker id="${name}-head" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 .8 8 4 0 7.2z"/></marker>
<marker id="${name}-back" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path class="back" d="M0 .8 8 4 0 7.2z"/></marker>
</defs>
${layout.lanes.map((lane) => `<rect class="stripe ${lane.story.role}" x="0" y="${n(lane.top)}" width="${n(width)}" height="${n(lane.height)}"/>`).join("")}
${drawBands(layout, name, (kind) => kind !== "down")}
${layout.breaks.map(({ x, label }) => `<g class="break"><path d="M${n(x)} ${layout.axisY}V${n(height)}"/><text x="${n(x)}" y="11">⌇ ${escape(label)}</text></g>`).join("")}
<path class="axis" d="M0 ${layout.axisY}H${n(width)}"/>
${layout.ticks.map(({ x, label, absolute }) => `<g class="tick${absolute ? " absolute" : ""}"><path d="M${n(x)} ${layout.axisY - 3}v6"/><text x="${n(x)}" y="${layout.axisY - 6}">${escape(label)}</text></g>`).join("")}
${layout.lanes.map(({ y, story: { role } }) => `<path class="line ${role}" d="M0 ${n(y)}H${n(width)}"/>`).join("")}
${drawBands(layout, name, (kind) => kind === "down")}
${layout.rules.map(({ event, x, kind }) => `<path class="rule ${kind}" data-e="${event}" d="M${n(x)} ${layout.axisY}V${n(height)}"/>`).join("")}
${layout.spans.map(({ exchange, x, width: length, y }) => `<path class="span" data-x="${exchange}" d="M${n(x)} ${n(y)}h${n(length)}"/>`).join("")}
${layout.arrows.map((arrow) => drawArrow(arrow, name)).join("")}
${layout.rewinds.map((rewind) => drawRewind(rewind, name)).join("")}
${layout.marks.map((mark) => drawMark(story, mark, Math.min(11, layout.step / 2))).join("\n")}
</svg>`
}

/** A lane's line goes on while it is offline, and stops while it is down. */
const drawBands = (layout: Layout, name: string, which: (kind: Band["kind"]) => boolean): string =>
  layout.bands
    .filter(({ kind }) => which(kind))
    .map((band) => drawBand(band, name))
    .join("")

const drawBand = ({ kind, x, y, width, height, label }: Band, name: string): string => {
  const words =
    width > label.length * 6 ? `<text x="${n(x + 5)}" y="${n(y + height - 4)}">${escape(label)}</text>` : ""
  const fill =
    kind === "down"
      ? ""
      : `<rect fill="url(#${name}-${kind})" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}"/>`
  return `<g class="band ${kind}"><title>${escape(label)}</title><rect class="wash" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}"/>${fill}${words}</g>`
}

const drawArrow = ({ exchange, from, to, way, fate, loaded }: Arrow, name: string): string => {
  const path = `M${n(from[0])} ${n(from[1])}L${n(to[0])} ${n(to[1])}`
  const head = fate === "lost" ? "" : ` marker-end="url(#${name}-head)"`
  return `<g class="arrow ${way} ${fate}${loaded ? " loaded" : ""}" data-x="${exchange}"><path class="hit" d="${path}"/><path class="way" d="${path}"${head}/></g>`
}

const drawRewind = ({ event, from, to, y, side }: Rewind, name: string): string => {
  const up = side === "above" ? -1 : 1
  const rise = up * (side === "above" ? 42 : 28)
  const lean = Math.min(26, (from - to) / 3)
  // Above a server the arc spans the labels, from one to the other.
  const start = y + up * (side === "above" ? 21 : 7)
  return `<path class="rewind" data-e="${event}" d="M${n(from)} ${n(start)}C${n(from - lean)} ${n(y + rise)} ${n(to + lean)} ${n(y + rise)} ${n(to)} ${n(start)}" marker-end="url(#${name}-back)"/>`
}

const drawMark = (
  story: Story,
  { event, x, y, shape, fate, label, verdicts }: Mark,
  reach: number
): string => {
  const it = story.events[event]!
  const words = `${it.lane}, ${Duration.short(it.at)}: ${sentence(it)}${fate === null ? "" : `; ends ${fate}`}`
  const named = verdicts.some((verdict) => verdict.named)
  const shown = named ? verdicts.slice(0, 4) : verdicts.slice(0, 5)
  const below = shown.map(
    ({ record, outcome }, i) =>
      `<g class="verdict ${fateClass(outcome)}" data-r="${escape(record)}" transform="translate(${named ? 3 : 0} ${(named ? 18 : 13) + i * (named ? 13 : 7)})">${fateShape(outcome, named ? 3.4 : 2.6)}${named ? `<text x="7" y="3.5">${escape(record)}${i === 3 && verdicts.length > 4 ? ` +${verdicts.length - 4}` : ""}</text>` : ""}</g>`
  )
  const text =
    label === ""
      ? ""
      : `<text class="label" x="${shape === "violated" ? 9 : -4}" y="-9">${labelMarkup(label)}</text>`
  return `<g class="mark ${shape}${"replayed" in it && it.replayed === 0 ? " still" : ""}${fate === null ? "" : ` ${fateClass(fate)}`}" data-e="${event}" role="button" tabindex="-1" aria-label="${escape(words)}" transform="translate(${n(x)} ${n(y)})"><circle class="target" r="${n(reach)}"/>${fate === null ? glyphs[shape] : fateShape(fate, 5.4)}${text}${below.join("")}</g>`
}

/** The name of a record stands out from its action. */
const labelMarkup = (label: string): string => {
  const space = label.indexOf(" ")
  const end = space < 0 ? label.length : space
  return label.startsWith("#")
    ? `<tspan class="name">${escape(label.slice(0, end))}</tspan>${escape(label.slice(end))}`
    : escape(label)
}

const known = new Set(["pending", "applied", "changed", "rejected", "voided", "external"])
const fateClass = (outcome: string): string => `fate-${known.has(outcome) ? outcome : "pending"}`

/** A shape for each fate, so that colour is not alone in saying it. `r`: radius. */
export const fateShape = (fate: string, r: number): string => {
  const d = n(r * 1.25)
  switch (fate) {
    case "applied":
      return `<circle class="shape" r="${n(r)}"/>`
    case "changed":
      return `<path class="shape" d="M0 -${d}L${d} 0 0 ${d}-${d} 0z"/>`
    case "rejected":
      return `<path class="shape" d="M-${n(r * 0.9)} -${n(r * 0.9)}h${n(r * 1.8)}v${n(r * 1.8)}h-${n(r * 1.8)}z"/><path class="cut" d="M-${n(r * 0.45)} -${n(r * 0.45)}l${n(r * 0.9)} ${n(r * 0.9)}m0 -${n(r * 0.9)}l-${n(r * 0.9)} ${n(r * 0.9)}"/>`
    case "voided":
      return `<circle class="shape" r="${n(r)}"/><path class="strike" d="M-${n(r * 1.3)} ${n(r * 1.3)}L${n(r * 1.3)} -${n(r * 1.3)}"/>`
    default:
      return `<circle class="shape hollow" r="${n(r - 0.6)}"/>`
  }
}

const glyphs: Readonly<Record<Shape, string>> = {
  record: '<circle class="shape hollow" r="5"/>',
  sent: '<circle class="dot" r="2.6"/>',
  arrived: '<path class="dot" d="M0 -5v10" />',
  served: '<rect class="box" x="-4" y="-6" width="8" height="12" rx="2"/>',
  failed:
    '<rect class="box" x="-4" y="-6" width="8" height="12" rx="2"/><path class="cross" d="M-3 -3l6 6m0-6l-6 6"/>',
  applied: '<circle class="ring" r="3.4"/>',
  refused: '<circle class="ring" r="5"/><path class="cross" d="M-3.4 3.4l6.8-6.8"/>',
  switch: '<path class="bar" d="M0 -9v18"/>',
  crashed: '<path class="crash" d="M-5.5 -5.5l11 11m0-11l-11 11"/>',
  restarted: '<path class="play" d="M-3.5 -5.5L6 0l-9.5 5.5z"/>',
  clock: '<circle class="ring" r="5"/><path class="cross" d="M0 -3v3h2.6"/>',
  write: '<path class="diamond" d="M0 -6.5L6.5 0 0 6.5-6.5 0z"/>',
  forged: '<path class="triangle" d="M0 -7L7 5.5H-7z"/><path class="bang" d="M0 -2.6v4M0 3v1.2"/>',
  inbox: '<path class="envelope" d="M-5 -3.5h10v7H-5zM-5 -3.5L0 1l5-4.5"/>',
  phase: '<circle class="dot" r="3.4"/>',
  violated: '<circle class="violation" r="8.5"/><path class="bang" d="M0 -4.6v5.4M0 3.4v1.4"/>',
  lost: '<path class="lostcross" d="M-4.5 -4.5l9 9m0-9l-9 9"/>'
}

/** A small picture of a shape, for the legend. */
export const sample = (shape: Shape | "fate", fate = ""): string =>
  `<svg class="sample" width="18" height="18" viewBox="-9 -9 18 18" aria-hidden="true"><g class="mark ${shape === "fate" ? fateClass(fate) : shape}">${shape === "fate" ? fateShape(fate, 5) : glyphs[shape]}</g></svg>`

/**
 * A run as a page: who did what, in which order, which messages crossed, and what became of every record. The page needs
 * nothing but itself, and its security policy admits only its own script and style.
 */

import { invariants, type Verdict } from "../check/Checker.ts"
import type { Report } from "../Report.ts"
import * as Data from "./Data.ts"
import * as Describe from "./Describe.ts"
import type { Layout } from "./Drawing.ts"
import * as Duration from "./Duration.ts"
import { cut, escape, policyHash, scriptJson } from "./Html.ts"
import { layout } from "./Layout.ts"
import { pageScript } from "./PageScript.ts"
import { fates, namesIn, read, type Story } from "./Story.ts"
import { styles } from "./Styles.ts"
import { draw, sample } from "./Svg.ts"

export const timelineHtml = (report: Report): string => {
  const story = read(report)
  const title = `${report.script.scenario}, seed ${report.seed}: ${report.verdict}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${policyHash(styles)}; script-src ${policyHash(pageScript)}">
<title>${escape(title)}</title>
<style>${styles}</style>
</head>
<body>
${header(report, story)}
<main>
${tools(story)}
${lanes(story)}
<div class="panel idle">
<section aria-label="Event" id="event" aria-live="polite" tabindex="0"><p class="hint">Point at a mark for its details; click it to follow its record or its exchange. Arrow keys move from event to event, with Shift within a lane; Escape lets go.</p></section>
<section aria-label="Record" tabindex="0"><div id="life"><p class="hint">Choose a record to follow it through every lane.</p></div></section>
</div>
${table(story)}
</main>
<script type="application/json" id="data">${scriptJson(Data.of(story))}</script>
<script>${pageScript}</script>
</body>
</html>
`
}

// --------------------------------------------------------------------------------------------- header

const symbols: Readonly<Record<Verdict, string>> = { pass: "✓", fail: "✗", unknown: "?" }

const header = (report: Report, story: Story): string => {
  const checks = invariants.map((name) => {
    const verdict = report.checks[name]
    return `<li class="${verdict}" title="${name}: ${verdict}"><span aria-hidden="true">${symbols[verdict]}</span> ${name}<span class="hidden"> ${verdict}</span></li>`
  })
  const counts = [
    [report.clients, "clients"],
    [report.actions, "actions"],
    [report.confirmed, "confirmed"],
    [report.changed, "changed"],
    [report.rejected, "rejected"],
    [report.voided, "voided"],
    [report.lateArrivals, "late arrivals"],
    [report.replays, "replays"],
    [report.restarts, "restarts"]
  ].map(([count, name]) => `<li>${name} <b>${count}</b></li>`)
  const faults = Object.entries(report.faults).filter(([, count]) => count > 0)
  const last = report.trace[report.trace.length - 1]?.at ?? 0
  return `<header>
<h1>${escape(report.script.scenario)} <span class="verdict-word ${report.verdict}">${report.verdict}</span> <small>seed <code>${report.seed}</code> · ${report.trace.length} events in ${Duration.short(last)} of virtual time · ${Duration.short(report.wallMs)} to run · trace <code>${escape(report.hash.slice(0, 12))}</code></small></h1>
<div class="summary">
<ul class="plain checks" aria-label="Checks">${checks.join("")}</ul>
<ul class="plain" aria-label="Counts">${counts.join("")}</ul>
</div>
<div class="summary">
<ul class="plain" aria-label="Faults that happened"><li>Faults:</li>${faults.length === 0 ? "<li>none</li>" : faults.map(([name, count]) => `<li>${escape(name)} <b>${count}</b></li>`).join("")}</ul>
${world(report)}
</div>
${failures(report, story)}
</header>`
}

const world = ({ script }: Report): string => {
  const { network } = script
  const percent = (share: number) => `${Number((share * 100).toFixed(1))} %`
  const devices = script.devices.map(
    ({ user, skewMs, lacks }, i) =>
      `c${i} ${user}${skewMs === 0 ? "" : `, clock ${Duration.signed(skewMs)}`}${lacks === null ? "" : `, lacks ${lacks}`}`
  )
  const stepCounts = new Map<string, number>()
  for (const { kind } of script.steps) stepCounts.set(kind, (stepCounts.get(kind) ?? 0) + 1)
  return `<details class="world"><summary>The script's world</summary>
<p>Devices: ${escape(devices.join("; "))}.</p>
<p>Network: up to ${Duration.short(network.latencyMsMax)}; lost ${percent(network.loss)}, duplicated ${percent(network.duplication)}, answers lost ${percent(network.lostResponse)}, slow ${percent(network.slow)}. Clocks tick in ${Duration.short(script.tickMs)}. Servers' clocks: ${script.serverSkewsMs.map(Duration.signed).join(", ")}.</p>
<p>Reorder window: ${script.reorderWindowMs === null ? "the default time" : Duration.short(script.reorderWindowMs)}, ${script.reorderWindowRecords === null ? "the default number of" : script.reorderWindowRecords} records.${script.compaction === undefined ? "" : ` Compaction: ${escape(JSON.stringify(script.compaction))}.`}</p>
<p>Steps: ${escape([...stepCounts].map(([kind, count]) => `${kind} ${count}`).join(", "))}.</p>
</details>`
}

const failures = (report: Report, story: Story): string => {
  if (report.failures.length === 0) return ""
  const items = report.failures.map(({ check, at, message }) => {
    const place = placeOf(story, { check, at, message })
    const names = namesIn(message, story.records)
    return `<li><span class="check">${escape(check)}</span> at ${escape(Duration.exact(at))}${
      place === undefined ? "" : ` · <a href="#row-${place}" data-goto="${place}">show</a>`
    }${names.length === 0 ? "" : ` · follow ${names.map((name) => `<button type="button" class="ref" data-follow="${escape(name)}">${escape(name)}</button>`).join(" ")}`}<p class="message">${escape(message)}</p></li>`
  })
  return `<section class="failures" aria-labelledby="failures"><h2 id="failures">${report.failures.length === 1 ? "1 failure" : `${report.failures.length} failures`}</h2><ol>${items.join("")}</ol></section>`
}

/** The violation in the trace that says the same, else the last event before the failure. */
const placeOf = (story: Story, failure: Report["failures"][number]): number | undefined => {
  const exact = story.events.findIndex(
    (event) => event.kind === "violated" && event.check === failure.check && event.message === failure.message
  )
  if (exact >= 0) return exact
  const before = story.events.findLastIndex((event) => event.at <= failure.at)
  return before < 0 ? undefined : before
}

// -------------------------------------------------------------------------------------- tools and lanes

const tools = (story: Story): string => {
  const options = [...story.records.values()].map(
    ({ name, fate, executed }) =>
      `<option value="${escape(name)}">${escape(name)} ${escape(actionOf(story, executed))} · ${fate}</option>`
  )
  const empty = [...story.exchanges.values()].filter((exchange) => exchange.empty).length
  const shapes = [
    ["served", "answer"],
    ["lost", "lost message"],
    ["crashed", "crash"],
    ["restarted", "restart"],
    ["write", "other write"],
    ["violated", "violation"]
  ] as const
  return `<div class="tools">
<label>Record <select id="record"><option value="">all</option>${options.join("")}</select></label>
${empty === 0 ? "" : `<label><input type="checkbox" id="quiet"> Show ${empty} empty ${empty === 1 ? "sync" : "syncs"}</label>`}
<ul class="plain legend" aria-label="Legend">${fates.map((fate) => `<li>${sample("fate", fate)}${fate}</li>`).join("")}${shapes.map(([shape, name]) => `<li>${sample(shape)}${name}</li>`).join("")}<li>↺ taken back and executed again</li></ul>
</div>`
}

const actionOf = (story: Story, executed: number | null): string => {
  const event = executed === null ? undefined : story.events[executed]
  return event?.kind === "executed" ? `${event.action} ${cut(event.args, 40)}` : ""
}

const lanes = (story: Story): string => {
  const brief = layout(story, { quiet: false })
  const all = story.quiet.size === 0 ? null : layout(story, { quiet: true })
  return `<h2 class="hidden">Timeline</h2>
<div class="lanes">
<div class="names">${names(brief)}</div>
<div class="scroller" id="brief">${draw(story, brief, "b")}</div>
${all === null ? "" : `<div class="scroller" id="all" hidden>${draw(story, all, "a")}</div>`}
</div>`
}

/** In the same coordinates as the drawing; an SVG, since positions in a style attribute would need a weaker policy. */
const names = ({ lanes: boxes, height }: Layout): string =>
  `<svg class="drawing" width="124" height="${height}" role="list" aria-label="Lanes">${boxes
    .map(
      ({ y, top, height: laneHeight, story }) =>
        `<g role="listitem"><rect class="stripe ${story.role}" x="0" y="${top}" width="124" height="${laneHeight}"/><text class="lane" x="10" y="${y + (story.about.length === 0 ? 4 : -1)}">${escape(story.name)} <tspan class="who">${escape(cut(story.about[0] ?? "", 14))}</tspan></text><text class="about" x="10" y="${y + 12}">${escape(cut(story.about.slice(1).join(", "), 19))}</text><title>${escape([story.name, ...story.about].join(", "))}</title></g>`
    )
    .join("")}</svg>`

/** Everything once more in words, for reading without the drawing and for searching. */
const table = (story: Story): string =>
  `<details class="table"><summary>All ${story.events.length} events as a table</summary>
<table><thead><tr><th class="when" scope="col">Time</th><th class="where" scope="col">Lane</th><th class="what" scope="col">Event</th><th scope="col">Details</th></tr></thead><tbody>
${story.events
  .map(
    (event, at) =>
      `<tr id="row-${at}"><td>${Duration.exact(event.at)}</td><td>${escape(event.lane)}</td><td>${escape(Describe.sentence(event))}</td><td>${Describe.facts(
        event
      )
        .map(([name, value]) => `${escape(name)}: ${escape(value)}`)
        .join("; ")}</td></tr>`
  )
  .join("\n")}
</tbody></table></details>`

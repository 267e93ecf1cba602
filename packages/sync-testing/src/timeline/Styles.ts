/** The page's style sheet. Colours are variables, once for light and once for dark; text has a contrast of 4.5 and more. */
export const styles = `
:root {
  color-scheme: light dark;
  --page: #fbfbf9; --sheet: #ffffff; --stripe: #f6f6f3; --text: #1d1f22; --soft: #5b6068; --line: #c9ccd1; --hair: #e4e5e3;
  --message: #6b7078; --faint: #8f949c; --focus: #1a56c4;
  --pending: #6b7078; --applied: #1d68a8; --changed: #a85f00; --rejected: #8a3a9c; --voided: #b0306a; --external: #4c6b1f;
  --bad: #c4161c; --bad-wash: #fdeceb; --good: #1b6e3c; --down: #e9e5e0; --offline: #e8eaee; --hatch: #c5cad3; --on-bad: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171a; --sheet: #1b1e22; --stripe: #20242a; --text: #e6e7e9; --soft: #a3a9b2; --line: #4a5059; --hair: #2d3239;
    --message: #a3a9b2; --faint: #666d77; --focus: #7fb0ff;
    --pending: #a3a9b2; --applied: #6cb2f2; --changed: #efa73d; --rejected: #cf8fe0; --voided: #ff86b4; --external: #a5cc6b;
    --bad: #ff6b66; --bad-wash: #3a2021; --good: #6fcb90; --down: #282624; --offline: #23282f; --hatch: #3d444e; --on-bad: #1a0a0a;
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text); font: 14px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif; font-variant-numeric: tabular-nums }
header, main { padding: 0 24px; max-width: 100% }
header { padding-top: 14px }
h1 { font-size: 19px; margin: 0; display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; font-weight: 650 }
h1 small { font-size: 14px; font-weight: 400; color: var(--soft) }
h2 { font-size: 13px; margin: 0 0 4px; font-weight: 650 }
code, pre { font: 12.5px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace }
button, select, input { font: inherit; color: inherit }
a { color: var(--focus) }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px }
.verdict-word { font-size: 14px; padding: 1px 10px; border-radius: 4px; border: 1px solid currentColor }
.pass { color: var(--good) } .fail { color: var(--bad) } .unknown { color: var(--soft) }
.verdict-word.fail { background: var(--bad); color: var(--on-bad); border-color: var(--bad) }
ul.plain { list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 2px 14px }
.summary { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 6px 0 0; color: var(--soft) }
.summary b { color: var(--text); font-weight: 600 }
.checks li { white-space: nowrap }
.checks .fail { font-weight: 700 }
details > summary { cursor: pointer; color: var(--soft) }
.world p { margin: 4px 0; max-width: 90ch }
.failures { margin: 10px 0 0; border: 1px solid var(--bad); border-left-width: 5px; background: var(--bad-wash); padding: 8px 12px; border-radius: 3px }
.failures ol { margin: 0; padding: 0; list-style: none; max-height: 34vh; overflow-y: auto }
.failures li + li { margin-top: 8px; border-top: 1px solid var(--bad); padding-top: 8px }
.failures .message { white-space: pre-wrap; overflow-wrap: anywhere; margin: 2px 0 0; max-height: 12.5em; overflow-y: auto }
.failures .check { font-weight: 700; color: var(--bad) }
.tools { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: center; margin: 10px 0 6px }
.tools select { background: var(--sheet); border: 1px solid var(--line); border-radius: 4px; padding: 1px 4px; max-width: 22em }
.tools label { white-space: nowrap }
.legend { color: var(--soft); gap: 0 12px; font-size: 12.5px }
.legend li { display: inline-flex; align-items: center; gap: 3px }
.sample { flex: none }
button.ref { border: 0; padding: 0 2px; background: none; color: var(--focus); text-decoration: underline; text-underline-offset: 2px; cursor: pointer; font: inherit }
.lanes { display: grid; grid-template-columns: auto minmax(0, 1fr); border: 1px solid var(--hair); background: var(--sheet) }
.names { border-right: 1px solid var(--line); overflow: hidden }
.drawing .lane { font-size: 13px; font-weight: 700 } .drawing .who { font-weight: 400; font-size: 12px; fill: var(--soft) }
.drawing .about { font-size: 10.5px; fill: var(--soft) }
.scroller { overflow-x: auto; overflow-y: hidden; overscroll-behavior-x: contain }
.scroller[hidden] { display: none }
.drawing { display: block; font-size: 11px }
.drawing text { fill: var(--text) }
.stripe { fill: none } .stripe.server { fill: var(--stripe) }
.axis, .tick path { stroke: var(--line); fill: none }
.drawing .tick text { fill: var(--soft); font-size: 10.5px }
.drawing .tick.absolute text { fill: var(--text); font-weight: 600 }
.break path { stroke: var(--faint); stroke-dasharray: 1 4; stroke-width: 1.5; fill: none }
.drawing .break text { fill: var(--soft); font-size: 10.5px; text-anchor: middle }
.line { stroke: var(--line); fill: none } .line.server { stroke: var(--faint); stroke-width: 1.5 } .line.sim { stroke-dasharray: 2 3 }
.rule { fill: none; stroke: var(--faint) } .rule.violated { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 3 }
.band .wash { fill: var(--offline) } .band.down .wash { fill: var(--down) }
.hatch { fill: var(--hatch) }
.drawing .band text { fill: var(--soft); font-size: 10.5px; paint-order: stroke; stroke: var(--sheet); stroke-width: 3px }
.span { stroke: var(--faint); stroke-width: 5; stroke-linecap: round; fill: none }
.arrow .hit { stroke: transparent; stroke-width: 9; fill: none; cursor: pointer }
.arrow .way { stroke: var(--faint); fill: none; pointer-events: none }
.arrow.loaded .way { stroke: var(--message); stroke-width: 1.5 }
.arrow.again .way { stroke-dasharray: 5 4 } .arrow.unheard .way { stroke-dasharray: 2 3 } .arrow.lost .way { stroke-width: 1.3 }
.head { fill: var(--message) }
.rewind { fill: none; stroke: var(--changed); stroke-width: 1.8 } .back { fill: var(--changed) }
.mark { cursor: pointer } .mark:focus { outline: none }
.target { fill: transparent } .mark:focus-visible .target, .mark.picked .target { stroke: var(--focus); stroke-width: 2 }
.drawing .label { paint-order: stroke; stroke: var(--sheet); stroke-width: 3px; stroke-linejoin: round }
.name { font-weight: 700 }
.shape { stroke-width: 1.8 }
.fate-pending .shape { stroke: var(--pending); fill: var(--pending) } .fate-applied .shape { stroke: var(--applied); fill: var(--applied) }
.fate-changed .shape { stroke: var(--changed); fill: var(--changed) } .fate-rejected .shape { stroke: var(--rejected); fill: var(--rejected) }
.fate-voided .shape { stroke: var(--voided); fill: var(--sheet) } .fate-external .shape { stroke: var(--external); fill: var(--external) }
.shape.hollow, .fate-pending .shape.hollow { fill: var(--sheet) }
.cut { stroke: var(--sheet); stroke-width: 1.4; fill: none } .strike { stroke: var(--voided); stroke-width: 1.8 }
.mark.fate-applied .name { fill: var(--applied) } .mark.fate-changed .name { fill: var(--changed) }
.mark.fate-rejected .name { fill: var(--rejected) } .mark.fate-voided .name { fill: var(--voided) }
.verdict text { font-size: 10.5px; paint-order: stroke; stroke: var(--stripe); stroke-width: 3px }
.drawing .verdict.fate-applied text { fill: var(--applied) } .drawing .verdict.fate-changed text { fill: var(--changed) }
.drawing .verdict.fate-rejected text { fill: var(--rejected) } .drawing .verdict.fate-voided text { fill: var(--voided) }
.dot { fill: var(--message); stroke: var(--message); stroke-width: 1.5 }
.box { fill: var(--sheet); stroke: var(--message); stroke-width: 1.8 }
.ring { fill: var(--sheet); stroke: var(--message); stroke-width: 1.6 }
.mark.refused .ring, .mark.refused .cross { stroke: var(--rejected) }
.cross, .lostcross { stroke: var(--message); stroke-width: 1.6; fill: none }
.lostcross { stroke: var(--text); stroke-width: 2.2 }
.mark.failed .cross { stroke: var(--rejected) }
.bar { stroke: var(--soft); stroke-width: 2 }
.crash { stroke: var(--text); stroke-width: 3.2; stroke-linecap: round; fill: none } .play { fill: var(--text) }
.diamond { fill: var(--sheet); stroke: var(--external); stroke-width: 2 }
.triangle { fill: var(--sheet); stroke: var(--rejected); stroke-width: 1.8 } .mark.forged .bang { stroke: var(--rejected); stroke-width: 1.6 }
.envelope { fill: var(--sheet); stroke: var(--rejected); stroke-width: 1.4 }
.violation { fill: var(--bad) } .mark.violated .bang { stroke: var(--on-bad); stroke-width: 2.4; stroke-linecap: round }
.drawing .mark.violated .label { fill: var(--bad); font-weight: 700; font-size: 12.5px }
.drawing .mark.served .label, .drawing .mark.applied .label { fill: var(--changed); font-weight: 600 }
.drawing .mark.still .label { fill: var(--soft); font-weight: 400 }
.focusing .mark, .focusing .arrow, .focusing .rewind, .focusing .span { opacity: .22 }
.focusing .on, .focusing .mark.violated, .focusing .mark.picked { opacity: 1 }
.focusing .verdict { opacity: .3 } .focusing .verdict.on { opacity: 1 }
.focusing .arrow.on .way { stroke: var(--text); stroke-width: 2 }
.panel { position: sticky; bottom: 0; display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 28px; margin-top: 8px; padding: 8px 14px; background: var(--sheet); border: 1px solid var(--line); border-radius: 4px 4px 0 0; height: 216px }
.panel.idle { height: auto }
.panel > section { overflow-y: auto; min-height: 0 }
.panel > section + section { border-left: 1px solid var(--hair); padding-left: 20px }
.panel dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 1px 12px; margin: 0 }
.panel dt { color: var(--soft) } .panel dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }
.panel p { margin: 0 0 3px } .panel .hint { color: var(--soft) }
.panel ol { margin: 3px 0 0; padding: 0; list-style: none }
.panel li { display: grid; grid-template-columns: 9.5em minmax(0, 1fr) }
.panel li time { color: var(--soft) }
.panel li button { text-align: left }
.table { margin: 12px 0 24px }
.table table { border-collapse: collapse; width: 100%; font-size: 12.5px; margin-top: 6px; table-layout: fixed }
.table th { text-align: left; color: var(--soft); font-weight: 600 } .table td, .table th { padding: 2px 8px 2px 0; vertical-align: top; border-bottom: 1px solid var(--hair); overflow-wrap: anywhere }
.table .when { width: 10em } .table .where { width: 4em } .table .what { width: 34% }
.table tr:target { background: var(--offline) }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
@media (max-width: 700px) {
  header, main { padding-left: 12px; padding-right: 12px }
  .names .drawing { width: 60px } .drawing .about { display: none }
  .panel { grid-template-columns: minmax(0, 1fr); height: 42vh; overflow-y: auto; align-content: start; gap: 8px }
  .panel > section { overflow: visible } .panel > section + section { border-left: 0; padding-left: 0; border-top: 1px solid var(--hair); padding-top: 6px }
  .table .when { width: 7em } .table .what { width: 40% }
}
@media print { .panel, .tools { display: none } }
`

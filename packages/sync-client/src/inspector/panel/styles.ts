/** The panel's looks, in a shadow root: nothing of the page reaches in, and nothing reaches out. */
export const styles = `
:host {
  color-scheme: light dark;
  --bg: light-dark(#ffffff, #14171d);
  --soft: light-dark(#f4f5f8, #1c2028);
  --line: light-dark(#d5d9e1, #363d4a);
  --text: light-dark(#191d25, #e8ebf1);
  --muted: light-dark(#555e6d, #a6afbe);
  --accent: light-dark(#1a5ac8, #8fb8ff);
  --chosen: light-dark(#e2ecfd, #243453);
  --pending: light-dark(#7d5200, #f2bd62);
  --confirmed: light-dark(#14663a, #74d6a0);
  --changed: light-dark(#6a3aa3, #cbaaf7);
  --rejected: light-dark(#ad2119, #ff958b);
  --voided: var(--rejected);
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums;
  color: var(--text);
  display: block;
  text-align: start;
}
:host([dock="bottom"]), :host([dock="side"]) { position: fixed; z-index: 2147483000; inset-inline-end: 0; inset-block-end: 0; }
:host([dock="bottom"]) { inset-inline-start: 0; height: calc(var(--size) * 1dvh); }
:host([dock="side"]) { inset-block-start: 0; width: max(340px, calc(var(--size) * 1vw)); max-width: 100vw; }
:host([dock="inside"]) { height: 100%; min-height: 320px; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
.panel { container: panel / inline-size; display: flex; flex-direction: column; height: 100%; background: var(--bg); border: 0 solid var(--line); position: relative; }
:host([dock="bottom"]) .panel { border-top-width: 1px; box-shadow: 0 -6px 24px rgb(0 0 0 / 0.14); }
:host([dock="side"]) .panel { border-left-width: 1px; box-shadow: -6px 0 24px rgb(0 0 0 / 0.14); }
:host([dock="inside"]) .panel { border-width: 1px; }
.grip { position: absolute; z-index: 2; touch-action: none; background: transparent; }
:host([dock="bottom"]) .grip { inset: -5px 0 auto; height: 10px; cursor: ns-resize; }
:host([dock="side"]) .grip { inset: 0 auto 0 -5px; width: 10px; cursor: ew-resize; }
:host([dock="inside"]) .grip { display: none; }
.grip:hover, .grip:focus-visible { background: color-mix(in srgb, var(--accent) 45%, transparent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 12px; padding: 6px 10px; background: var(--soft); border-bottom: 1px solid var(--line); }
h1 { font-size: 13px; font-weight: 650; margin: 0; letter-spacing: 0.01em; }
h2 { font-size: 15px; font-weight: 650; margin: 0; overflow-wrap: anywhere; }
h3, h2.section { font-size: 11px; font-weight: 650; margin: 18px 0 6px; color: var(--muted); text-transform: uppercase; letter-spacing: 0.05em; }
p { margin: 6px 0; max-width: 75ch; }
.muted { color: var(--muted); }
.grow { flex: 1; }
.session { display: inline-flex; gap: 10px; color: var(--muted); white-space: nowrap; }
.session b { color: var(--text); font-weight: 600; }
.controls { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 10px; }
button, input, select { font: inherit; color: inherit; border: 1px solid var(--line); background: var(--bg); border-radius: 6px; min-height: 28px; padding: 2px 10px; }
button { cursor: pointer; white-space: nowrap; }
button:hover:not(:disabled) { border-color: var(--accent); }
button:disabled { color: var(--muted); cursor: default; background: var(--soft); }
button[aria-pressed="true"] { background: var(--chosen); border-color: var(--accent); font-weight: 600; }
button.plain { border-color: transparent; background: transparent; padding: 2px 8px; }
button.main { border-color: var(--accent); color: var(--accent); font-weight: 600; }
label { display: inline-flex; align-items: center; gap: 6px; white-space: nowrap; }
input[type="number"] { width: 76px; padding-inline: 6px; text-align: end; }
input[type="checkbox"] { min-height: 0; width: 16px; height: 16px; margin: 0; accent-color: var(--accent); }
input[type="search"] { width: 100%; min-width: 0; }
nav { display: flex; gap: 2px; padding: 0 8px; border-bottom: 1px solid var(--line); background: var(--soft); overflow-x: auto; }
[role="tab"] { border: 0; border-radius: 0; background: none; padding: 6px 10px; border-bottom: 2px solid transparent; color: var(--muted); }
[role="tab"][aria-selected="true"] { color: var(--text); border-bottom-color: var(--accent); font-weight: 600; }
[role="tab"]:focus-visible { outline-offset: -3px; }
.problem { display: flex; align-items: center; justify-content: space-between; gap: 10px; padding: 4px 10px; border-bottom: 1px solid var(--line); color: var(--rejected); overflow-wrap: anywhere; }
[role="tabpanel"] { flex: 1; min-height: 0; display: flex; }
.records { display: grid; grid-template-columns: minmax(300px, 46%) 1fr; flex: 1; min-height: 0; }
.list { display: flex; flex-direction: column; min-height: 0; min-width: 0; border-inline-end: 1px solid var(--line); }
.list .filter { padding: 6px 8px; border-bottom: 1px solid var(--line); }
[role="listbox"] { flex: 1; overflow: auto; min-height: 0; padding: 2px 0; }
[role="listbox"]:focus-visible { outline-offset: -2px; }
[role="option"] { display: grid; grid-template-columns: 106px minmax(0, 1fr) auto auto; gap: 0 10px; align-items: center; min-height: 28px; padding: 2px 10px; cursor: default; content-visibility: auto; contain-intrinsic-size: auto 28px; border-inline-start: 3px solid transparent; }
[role="option"]:hover { background: var(--soft); }
[role="option"][aria-selected="true"] { background: var(--chosen); border-inline-start-color: var(--accent); }
[role="option"] .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 550; }
[role="option"] .extra { color: var(--muted); font-size: 12px; }
[role="option"] time { font-family: var(--mono); font-size: 12px; color: var(--muted); }
.state { white-space: nowrap; font-weight: 600; color: var(--state); }
.state::before { content: attr(data-sign); display: inline-block; width: 1.3em; }
.pane { overflow: auto; padding: 12px 14px 24px; min-width: 0; flex: 1; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; margin: 10px 0; align-items: center; }
dl { display: grid; grid-template-columns: minmax(88px, max-content) minmax(0, 1fr); gap: 3px 14px; margin: 8px 0; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
code, pre, td.value { font-family: var(--mono); font-size: 12px; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: 8px 10px; margin: 4px 0; overflow: auto; max-height: 260px; white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow: auto; max-width: 100%; border: 1px solid var(--line); border-radius: 6px; margin: 4px 0 12px; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: start; padding: 6px 10px; font-weight: 600; background: var(--soft); border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th, td { text-align: start; padding: 4px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > td, tr:last-child > th { border-bottom: 0; }
th { color: var(--muted); font-weight: 550; white-space: nowrap; }
thead th { background: var(--soft); position: sticky; top: 0; }
td.number, th.number { text-align: end; white-space: nowrap; }
td.value { overflow-wrap: anywhere; min-width: 9ch; }
td.nowrap { white-space: nowrap; }
.null { color: var(--muted); font-style: italic; }
del, ins { text-decoration: none; }
del { color: var(--rejected); }
ins { color: var(--confirmed); }
tr.differs > * { background: color-mix(in srgb, var(--changed) 12%, transparent); }
.parts { columns: 330px; column-gap: 36px; }
.part { break-inside: avoid; padding-bottom: 16px; }
.part h2 { margin-top: 0; }
td.result { min-width: 17ch; }
.empty { color: var(--muted); padding: 18px 14px; }
.back { display: none; }
.quiet { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@container panel (max-width: 680px) {
  .records { grid-template-columns: 1fr; }
  .records[data-shows="list"] .pane, .records[data-shows="pane"] .list { display: none; }
  .list { border-inline-end: 0; }
  .back { display: inline-block; }
  header { padding: 6px 8px; gap: 6px; }
  .controls { order: 1; width: 100%; gap: 6px 8px; }
  .controls button { padding-inline: 8px; }
  input[type="number"] { width: 60px; }
  button, input, select { min-height: 34px; }
  [role="option"] { min-height: 44px; grid-template-columns: 106px minmax(0, 1fr) auto; contain-intrinsic-size: auto 44px; }
  [role="option"] .extra { grid-row: 2; grid-column: 2 / -1; }
  .pane { padding: 10px 12px 24px; }
}
@media (max-width: 680px) { .dock { display: none; } }
@media (prefers-reduced-motion: no-preference) { button:not([role]) { transition: border-color 0.12s; } }
@media (forced-colors: active) { [role="option"][aria-selected="true"] { outline: 2px solid Highlight; outline-offset: -2px; } }
`

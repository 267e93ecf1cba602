import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { launchBrowser } from "../../../test/browser.ts"
import type { Report } from "../src/Report.ts"
import type { Event } from "../src/Trace.ts"
import * as Duration from "../src/timeline/Duration.ts"
import { escape, scriptJson } from "../src/timeline/Html.ts"
import { layout } from "../src/timeline/Layout.ts"
import { read } from "../src/timeline/Story.ts"
import { timelineHtml } from "../src/timeline/Timeline.ts"

const hostile = `</script><img src=x onerror="document.title='owned'">`
const hour = 3_600_000
const hlc = (ms: number, client: number) =>
  `${ms.toString(16).padStart(12, "0")}-0000-00000000-0000-4000-8000-00000000000${client}`

/**
 * Two clients act while they are offline. The first to come back is confirmed; the other's records are older, so that the
 * server takes one back and executes it again, and a third client merges. One answer is lost, one client crashes, one
 * record is refused, and in the end a check fails.
 */
const trace: ReadonlyArray<Event> = [
  { at: 0, lane: "c2", kind: "sent", exchange: 1, records: [] },
  { at: 40, lane: "s0", kind: "arrived", exchange: 1, client: "c2", again: false },
  {
    at: 60,
    lane: "s0",
    kind: "served",
    exchange: 1,
    client: "c2",
    seq: 3,
    rows: 0,
    later: [],
    verdicts: [],
    replayed: 0
  },
  {
    at: 90,
    lane: "c2",
    kind: "applied",
    exchange: 1,
    path: "nothing",
    rows: 0,
    replayed: 0,
    pending: 0,
    verdicts: []
  },
  { at: 1_000, lane: "c0", kind: "offline" },
  { at: 1_500, lane: "c1", kind: "partition" },
  {
    at: 2_000,
    lane: "c0",
    kind: "executed",
    record: "c0#1",
    action: "todo.add@1",
    args: JSON.stringify({ title: hostile }),
    hlc: hlc(2_000, 0)
  },
  {
    at: 3_000,
    lane: "c1",
    kind: "executed",
    record: "c1#1",
    action: "todo.rename@1",
    args: '{"title":"b"}',
    hlc: hlc(3_000, 1)
  },
  { at: 3_100, lane: "c1", kind: "sent", exchange: 2, records: ["c1#1"] },
  { at: 3_900, lane: "c1", kind: "lost", exchange: 2, what: "request", why: "partition" },
  { at: 4 * hour, lane: "c1", kind: "reachable" },
  { at: 4 * hour + 20, lane: "c1", kind: "sent", exchange: 3, records: ["c1#1"] },
  { at: 4 * hour + 90, lane: "s0", kind: "arrived", exchange: 3, client: "c1", again: false },
  {
    at: 4 * hour + 120,
    lane: "s0",
    kind: "served",
    exchange: 3,
    client: "c1",
    seq: 4,
    rows: 1,
    later: [],
    verdicts: [{ record: "c1#1", outcome: "applied" }],
    replayed: 0
  },
  { at: 4 * hour + 200, lane: "c1", kind: "lost", exchange: 3, what: "answer", why: "lost-response" },
  {
    at: 4 * hour + 900,
    lane: "c2",
    kind: "executed",
    record: "c2#1",
    action: "todo.rename@1",
    args: '{"title":"c"}',
    hlc: hlc(4 * hour + 900, 2)
  },
  { at: 4 * hour + 950, lane: "s0", kind: "membership", sql: "delete from members where user_id = 'cem'" },
  { at: 30 * hour, lane: "c0", kind: "online" },
  { at: 30 * hour + 10, lane: "c0", kind: "sent", exchange: 4, records: ["c0#1"] },
  { at: 30 * hour + 60, lane: "s0", kind: "arrived", exchange: 4, client: "c0", again: false },
  {
    at: 30 * hour + 130,
    lane: "s0",
    kind: "served",
    exchange: 4,
    client: "c0",
    seq: 5,
    rows: 2,
    later: ["c1#1"],
    verdicts: [{ record: "c0#1", outcome: "changed" }],
    replayed: 1
  },
  {
    at: 30 * hour + 200,
    lane: "c0",
    kind: "applied",
    exchange: 4,
    path: "rows",
    rows: 2,
    replayed: 0,
    pending: 0,
    verdicts: [{ record: "c0#1", outcome: "changed" }]
  },
  { at: 30 * hour + 210, lane: "s0", kind: "arrived", exchange: 4, client: "c0", again: true },
  {
    at: 30 * hour + 900,
    lane: "c2",
    kind: "executed",
    record: "c2#2",
    action: "todo.delete@1",
    args: "{}",
    hlc: hlc(30 * hour + 900, 2)
  },
  { at: 30 * hour + 950, lane: "c2", kind: "sent", exchange: 5, records: ["c2#1"] },
  { at: 30 * hour + 990, lane: "s0", kind: "arrived", exchange: 5, client: "c2", again: false },
  {
    at: 30 * hour + 1_020,
    lane: "s0",
    kind: "served",
    exchange: 5,
    client: "c2",
    seq: 5,
    rows: 1,
    later: [],
    verdicts: [{ record: "c2#1", outcome: "rejected", why: "denied: row-level security" }],
    replayed: 0
  },
  {
    at: 30 * hour + 1_100,
    lane: "c2",
    kind: "applied",
    exchange: 5,
    path: "pending",
    rows: 1,
    replayed: 1,
    pending: 1,
    verdicts: [{ record: "c2#1", outcome: "rejected", why: "denied: row-level security" }]
  },
  { at: 30 * hour + 1_200, lane: "c1", kind: "crashed", message: 17 },
  { at: 30 * hour + 5_200, lane: "c1", kind: "restarted" },
  { at: 30 * hour + 6_000, lane: "sim", kind: "healed" },
  {
    at: 30 * hour + 7_000,
    lane: "c1",
    kind: "violated",
    check: "I1",
    message:
      "c1 shows a title that the server does not.\nc1#1 is pending there, and confirmed on the server.\nexpected (1,'a')\nis (1,'b')"
  }
]

const report: Report = {
  verdict: "fail",
  seed: 42,
  clients: 3,
  actions: 4,
  confirmed: 2,
  changed: 1,
  rejected: 1,
  voided: 0,
  lateArrivals: 1,
  replays: 2,
  restarts: 1,
  faults: { offline: 1, partition: 1, "lost-response": 1, "client-crash": 1, duplication: 1, membership: 1 },
  checks: {
    I1: "fail",
    I2: "pass",
    I3: "pass",
    I4: "pass",
    I5: "unknown",
    I6: "pass",
    I7: "pass",
    I8: "pass",
    I9: "pass"
  },
  wallMs: 812,
  failures: [{ check: "I1", at: 30 * hour + 7_000, message: (trace.at(-1) as { message: string }).message }],
  hash: "5f2a9c0be1d3f7a4",
  trace,
  script: {
    scenario: "todo",
    seed: 42,
    devices: [
      { user: "ann", skewMs: 3_000, lacks: null },
      { user: "bob", skewMs: 0, lacks: null },
      { user: "cem", skewMs: -200, lacks: "todo.archive@1" }
    ],
    serverSkewsMs: [0],
    network: { latencyMsMax: 60_000, loss: 0.05, duplication: 0.02, lostResponse: 0.05, slow: 0.01 },
    tickMs: 10,
    reorderWindowMs: null,
    reorderWindowRecords: 500,
    chunkRowsMax: null,
    steps: [
      { at: 1_000, kind: "offline", client: 0, forMs: 30 * hour },
      { at: 2_000, kind: "act", client: 0, random: 1 }
    ]
  }
}

const at = (kind: Event["kind"], nth = 0): number =>
  trace.flatMap((event, i) => (event.kind === kind ? [i] : []))[nth]!

/** The kinds of events that the run above lacks, and what rarely happens: no answer heard, six verdicts at once. */
const rare: ReadonlyArray<Event> = [
  { at: 0, lane: "c0", kind: "refused", action: "todo.add@1", args: "{}", error: "title is empty" },
  { at: 10, lane: "c0", kind: "clock", jumpMs: -300_000 },
  ...[1, 2, 3, 4, 5, 6].map(
    (n): Event => ({
      at: 10 + n,
      lane: "c0",
      kind: "executed",
      record: `c0#${n}`,
      action: "todo.add@1",
      args: `{"n":${n}}`,
      hlc: hlc(n, 0)
    })
  ),
  {
    at: 100,
    lane: "c0",
    kind: "sent",
    exchange: 1,
    records: ["c0#1", "c0#2", "c0#3", "c0#4", "c0#5", "c0#6"]
  },
  { at: 120, lane: "s1", kind: "arrived", exchange: 1, client: "c0", again: false },
  {
    at: 190,
    lane: "s1",
    kind: "served",
    exchange: 1,
    client: "c0",
    seq: 1,
    rows: 5,
    later: [],
    verdicts: ["applied", "changed", "applied", "rejected", "voided", "applied"].map((outcome, i) => ({
      record: `c0#${i + 1}`,
      outcome
    })),
    replayed: 0
  },
  { at: 195, lane: "c0", kind: "crashed", message: 3 },
  { at: 200, lane: "s0", kind: "crashed", message: 9 },
  { at: 900, lane: "s0", kind: "restarted" },
  { at: 950, lane: "c0", kind: "restarted" },
  { at: 1_000, lane: "c1", kind: "sent", exchange: 2, records: [] },
  { at: 1_040, lane: "s0", kind: "arrived", exchange: 2, client: "c1", again: false },
  { at: 1_050, lane: "s0", kind: "failed", exchange: 2, client: "c1", error: "Overloaded" },
  { at: 1_100, lane: "s0", kind: "external", sql: "update todos set title = 'x'", error: "deadlock" },
  { at: 1_200, lane: "c1", kind: "forged", what: "a stamp of the year 10889", answer: "HlcRangeError" },
  { at: 1_300, lane: "c0", kind: "dismissed", record: "c0#4" },
  { at: 1_400, lane: "c0", kind: "retried", record: "c0#5" },
  { at: 1_500, lane: "sim", kind: "healed" },
  { at: 1_600, lane: "sim", kind: "converged" }
]

const rareReport: Report = {
  ...report,
  verdict: "pass",
  failures: [],
  clients: 2,
  trace: rare,
  script: { ...report.script, serverSkewsMs: [0, 2_000] }
}

/** Many lanes and a long run, to see that nothing is slow. */
const large = (clients: number, events: number): Report => {
  const long: Array<Event> = []
  const verdicts = ["applied", "applied", "applied", "changed", "rejected", "voided"]
  for (let i = 0; long.length < events; i++) {
    const lane = `c${(i * 7) % clients}`
    const server = `s${i % 2}`
    const record = `${lane}#${i}`
    const time = i * 400 + Math.floor(i / 60) * 7 * hour
    const records = i % 3 === 0 ? [] : [record]
    const judged = records.map((name) => ({ record: name, outcome: verdicts[i % verdicts.length]! }))
    const later = i % 11 === 1 && i > 30 ? [`c${((i - 20) * 7) % clients}#${i - 20}`] : []
    if (records.length > 0)
      long.push({
        at: time,
        lane,
        kind: "executed",
        record,
        action: "bank.transfer@1",
        args: '{"amount":5}',
        hlc: hlc(time, 1)
      })
    long.push({ at: time + 10, lane, kind: "sent", exchange: i, records })
    if (i % 13 === 5) {
      long.push({ at: time + 30, lane, kind: "lost", exchange: i, what: "request", why: "loss" })
      continue
    }
    long.push(
      { at: time + 50, lane: server, kind: "arrived", exchange: i, client: lane, again: false },
      {
        at: time + 60,
        lane: server,
        kind: "served",
        exchange: i,
        client: lane,
        seq: i,
        rows: records.length,
        later,
        verdicts: judged,
        replayed: later.length
      },
      {
        at: time + 90,
        lane,
        kind: "applied",
        exchange: i,
        path: "rows",
        rows: records.length,
        replayed: 0,
        pending: 0,
        verdicts: judged
      }
    )
    if (i % 40 === 9) long.push({ at: time + 95, lane, kind: "offline" })
    if (i % 40 === 29) long.push({ at: time + 95, lane: `c${((i - 20) * 7) % clients}`, kind: "online" })
  }
  const devices = Array.from({ length: clients }, (_, i) => ({ user: `user${i}`, skewMs: 0, lacks: null }))
  return {
    ...report,
    verdict: "pass",
    failures: [],
    clients,
    trace: long,
    checks: { ...report.checks, I1: "pass", I5: "pass" },
    script: { ...report.script, devices, serverSkewsMs: [0, -500] }
  }
}

describe("the story", () => {
  const story = read(report)

  it("knows what became of each record, and the last word is the server's", () => {
    expect(Object.fromEntries([...story.records].map(([name, { fate }]) => [name, fate]))).toEqual({
      "c0#1": "changed",
      "c1#1": "applied",
      "c2#1": "rejected",
      "c2#2": "pending"
    })
    expect(story.records.get("c2#1")!.why).toBe("denied: row-level security")
  })

  it("follows a record through all lanes: executed, sent, lost, judged, crossed, named by a violation", () => {
    expect(story.records.get("c1#1")!.life.map(({ text }) => text)).toEqual([
      "executed on c1",
      "sent by c1",
      "request lost: partition",
      "sent by c1",
      "arrived at s0",
      "judged applied by s0",
      "answer lost: lost-response",
      "crossed by c0#1 on s0, which executed 1 again",
      "named by the violation of I1"
    ])
    expect(story.records.get("c2#2")!.life.map(({ text }) => text)).toEqual([
      "executed on c2",
      "executed again on c2 (pending)"
    ])
  })

  it("puts records in HLC order, whatever order they arrived in", () => {
    const places = [...story.records.values()].sort((a, b) => a.place! - b.place!)
    expect(places.map(({ name }) => name)).toEqual(["c0#1", "c1#1", "c2#1", "c2#2"])
  })

  it("calls an exchange that moved nothing quiet, and nothing else", () => {
    expect([...story.quiet]).toEqual([0, 1, 2, 3])
  })

  it("keeps a voided record voided when an older answer comes late", () => {
    const verdict = (outcome: string, exchange: number): Event => ({
      at: exchange,
      lane: "s0",
      kind: "served",
      exchange,
      client: "c0",
      seq: 1,
      rows: 0,
      later: [],
      verdicts: [{ record: "c0#1", outcome }],
      replayed: 0
    })
    const late = { ...report, trace: [verdict("applied", 1), verdict("voided", 2), verdict("applied", 3)] }
    expect(read(late).records.get("c0#1")!.fate).toBe("voided")
  })
})

describe("the layout", () => {
  const story = read(report)
  const brief = layout(story, { quiet: false })

  it("gives each event one column, in the order of the trace, and each lane one height", () => {
    const xs = brief.marks.map(({ x }) => x)
    expect(xs).toEqual([...xs].sort((a, b) => a - b))
    expect(new Set(xs).size).toBe(trace.length - 4)
    expect(brief.lanes.map((lane) => lane.story.name)).toEqual(["sim", "c0", "c1", "c2", "s0"])
    for (const mark of brief.marks) {
      const { lane, kind } = trace[mark.event]!
      if (kind !== "lost") expect(mark.y).toBe(brief.lanes.find(({ story: { name } }) => name === lane)!.y)
    }
  })

  it("leaves quiet exchanges out unless they are asked for", () => {
    expect(layout(story, { quiet: true }).marks).toHaveLength(trace.length)
    expect(brief.marks.map(({ event }) => event)).not.toContain(0)
  })

  it("compresses waits of hours into breaks that say how long, and stays as narrow as a screen", () => {
    expect(brief.breaks.map(({ label }) => label)).toEqual(["3 h 59 min", "1 d 1 h"])
    expect(brief.width).toBeLessThanOrEqual(1117)
    expect(brief.ticks.filter(({ absolute }) => absolute).map(({ label }) => label)).toEqual([
      "1 s",
      "4 h",
      "1 d 6 h"
    ])
  })

  it("draws messages: delivered, lost on their way, duplicated", () => {
    const of = (exchange: number) =>
      brief.arrows.filter((arrow) => arrow.exchange === exchange).map(({ way, fate }) => `${way} ${fate}`)
    expect(of(2)).toEqual(["request lost"])
    expect(of(3)).toEqual(["request delivered", "answer lost"])
    expect(of(4)).toEqual(["request delivered", "answer delivered", "request again"])
    const lost = brief.marks.find(({ event }) => event === at("lost"))!
    expect(brief.arrows.find(({ fate }) => fate === "lost")!.to).toEqual([lost.x, lost.y])
  })

  it("has a mark for every kind of event", () => {
    const marks = layout(read(rareReport), { quiet: true }).marks
    expect(marks.map(({ event }) => event)).toEqual(rare.map((_, event) => event))
    const kinds = new Set([...trace, ...rare].map(({ kind }) => kind))
    expect(kinds.size).toBe(23)
  })

  it("draws an answer that nobody hears, and the refusal of a request", () => {
    const { arrows } = layout(read(rareReport), { quiet: true })
    expect(arrows.map(({ exchange, way, fate }) => [exchange, way, fate])).toEqual([
      [1, "request", "delivered"],
      [2, "request", "delivered"],
      [1, "answer", "unheard"],
      [2, "answer", "unheard"]
    ])
  })

  it("shades offline, partition and downtime from their beginning to their end", () => {
    expect(brief.bands.map(({ lane, kind, label }) => [lane, kind, label])).toEqual([
      ["c1", "partition", "partition 3 h 59 min"],
      ["c0", "offline", "offline 1 d 5 h"],
      ["c1", "down", "down 4 s"]
    ])
  })

  it("shows how far back a replay went, on the server and on the client", () => {
    const x = (event: number) => brief.marks.find((mark) => mark.event === event)!.x
    expect(brief.rewinds.map(({ from, to, side }) => [from, to, side])).toEqual([
      [x(at("served", 2)), x(at("served", 1)), "above"],
      [x(at("applied", 2)), x(at("executed", 3)), "below"]
    ])
  })

  it("shortens labels to the room they have", () => {
    const label = (event: number) => brief.marks.find((mark) => mark.event === event)!.label
    expect(label(at("executed", 0))).toBe("#1 todo.add")
    expect(layout(read(large(20, 2000)), { quiet: true }).marks.every((mark) => mark.label.length < 24)).toBe(
      true
    )
  })
})

describe("the page", () => {
  it("writes times in the two units that matter", () => {
    expect([0, 999, 1_200, 185_000, 21_720_000, 183_600_000].map(Duration.short)).toEqual([
      "0 ms",
      "999 ms",
      "1.2 s",
      "3 min 5 s",
      "6 h 2 min",
      "2 d 3 h"
    ])
    expect(Duration.exact(183_845_678)).toBe("2 d 03:04:05.678")
  })

  it("escapes what could leave its element, and shows what could hide", () => {
    expect(escape(hostile)).not.toMatch(/[<>"]/)
    expect(escape("a\u202eb\u0000")).toBe("a\\u202eb\\u0000")
    expect(scriptJson({ hostile })).not.toContain("<")
    expect(JSON.parse(scriptJson({ hostile }))).toEqual({ hostile })
  })

  it("loads nothing from anywhere", () => {
    const html = timelineHtml(report)
    expect(html).not.toMatch(/<(link|img|iframe|script src)/)
    expect(html).toContain("default-src 'none'")
  })
})

describe("in a browser", () => {
  let browser: Browser
  let folder: string

  beforeAll(async () => {
    browser = await launchBrowser(inject("chromiumPath"))
    folder = await mkdtemp(join(tmpdir(), "timeline-"))
  })
  afterAll(async () => {
    await browser?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const open = async (
    name: string,
    shown: Report,
    width = 1280
  ): Promise<{ page: Page; complaints: Array<string> }> => {
    const path = join(folder, `${name}.html`)
    await writeFile(path, timelineHtml(shown))
    const page = await browser.newPage({ viewport: { width, height: 900 } })
    const complaints: Array<string> = []
    page.on("console", (message) => complaints.push(message.text()))
    page.on("pageerror", (error) => complaints.push(String(error)))
    await page.goto(pathToFileURL(path).href)
    return { page, complaints }
  }

  it("shows lanes and marks, fits a screen, and complains of nothing", async () => {
    const { page, complaints } = await open("lanes", report)
    expect(await page.locator(".names [role=listitem]").count()).toBe(5)
    expect(await page.locator("#brief .mark").count()).toBe(trace.length - 4)
    expect(await page.locator("#brief .mark:not([aria-label])").count()).toBe(0)
    const panel = (await page.locator(".panel").boundingBox())!
    expect(panel.y + panel.height).toBeLessThanOrEqual(900)
    const lanes = (await page.locator(".lanes").boundingBox())!
    expect(lanes.y + lanes.height).toBeLessThanOrEqual(panel.y)
    expect(complaints).toEqual([])
    await page.close()
  })

  it("keeps hostile args text", async () => {
    const { page, complaints } = await open("hostile", report)
    await page.locator(`#brief .mark[data-e="${at("executed")}"] .target`).hover()
    expect(await page.locator("#event").textContent()).toContain(JSON.stringify(hostile).slice(1, -1))
    expect(await page.locator("img").count()).toBe(0)
    expect(await page.title()).toBe("todo, seed 42: fail")
    expect(complaints).toEqual([])
    await page.close()
  })

  it("highlights the life of a record in every lane when it is clicked, and lets go", async () => {
    const { page } = await open("life", report)
    const lit = () =>
      page
        .locator("#brief .mark.on")
        .evaluateAll((marks) => marks.map((mark) => Number((mark as SVGElement).dataset.e)))
    await page.locator(`#brief .mark[data-e="${at("executed", 1)}"] .target`).click()
    expect(await lit()).toEqual(
      read(report)
        .records.get("c1#1")!
        .life.map(({ event }) => event)
    )
    expect(await page.locator("#life h2").textContent()).toBe("Record c1#1")
    expect(await page.locator("#record").inputValue()).toBe("c1#1")
    await page.locator("#life li button").last().click()
    expect(await page.locator("#event").textContent()).toContain("I1 violated")
    await page.keyboard.press("Escape")
    expect(await lit()).toEqual([])
    await page.close()
  })

  it("goes to a failure, and follows the record it names", async () => {
    const { page } = await open("failure", report)
    await page.getByRole("link", { name: "show" }).click()
    expect(await page.locator(".mark.picked").getAttribute("aria-label")).toContain("I1 violated")
    await page.locator(".failures button").click()
    expect(await page.locator("#life h2").textContent()).toBe("Record c1#1")
    await page.close()
  })

  it("moves from event to event by keyboard, and shows empty syncs on demand", async () => {
    const { page } = await open("keys", report)
    await page.locator("#brief .mark").first().focus()
    await page.keyboard.press("ArrowRight")
    expect(await page.locator("#event").textContent()).toContain("Reaches no server")
    await page.keyboard.press("Shift+ArrowRight")
    expect(await page.locator("#event").textContent()).toContain("c1#1 executed")
    await page.getByLabel("Show 1 empty sync").check()
    expect(await page.locator("#all .mark:visible").count()).toBe(trace.length)
    await page.close()
  })

  it("scrolls only its lanes on a phone", async () => {
    const { page } = await open("phone", report, 390)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(await page.locator("#brief").evaluate((lanes) => lanes.scrollWidth > lanes.clientWidth)).toBe(true)
    await page.close()
  })

  it("does not freeze on twenty lanes and two thousand events", async () => {
    const { page, complaints } = await open("large", large(20, 2000))
    expect(await page.locator("#brief .mark").count()).toBeGreaterThan(1_000)
    const tookMs = await page.evaluate(() => {
      const marks = document.querySelectorAll("#brief .mark.record")
      const start = performance.now()
      for (const mark of [...marks].slice(0, 20))
        mark.dispatchEvent(new MouseEvent("click", { bubbles: true }))
      return (performance.now() - start) / 20
    })
    expect(tookMs).toBeLessThan(300)
    expect(complaints).toEqual([])
    await page.close()
  })
})

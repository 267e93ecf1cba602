/**
 * A trace, read once: its lanes, what became of each record, which events belong to one exchange, and which exchanges
 * moved nothing. Pure, and in terms of positions in the trace.
 */
import type { Report } from "../Report.ts"
import type { Event, Lane } from "../Trace.ts"
import * as Duration from "./Duration.ts"

export const fates = ["pending", "applied", "changed", "rejected", "voided"] as const
/** What became of a record by the end of the run. */
export type Fate = (typeof fates)[number]

export interface Moment {
  /** Position in the trace. */
  readonly event: number
  readonly text: string
}

export interface RecordStory {
  /** `c2#5` for a client's, `x3` for an external one. */
  readonly name: string
  /** Where it was executed first; null when the trace does not say, as for external writes. */
  readonly executed: number | null
  readonly fate: Fate | "external"
  readonly why: string | null
  /** Its place in HLC order among the records whose stamp is known, from 1. */
  readonly place: number | null
  /** In the order of the trace, one moment per event. */
  readonly life: ReadonlyArray<Moment>
  /** Exchanges that carried it. */
  readonly exchanges: ReadonlyArray<number>
}

export interface ExchangeStory {
  readonly number: number
  readonly client: Lane
  readonly records: ReadonlyArray<string>
  readonly events: ReadonlyArray<number>
  /** Nothing was sent, nothing came back, nothing went wrong. */
  readonly empty: boolean
}

export interface LaneStory {
  readonly name: Lane
  readonly role: "client" | "server" | "sim"
  /** Whose device it is and what is wrong with it: `ann, clock +3 s`. */
  readonly about: ReadonlyArray<string>
}

export interface Story {
  readonly events: ReadonlyArray<Event>
  readonly lanes: ReadonlyArray<LaneStory>
  readonly records: ReadonlyMap<string, RecordStory>
  readonly exchanges: ReadonlyMap<number, ExchangeStory>
  /** Events of exchanges that moved nothing. */
  readonly quiet: ReadonlySet<number>
  /** By the position of an event that replayed on a client: the records that were pending there then. */
  readonly pendingAt: ReadonlyMap<number, ReadonlyArray<string>>
}

export const read = (report: Pick<Report, "trace" | "script" | "clients">): Story => {
  const events = report.trace
  const exchanges = exchangesOf(events)
  const pendingAt = pendingAtOf(events)
  const quiet = new Set<number>()
  for (const exchange of exchanges.values())
    if (exchange.empty) for (const at of exchange.events) quiet.add(at)
  return {
    events,
    lanes: lanesOf(report),
    records: recordsOf({ events, exchanges, pendingAt }),
    exchanges,
    quiet,
    pendingAt
  }
}

/** The number of the exchange that the event belongs to. */
export const exchangeOf = (event: Event): number | undefined =>
  "exchange" in event ? event.exchange : undefined

// ---------------------------------------------------------------------------------------------- lanes

const lanesOf = ({
  trace,
  script,
  clients
}: Pick<Report, "trace" | "script" | "clients">): ReadonlyArray<LaneStory> => {
  const names = new Set<Lane>(trace.map((event) => event.lane))
  for (let i = 0; i < clients; i++) names.add(`c${i}`)
  for (let i = 0; i < Math.max(1, script.serverSkewsMs.length); i++) names.add(`s${i}`)
  const order = { sim: 0, client: 1, server: 2 }
  return [...names]
    .map((name): LaneStory => {
      const role = /^c\d/.test(name) ? "client" : /^s\d/.test(name) ? "server" : "sim"
      return { name, role, about: aboutOf(name, role, script) }
    })
    .sort((a, b) => order[a.role] - order[b.role] || a.name.localeCompare(b.name, "en", { numeric: true }))
}

const aboutOf = (name: Lane, role: LaneStory["role"], script: Report["script"]): ReadonlyArray<string> => {
  const index = Number(name.slice(1))
  if (role === "sim") return ["all"]
  if (role === "server") return ["server", ...skew(script.serverSkewsMs[index] ?? 0)]
  const device = script.devices[index]
  if (device === undefined) return []
  return [device.user, ...skew(device.skewMs), ...(device.lacks === null ? [] : [`lacks ${device.lacks}`])]
}

const skew = (ms: number): ReadonlyArray<string> => (ms === 0 ? [] : [`clock ${Duration.signed(ms)}`])

// ------------------------------------------------------------------------------------------ exchanges

const exchangesOf = (events: ReadonlyArray<Event>): ReadonlyMap<number, ExchangeStory> => {
  const found = new Map<
    number,
    { client: Lane; records: ReadonlyArray<string>; events: Array<number>; empty: boolean }
  >()
  events.forEach((event, at) => {
    const number = exchangeOf(event)
    if (number === undefined) return
    const client = "client" in event ? event.client : event.lane
    const exchange = found.get(number) ?? { client, records: [], events: [], empty: true }
    found.set(number, exchange)
    exchange.events.push(at)
    if (event.kind === "sent") {
      exchange.client = event.lane
      exchange.records = event.records
    }
    if (moves(event)) exchange.empty = false
  })
  return new Map([...found].map(([number, exchange]) => [number, { number, ...exchange }]))
}

const moves = (event: Event): boolean => {
  if (event.kind === "sent") return event.records.length > 0
  if (event.kind === "arrived") return event.again
  if (event.kind === "served")
    return event.rows > 0 || event.verdicts.length > 0 || event.later.length > 0 || event.replayed > 0
  if (event.kind === "applied")
    return event.rows > 0 || event.verdicts.length > 0 || event.replayed > 0 || event.path === "stale"
  return event.kind === "lost" || event.kind === "failed" || event.kind === "told"
}

// -------------------------------------------------------------------------------------------- records

/** What each client had pending when it executed records again. */
const pendingAtOf = (events: ReadonlyArray<Event>): ReadonlyMap<number, ReadonlyArray<string>> => {
  const pendingByLane = new Map<Lane, Set<string>>()
  const found = new Map<number, ReadonlyArray<string>>()
  events.forEach((event, at) => {
    const pending = pendingByLane.get(event.lane) ?? new Set<string>()
    pendingByLane.set(event.lane, pending)
    if (event.kind === "executed") pending.add(event.record)
    if (event.kind !== "applied") return
    for (const verdict of event.verdicts) pending.delete(verdict.record)
    if (event.replayed > 0) found.set(at, [...pending])
  })
  return found
}

interface Draft {
  executed: number | null
  hlc: string | null
  fate: Fate | "external"
  why: string | null
  /** Whether the authority itself was seen to judge, which counts for more than what a client was told. */
  judged: boolean
  life: Map<number, string>
  exchanges: Set<number>
}

const recordsOf = ({
  events,
  exchanges,
  pendingAt
}: Pick<Story, "events" | "exchanges" | "pendingAt">): ReadonlyMap<string, RecordStory> => {
  const drafts = new Map<string, Draft>()
  const of = (name: string): Draft => {
    const draft: Draft = drafts.get(name) ?? {
      executed: null,
      hlc: null,
      fate: name.startsWith("x") ? "external" : "pending",
      why: null,
      judged: false,
      life: new Map(),
      exchanges: new Set()
    }
    drafts.set(name, draft)
    return draft
  }
  /** The first thing that is said of a record at an event stays. */
  const tell = (name: string, at: number, text: string) => {
    const { life } = of(name)
    if (!life.has(at)) life.set(at, text)
  }

  events.forEach((event, at) => {
    switch (event.kind) {
      case "executed": {
        const draft = of(event.record)
        draft.executed ??= at
        draft.hlc ??= event.hlc
        tell(event.record, at, `executed on ${event.lane}`)
        break
      }
      case "served":
      case "applied":
        for (const { record, outcome, why } of event.verdicts) {
          judge(of(record), { outcome, why: why ?? null, byServer: event.kind === "served" })
          tell(
            record,
            at,
            event.kind === "served" ? `judged ${outcome} by ${event.lane}` : `${event.lane} hears: ${outcome}`
          )
        }
        break
      case "dismissed":
      case "retried":
        tell(event.record, at, `${event.kind} by the user of ${event.lane}`)
        break
    }
    if (event.kind === "served")
      for (const record of event.later) tell(record, at, crossing(event, exchanges.get(event.exchange)))
    for (const record of pendingAt.get(at) ?? [])
      tell(record, at, `executed again on ${event.lane}${"path" in event ? ` (${event.path})` : ""}`)
    const number = exchangeOf(event)
    for (const record of exchanges.get(number ?? -1)?.records ?? []) {
      of(record).exchanges.add(number!)
      tell(record, at, carried(event))
    }
  })
  events.forEach((event, at) => {
    if (event.kind !== "violated") return
    for (const name of namesIn(event.message, drafts))
      tell(name, at, `named by the violation of ${event.check}`)
  })

  const byHlc = [...drafts]
    .filter(([, draft]) => draft.hlc !== null)
    .sort(([, a], [, b]) => (a.hlc! < b.hlc! ? -1 : 1))
  const places = new Map(byHlc.map(([name], index) => [name, index + 1]))
  return new Map(
    [...drafts].map(([name, { executed, fate, why, life, exchanges: carriedBy }]) => [
      name,
      {
        name,
        executed,
        fate,
        why,
        place: places.get(name) ?? null,
        life: [...life].sort(([a], [b]) => a - b).map(([event, text]) => ({ event, text })),
        exchanges: [...carriedBy]
      }
    ])
  )
}

const judge = (
  draft: Draft,
  { outcome, why, byServer }: { outcome: string; why: string | null; byServer: boolean }
) => {
  const fate = fates.find((name) => name === outcome)
  // A voided record stays voided when an older answer arrives late, and a client only repeats what a server said.
  if (fate === undefined || draft.fate === "voided" || (draft.judged && !byServer)) return
  draft.fate = fate
  draft.why = why
  draft.judged ||= byServer
}

const crossing = (event: Extract<Event, { kind: "served" }>, exchange: ExchangeStory | undefined): string => {
  const by = exchange?.records.join(", ") || event.client
  return event.replayed > 0
    ? `crossed by ${by} on ${event.lane}, which executed ${event.replayed} again`
    : `given to ${event.client} as later than ${by}`
}

const carried = (event: Event): string => {
  switch (event.kind) {
    case "sent":
      return `sent by ${event.lane}`
    case "arrived":
      return `${event.again ? "arrived again" : "arrived"} at ${event.lane}`
    case "served":
      return `answered by ${event.lane}`
    case "lost":
      return `${event.what} lost: ${event.why}`
    case "failed":
      return `exchange failed on ${event.lane}`
    default:
      return `answer applied by ${event.lane}`
  }
}

/** Names of known records in a text, such as a message of a checker. */
export const namesIn = (
  text: string,
  known: { readonly has: (name: string) => boolean }
): ReadonlyArray<string> =>
  [...new Set(text.match(/\b(?:c\d+#\d+|x\d+)\b/g) ?? [])].filter((name) => known.has(name))

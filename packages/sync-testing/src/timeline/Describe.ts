/** An event in words: a sentence for a mark's text alternative, and facts for the details. */
import type { Event } from "../Trace.ts"
import * as Duration from "./Duration.ts"
import { cut } from "./Html.ts"

export type Fact = readonly [name: string, value: string]

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

const list = (names: ReadonlyArray<string>): string => (names.length === 0 ? "nothing" : names.join(", "))

const verdictsOf = (verdicts: Extract<Event, { kind: "served" }>["verdicts"]): string =>
  verdicts.map(({ record, outcome }) => `${record} ${outcome}`).join(", ")

const followings = {
  apply: "Applies what it hears",
  drop: "Hears what it has",
  sync: "Hears of something that it has to ask for"
} as const

/** One sentence without a full stop. */
export const sentence = (event: Event): string => {
  switch (event.kind) {
    case "executed":
      return `${event.record} executed: ${event.action}`
    case "refused":
      return `${event.action} refused on the device`
    case "sent":
      return event.records.length === 0 ? "Asks for changes" : `Sends ${list(event.records)}`
    case "lost":
      return `The ${event.what} is lost: ${cut(event.why, 60)}`
    case "arrived":
      return `${event.again ? "A duplicate of the request" : "The request"} of ${event.client} arrives`
    case "served":
      return [
        `Answers ${event.client} at seq ${event.seq}`,
        ...(event.verdicts.length > 0 ? [verdictsOf(event.verdicts)] : []),
        ...(event.replayed > 0 ? [`took back and executed ${event.replayed} again`] : [])
      ].join("; ")
    case "failed":
      return `Refuses the request of ${event.client}: ${cut(event.error, 60)}`
    case "applied":
      return [
        `Applies the answer (${event.path})`,
        ...(event.verdicts.length > 0 ? [verdictsOf(event.verdicts)] : []),
        ...(event.replayed > 0 ? [`took back and executed ${event.replayed} again`] : [])
      ].join("; ")
    case "told":
      return `Tells ${event.client} of seq ${event.seq}`
    case "followed":
      return followings[event.decision]
    case "offline":
      return "Goes offline"
    case "online":
      return "Is online again"
    case "partition":
      return "Reaches no server, without knowing"
    case "reachable":
      return "Reaches the servers again"
    case "crashed":
      return `Crashes at message ${event.message} to its database`
    case "restarted":
      return "Starts again"
    case "clock":
      return `The clock jumps by ${Duration.signed(event.jumpMs)}`
    case "external":
    case "membership":
      return `${event.kind === "external" ? "A write outside the engine" : "A membership changes"}${event.error === undefined ? "" : ", refused"}`
    case "compacted":
      return `Compacts ${count(event.records, "record")} and removes ${count(event.tombstones, "tombstone")}`
    case "forgot":
      return "Forgets its cursors, which are too old"
    case "forged":
      return `A forged request: ${cut(event.what, 60)}`
    case "dismissed":
    case "retried":
      return `The user ${event.kind} ${event.record}`
    case "healed":
      return "The faults are over"
    case "converged":
      return "All have synced"
    case "violated":
      return `${event.check} violated: ${cut(event.message.split("\n")[0]!, 120)}`
  }
}

/** What else the trace says of the event, in full. */
export const facts = (event: Event): ReadonlyArray<Fact> => {
  switch (event.kind) {
    case "executed":
      return [
        ["action", event.action],
        ["args", event.args],
        ["HLC", event.hlc]
      ]
    case "refused":
      return [
        ["args", event.args],
        ["error", event.error]
      ]
    case "sent":
      return [["records", list(event.records)]]
    case "lost":
      return [["why", event.why]]
    case "arrived":
      return []
    case "served":
      return [
        ["verdicts", verdicts(event)],
        ["rows", String(event.rows)],
        ["later records", list(event.later)],
        ["executed again", count(event.replayed, "record")]
      ]
    case "applied":
      return [
        ["verdicts", verdicts(event)],
        ["path", event.path],
        ["rows", String(event.rows)],
        ["executed again", count(event.replayed, "record")],
        ["still pending", count(event.pending, "record")]
      ]
    case "told":
      return [
        ["from", `seq ${event.from}`],
        ["rows", event.rows === null ? "to be asked for" : String(event.rows)]
      ]
    case "failed":
      return [["error", event.error]]
    case "external":
    case "membership":
      return [["SQL", event.sql], ...(event.error === undefined ? [] : ([["error", event.error]] as const))]
    case "compacted":
      return [["patches", String(event.patches)]]
    case "forged":
      return [["answer", event.answer]]
    case "violated":
      return [["message", event.message]]
    default:
      return []
  }
}

const verdicts = (event: Extract<Event, { kind: "served" | "applied" }>): string =>
  event.verdicts.length === 0
    ? "none"
    : event.verdicts
        .map(({ record, outcome, why }) => `${record} ${outcome}${why === undefined ? "" : `: ${why}`}`)
        .join("\n")

/** Records that the event names. */
export const recordsOf = (event: Event): ReadonlyArray<string> => {
  switch (event.kind) {
    case "executed":
    case "dismissed":
    case "retried":
      return [event.record]
    case "sent":
      return event.records
    case "served":
      return [...new Set([...event.verdicts.map((verdict) => verdict.record), ...event.later])]
    case "applied":
      return event.verdicts.map((verdict) => verdict.record)
    default:
      return []
  }
}

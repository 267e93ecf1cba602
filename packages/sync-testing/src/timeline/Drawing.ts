/** What a timeline consists of once everything has its place, in pixels. */
import type { Lane } from "../Trace.ts"
import type { Fate, LaneStory, Story } from "./Story.ts"

export type Shape =
  | "record"
  | "sent"
  | "arrived"
  | "served"
  | "failed"
  | "applied"
  | "refused"
  | "switch"
  | "crashed"
  | "restarted"
  | "clock"
  | "write"
  | "forged"
  | "inbox"
  | "phase"
  | "violated"
  | "lost"

export interface LaneBox {
  readonly story: LaneStory
  readonly top: number
  readonly height: number
  /** Of its line. */
  readonly y: number
}

export interface Mark {
  /** Position of the event in the trace. */
  readonly event: number
  readonly x: number
  readonly y: number
  readonly shape: Shape
  /** What became of the record, for marks of one record. */
  readonly fate: Fate | "external" | null
  /** As much of the label as there is room for, to the right of `x` above the mark; empty for none. */
  readonly label: string
  /** Verdicts that the server gave, below the mark; names only when there is room. */
  readonly verdicts: ReadonlyArray<{
    readonly record: string
    readonly outcome: string
    readonly named: boolean
  }>
}

export interface Arrow {
  readonly exchange: number
  readonly from: readonly [x: number, y: number]
  readonly to: readonly [x: number, y: number]
  readonly way: "request" | "answer"
  /** `again`: a duplicate. `unheard`: an answer that the trace says nothing more about. */
  readonly fate: "delivered" | "again" | "lost" | "unheard"
  /** Whether it carries records or verdicts or rows. */
  readonly loaded: boolean
}

export interface Band {
  readonly lane: Lane
  readonly kind: "offline" | "partition" | "down"
  readonly x: number
  readonly width: number
  readonly y: number
  readonly height: number
  /** How long it lasts, in words. */
  readonly label: string
}

/** A server at work on a request, from its arrival to its answer. */
export interface Span {
  readonly exchange: number
  readonly x: number
  readonly width: number
  readonly y: number
}

/** Records taken back and executed again: from now back to the first of them. */
export interface Rewind {
  readonly event: number
  readonly from: number
  readonly to: number
  readonly y: number
  readonly side: "above" | "below"
}

export interface Tick {
  readonly x: number
  readonly label: string
  /** Time since the beginning; the others are times since the tick before that is absolute. */
  readonly absolute: boolean
}

export interface Break {
  readonly x: number
  readonly label: string
}

/** A moment that concerns everybody. */
export interface Rule {
  readonly event: number
  readonly x: number
  readonly kind: "healed" | "converged" | "violated"
}

export interface Layout {
  readonly width: number
  readonly height: number
  readonly axisY: number
  /** Distance of two columns without a break. */
  readonly step: number
  readonly lanes: ReadonlyArray<LaneBox>
  readonly marks: ReadonlyArray<Mark>
  readonly arrows: ReadonlyArray<Arrow>
  readonly bands: ReadonlyArray<Band>
  readonly spans: ReadonlyArray<Span>
  readonly rewinds: ReadonlyArray<Rewind>
  readonly ticks: ReadonlyArray<Tick>
  readonly breaks: ReadonlyArray<Break>
  readonly rules: ReadonlyArray<Rule>
}

/** What the parts of the layout work from: the events that are shown, and where columns and lanes are. */
export interface Scene {
  readonly story: Story
  readonly shown: ReadonlyArray<number>
  readonly xOf: (event: number) => number
  readonly yOf: (lane: Lane) => number
  readonly boxByLane: ReadonlyMap<Lane, LaneBox>
  readonly width: number
}

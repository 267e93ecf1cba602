/** What the page's script knows: everything in words, so that it only has to put text into elements. */
import * as Describe from "./Describe.ts"
import * as Duration from "./Duration.ts"
import { visible } from "./Html.ts"
import { exchangeOf, type RecordStory, type Story } from "./Story.ts"

export interface EventData {
  readonly lane: string
  readonly time: string
  readonly title: string
  readonly facts: ReadonlyArray<Describe.Fact>
  readonly records: ReadonlyArray<string>
  readonly exchange: number | null
}

export interface RecordData {
  readonly fate: string
  readonly facts: ReadonlyArray<Describe.Fact>
  readonly life: ReadonlyArray<{ readonly event: number; readonly text: string }>
  readonly exchanges: ReadonlyArray<number>
}

export interface PageData {
  readonly events: ReadonlyArray<EventData>
  readonly records: Readonly<Record<string, RecordData>>
  /** Positions of events by exchange. */
  readonly exchanges: Readonly<Record<string, ReadonlyArray<number>>>
  /** Events that are only drawn together with the exchanges that moved nothing. */
  readonly quiet: ReadonlyArray<number>
}

export const of = (story: Story): PageData => ({
  events: story.events.map((event) => ({
    lane: event.lane,
    time: Duration.exact(event.at),
    title: visible(Describe.sentence(event)),
    facts: Describe.facts(event).map(([name, value]) => [name, visible(value)] as const),
    records: Describe.recordsOf(event).map(visible),
    exchange: exchangeOf(event) ?? null
  })),
  records: Object.fromEntries(
    [...story.records.values()].map((record) => [visible(record.name), recordOf(story, record)])
  ),
  exchanges: Object.fromEntries([...story.exchanges].map(([number, { events }]) => [number, events])),
  quiet: [...story.quiet]
})

const recordOf = (story: Story, record: RecordStory): RecordData => {
  const executed = record.executed === null ? null : story.events[record.executed]!
  const known = [...story.records.values()].filter(({ place }) => place !== null).length
  return {
    fate: record.fate,
    facts: [
      ["became", visible(`${record.fate}${record.why === null ? "" : `: ${record.why}`}`)],
      ...(executed?.kind === "executed"
        ? ([["action", visible(`${executed.action} ${executed.args}`)]] as const)
        : []),
      ...(record.place === null ? [] : ([["HLC order", `${record.place} of ${known}`]] as const))
    ],
    life: record.life.map(({ event, text }) => ({ event, text: visible(text) })),
    exchanges: record.exchanges
  }
}

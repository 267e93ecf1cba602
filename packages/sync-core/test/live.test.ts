/** What a client does with a message of the live path: every row of the table in `Live.ts`. */
import { type Audience, Audiences, Live, type Protocol, type Seq } from "@synchrotron/sync-core"
import { describe, expect, it } from "vitest"

const seq = (n: number) => n as Seq

const stateAt = (cursor: number, more: Partial<Live.State["cursors"]> = {}, pending = false): Live.State => ({
  cursors: {
    seq: seq(cursor),
    cursors: { a: seq(cursor), b: seq(cursor) } as Live.State["cursors"]["cursors"],
    held: ["a", "b"] as ReadonlyArray<string> as ReadonlyArray<Audience>,
    load: null,
    ...more
  },
  pending
})

const message = (
  from: number,
  to: number,
  answer: { [K in keyof Protocol.SyncResponse]?: unknown } | null = {}
): Live.Message => ({
  from: seq(from),
  seq: seq(to),
  answer:
    answer === null
      ? null
      : ({
          seq: seq(to),
          audiences: ["b", "a"] as ReadonlyArray<string> as ReadonlyArray<Audience>,
          notices: [],
          next: null,
          ...answer
        } as unknown as Protocol.SyncResponse)
})

/** Of an answer that leaves these names out. */
const unnamed = (names: ReadonlyArray<string>) => ({ audiences: null, held: Audiences.digestOf(names) })

const load = { position: null, rowsDone: 1, rowsTotal: 2 }

const cases: ReadonlyArray<readonly [string, Live.State, Live.Message, Live.Decision]> = [
  ["the next commit", stateAt(4), message(4, 5), "apply"],
  ["several commits", stateAt(4), message(4, 9), "apply"],
  ["a commit of which a part is here", stateAt(6), message(4, 9), "apply"],
  ["what its own sync has brought", stateAt(5), message(4, 5), "drop"],
  ["what came before", stateAt(9), message(4, 5), "drop"],
  ["what is known, also while records are pending", stateAt(5, {}, true), message(4, 5), "drop"],
  ["what is known, also without an answer", stateAt(5), message(4, 5, null), "drop"],
  ["that something changed", stateAt(4), message(4, 5, null), "sync"],
  ["a part of an answer", stateAt(4), message(4, 5, { next: {} }), "sync"],
  ["a commit during a load", stateAt(4, { load }), message(4, 5), "sync"],
  ["a commit while records are pending", stateAt(4, {}, true), message(4, 5), "sync"],
  ["a commit behind a gap", stateAt(4), message(5, 6), "sync"],
  [
    "a commit behind one audience's cursor",
    stateAt(4, { cursors: { a: seq(4), b: seq(3) } as Live.State["cursors"]["cursors"] }),
    message(4, 5),
    "sync"
  ],
  ["a gained audience", stateAt(4), message(4, 5, { audiences: ["a", "b", "c"] }), "sync"],
  ["a lost audience", stateAt(4), message(4, 5, { audiences: ["a"] }), "sync"],
  ["another audience", stateAt(4), message(4, 5, { audiences: ["a", "c"] }), "sync"],
  ["the audiences' digest", stateAt(4), message(4, 5, unnamed(["b", "a"])), "apply"],
  ["a digest of others", stateAt(4), message(4, 5, unnamed(["a", "c"])), "sync"],
  [
    "a commit to a client that is to fetch all rows",
    stateAt(4, { held: [], cursors: {} }),
    message(4, 5),
    "sync"
  ],
  ["a notice", stateAt(4), message(4, 5, { notices: [{}] }), "apply"],
  ["a notice that may be here", stateAt(5), message(4, 6, { notices: [{}] }), "sync"]
]

describe("Live.decide", () => {
  it.each(cases)("%s", (_, state, message, decision) => {
    expect(Live.decide(state, message)).toBe(decision)
  })
})

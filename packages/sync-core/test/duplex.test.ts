import { Duplex, Hlc, Protocol } from "@synchrotron/sync-core"
import { Option, Schema } from "effect"
import { describe, expect, it } from "vitest"

const clientId = "6f1c0000-0000-4000-8000-0000000000e2"
const request = (overrides: object = {}) =>
  Schema.decodeUnknownSync(Protocol.SyncRequest)({
    protocol: Protocol.protocolVersion,
    app: "app",
    schema: "hash",
    clientId,
    clientTimeMs: 0,
    seq: 4,
    cursors: { a: 4, b: 4 },
    records: [],
    after: `000000000005-0001-${clientId}`,
    ...overrides
  })
/** Of rows only whether there are any matters here. */
const response = (overrides: object = {}) =>
  ({
    protocol: Protocol.protocolVersion,
    seq: 9,
    serverTimeMs: 0,
    audiences: ["a", "b"],
    verdicts: [],
    notices: [],
    tables: [],
    next: null,
    later: [],
    clock: { ms: 7, counter: 2 },
    ...overrides
  }) as unknown as Protocol.SyncResponse
const end = { seq: 8, table: "t", key: "[]", began: 8 }

describe("what comes next", () => {
  it("goes on from the commit of an answer that was complete, in the audiences that the user holds", () => {
    expect(Duplex.next(request({ records: [] }), response({ audiences: ["b", "c"] }))).toMatchObject({
      seq: 9,
      cursors: { b: 9, c: 9 },
      records: []
    })
    const same = Duplex.next(request(), response())
    expect(Object.keys(same)).not.toContain("position")
  })

  it("I1: goes on within a load, whose audiences are complete in the order of their bytes", () => {
    // As UTF-16 the second would be before the first.
    const [small, large] = ["\u{ffff}", "\u{1f600}"]
    const next = Duplex.next(
      request({ cursors: { a: 4 } }),
      response({ audiences: ["a", small, large, "\u{1f601}"], next: { audience: large, ...end } })
    )
    expect(next.cursors).toEqual({ a: 9, [small]: 9 })
    expect(next.position).toMatchObject({ audience: large, began: 8 })
    expect(next.seq).toBe(4)
    const last = Duplex.next(next, response({ audiences: ["a"] }))
    expect(last).toMatchObject({ cursors: { a: 9 }, seq: 9 })
    expect(last.position).toBeUndefined()
  })

  it("I3: crosses nothing before what was seen, by either clock", () => {
    const at = (ms: number, counter: number) => Hlc.make({ ms, counter }, request().clientId)
    expect(Duplex.next(request(), response()).after).toBe(at(7, 2))
    expect(Duplex.next(request(), response({ clock: { ms: 3, counter: 9 } })).after).toBe(at(5, 1))
    expect(Duplex.next(request({ after: null }), response()).after).toBeNull()
  })
})

describe("news", () => {
  it.each([
    ["rows", { tables: [{ table: "t" }] }],
    ["more to come", { next: { audience: "a", ...end } }],
    ["an audience that was gained", { audiences: ["a", "b", "c"] }],
    ["an audience that was lost", { audiences: ["a"] }],
    ["another audience", { audiences: ["a", "c"] }]
  ])("is %s", (_, overrides) => {
    expect(Duplex.isNews(request(), response(overrides))).toBe(true)
  })

  it("is not that nothing has happened since", () => {
    expect(Duplex.isNews(request(), response())).toBe(false)
    expect(Duplex.isNews({ cursors: null }, response())).toBe(false)
  })
})

describe("a message", () => {
  const read = Duplex.reader(Duplex.RequestHead)

  it("is read as it was written, whatever follows the line", () => {
    const head = { id: 7, token: 'a "token"\n', wait: true }
    expect(read(Duplex.write(head, '{"text":"\\n"}\n'))).toEqual(
      Option.some({ head, body: '{"text":"\\n"}\n' })
    )
  })

  it.each(["", "{}", "{}\n{}", '{"id":-1,"token":""}\n', '{"id":1}\n{}', "null\n{}"])("is not %j", (text) => {
    expect(read(text)).toEqual(Option.none())
  })
})

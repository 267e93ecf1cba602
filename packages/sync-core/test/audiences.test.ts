import { type Audience, Audiences, Protocol, type Seq } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { describe, expect, it } from "vitest"

const audiences = (names: ReadonlyArray<string>) => names as ReadonlyArray<Audience>

const request = (cursors: Record<string, number>, overrides: object = {}) =>
  Schema.decodeUnknownSync(Protocol.SyncRequest)({
    protocol: Protocol.protocolVersion,
    app: "app",
    schema: "hash",
    clientId: "6f1c0000-0000-4000-8000-0000000000e2",
    clientTimeMs: 0,
    seq: 4,
    cursors,
    records: [],
    after: null,
    ...overrides
  })

const response = (names: ReadonlyArray<string>, seq = 4) =>
  ({
    protocol: Protocol.protocolVersion,
    seq: seq as Seq,
    audiences: audiences(names),
    tables: []
  }) as unknown as Protocol.SyncResponse

/** A server that knows what its user holds, and a transport to it. */
const serverOf = (names: ReadonlyArray<string>, namedMax = 0) => {
  const server = { names, seen: [] as Array<Protocol.WireRequest> }
  const sync = Audiences.over((wire) => {
    server.seen.push(wire)
    return wire.cursors === null && wire.held !== Audiences.digestOf(server.names)
      ? Effect.fail(new Protocol.AudiencesChanged({ message: "others" }))
      : Effect.succeed(Audiences.shorten(wire, response(server.names)))
  }, namedMax)
  const namesOf = (asked: Protocol.SyncRequest) => Effect.runSync(sync(asked)).audiences
  return { server, namesOf }
}

describe("the digest of audiences", () => {
  it("is that of the set, whatever its order", () => {
    expect(Audiences.digestOf(["b", "a", "ä", "😀"])).toBe(Audiences.digestOf(["😀", "ä", "a", "b"]))
  })

  it.each([
    [["a", "b"], ["ab"]],
    [["a"], ["a", ""]],
    [[], [""]],
    [["a,b"], ["a", "b"]],
    [["a\nb"], ["a", "b"]]
  ])("of %j is another than of %j", (one, other) => {
    expect(Audiences.digestOf(one)).not.toBe(Audiences.digestOf(other))
  })
})

describe("a transport", () => {
  it("leaves names out as soon as both sides know them", () => {
    const { namesOf, server } = serverOf(["a", "b"])
    expect(namesOf(request({}))).toEqual(["a", "b"])
    expect(namesOf(request({ b: 4, a: 4 }))).toEqual(["a", "b"])
    expect(server.seen.map(({ cursors }) => cursors)).toEqual([{}, null])
    expect(server.seen[0]).not.toHaveProperty("held")
  })

  it("asks again by name when they are others, and knows the new ones from then on", () => {
    const { namesOf, server } = serverOf(["a", "b"])
    namesOf(request({}))
    server.names = ["b", "c"]
    expect(namesOf(request({ a: 4, b: 4 }))).toEqual(["b", "c"])
    expect(namesOf(request({ b: 4, c: 4 }))).toEqual(["b", "c"])
    expect(server.seen.map(({ cursors }) => cursors)).toEqual([{}, null, { a: 4, b: 4 }, null])
  })

  it.each([
    [
      "in a load",
      request({ a: 4, b: 4 }, { position: { audience: "b", seq: 4, table: "t", key: "[]", began: 4 } })
    ],
    ["when they are not at one commit", request({ a: 4, b: 3 })],
    ["when one is missing", request({ a: 4 })],
    ["when there is another", request({ a: 4, b: 4, c: 4 })],
    ["when one is another", request({ a: 4, c: 4 })],
    ["when the client has applied nothing", request({ a: 4, b: 4 }, { seq: undefined })]
  ])("sends cursors by name %s, and gets no names for them", (_, asked) => {
    const { namesOf, server } = serverOf(["a", "b"])
    namesOf(request({}))
    expect(namesOf(asked)).toEqual(["a", "b"])
    expect(server.seen[1]).toMatchObject({ cursors: asked.cursors, held: Audiences.digestOf(["a", "b"]) })
    expect(server.seen).toHaveLength(2)
  })

  it("leaves the names of few as they are", () => {
    const { namesOf, server } = serverOf(["a", "b"], 2)
    namesOf(request({}))
    namesOf(request({ a: 4, b: 4 }))
    expect(server.seen[1]).toEqual(request({ a: 4, b: 4 }))
    server.names = ["a", "b", "c"]
    namesOf(request({ a: 4, b: 4 }))
    namesOf(request({ a: 4, b: 4, c: 4 }))
    expect(server.seen[3]!.cursors).toBeNull()
  })

  it("takes an answer without names that it cannot know for an answer that did not come", () => {
    const { audiences: _, ...rest } = response([])
    const sync = Audiences.over(
      () => Effect.succeed({ ...rest, audiences: null, held: Audiences.digestOf(["a"]) }),
      0
    )
    expect(Effect.runSync(Effect.flip(sync(request({}))))).toMatchObject({ _tag: "Unavailable" })
  })
})

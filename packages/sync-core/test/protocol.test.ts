import { createHash } from "node:crypto"
import { Either, JSONSchema, Schema } from "effect"
import { describe, expect, it } from "vitest"
import * as Hlc from "../src/Hlc.ts"
import * as Protocol from "../src/Protocol.ts"
import { node } from "./support.ts"

/** The wire format by protocol version. A released version's hash never changes. */
const hashes: Readonly<Record<number, string>> = {
  2: "9ccdeebdd2e675816fc43dc3d1bcaa99990ed4a454933691bdd4c123ae639324"
}

describe("the wire format", () => {
  it("is that of its protocol version", () => {
    const schemas = [Protocol.WireRequest, Protocol.WireResponse, Protocol.SyncError].map((schema) =>
      JSONSchema.make(Schema.asSchema(schema as Schema.Schema.AnyNoContext))
    )
    const hash = createHash("sha256").update(stable(schemas)).digest("hex")
    expect(
      hash,
      `The wire format changed. Raise protocolVersion in Protocol.ts, so that old clients and servers refuse each other instead of misreading, and add "${Protocol.protocolVersion + 1}: <the new hash>" here. (Nothing that was released may change; before the first release, replace the hash.)`
    ).toBe(hashes[Protocol.protocolVersion])
  })
})

/** Without what is only for readers, and independent of the order of properties. */
const stable = (value: unknown): string =>
  JSON.stringify(value, (key, part: unknown) => {
    if (key === "description" || key === "title") return undefined
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
  })

const hlc = Hlc.make({ ms: 1, counter: 0 }, node)
const record = { id: node, name: "todo.add", version: 1, args: { title: "milk" }, hlc, digest: null }
const request = {
  protocol: 2,
  app: "todo",
  schema: "abc",
  clientId: node,
  clientTimeMs: 1,
  cursors: { "list:1": 3 },
  records: [record],
  after: hlc
}
const response = {
  protocol: 2,
  seq: 1,
  serverTimeMs: 1,
  audiences: ["list:1"],
  verdicts: [
    { id: node, outcome: "applied", hlc },
    { id: node, outcome: "rejected", error: { class: "denied", message: "no" } }
  ],
  notices: [],
  tables: [
    {
      table: "public.todos",
      rows: '[{"id": "1", "title": null}]',
      count: 1,
      gone: ['["2"]']
    }
  ],
  next: { audience: "list:1", seq: 1, table: "public.todos", key: '["1"]', began: 1 },
  rowsTotal: 7,
  later: [
    {
      id: node,
      hlc,
      userId: "ada",
      name: "todo.add",
      version: 1,
      patches: [{ table: "public.todos", key: '["1"]', before: null, after: { id: "1" } }]
    }
  ],
  clock: { ms: 1, counter: 0 }
}

describe("I7: decoding", () => {
  const round = <A, I>(schema: Schema.Schema<A, I>, value: unknown) => {
    const decoded = Schema.decodeUnknownSync(schema)(JSON.parse(JSON.stringify(value)))
    expect(Schema.encodeSync(schema)(decoded)).toEqual(value)
  }
  it("gives back what was sent", () => {
    round(Protocol.SyncRequest, request)
    const inherited = JSON.parse('{"__proto__": 1, "constructor": 2}') as unknown
    const { cursors } = Schema.decodeUnknownSync(Protocol.SyncRequest)({ ...request, cursors: inherited })
    expect(Object.entries(cursors)).toEqual([
      ["__proto__", 1],
      ["constructor", 2]
    ])
    round(Protocol.SyncResponse, response)
    for (const error of [
      { _tag: "Unauthorized", message: "x" },
      { _tag: "ClockDrift", message: "x", serverTimeMs: 5 },
      { _tag: "Unavailable", message: "x", retryAfterMs: 5 },
      { _tag: "SchemaMismatch", message: "x", expected: "a", actual: "b" }
    ])
      round(Protocol.SyncError, error)
  })

  const refuses = (schema: Schema.Schema<unknown, unknown>, value: unknown) =>
    expect(
      Either.isLeft(Schema.decodeUnknownEither(schema)(value)),
      JSON.stringify(value)?.slice(0, 200)
    ).toBe(true)
  const change = (value: object, changes: object) => ({ ...value, ...changes })

  it("refuses requests that are none", () => {
    const schema = Protocol.SyncRequest as unknown as Schema.Schema<unknown, unknown>
    for (const bad of [null, undefined, 1, "", [], {}]) refuses(schema, bad)
    for (const field of Object.keys(request)) refuses(schema, change(request, { [field]: undefined }))
    for (const changes of [
      { protocol: "1" },
      { clientId: "not a uuid" },
      { clientId: node.toUpperCase().replace("0", "A") },
      { clientId: `${node}'; DROP TABLE x; --` },
      { cursors: { a: -1 } },
      { cursors: { a: 1.5 } },
      { cursors: { a: "1" } },
      { cursors: [] },
      { cursors: null },
      { cursors: JSON.parse('{"__proto__": "1"}') },
      { after: "now" },
      { records: {} },
      { records: Array.from({ length: Protocol.limits.recordsMax + 1 }, () => record) }
    ])
      refuses(schema, change(request, changes))
    for (const changes of [
      { id: "1" },
      { id: `${node}\n` },
      { name: "" },
      { name: "x".repeat(201) },
      { name: "a\u0000b" },
      { name: "a\ud800" },
      { name: "\udc00a" },
      { version: 0 },
      { version: 1.5 },
      { hlc: "0" },
      { hlc: hlc.toUpperCase().replace("0", "A") },
      { hlc: `${hlc}' OR true` },
      { digest: 5 }
    ])
      refuses(schema, change(request, { records: [change(record, changes)] }))
  })

  it("refuses responses that are none", () => {
    const schema = Protocol.SyncResponse as unknown as Schema.Schema<unknown, unknown>
    for (const bad of [null, undefined, 1, "", [], {}, request]) refuses(schema, bad)
    for (const field of Object.keys(response).filter((field) => field !== "rowsTotal"))
      refuses(schema, change(response, { [field]: undefined }))
    for (const changes of [
      { protocol: 1 },
      { seq: -1 },
      { next: { audience: "a", seq: 1, table: "t" } },
      { rowsTotal: -1 },
      { audiences: [1] },
      { verdicts: [{ id: node, outcome: "applied" }] },
      { verdicts: [{ id: node, outcome: "rejected" }] },
      { verdicts: [{ id: node, outcome: "maybe", hlc }] },
      { verdicts: [{ id: node, outcome: "rejected", error: { class: "because", message: "" } }] },
      { tables: [{ table: "t", rows: [], count: 0, gone: [] }] },
      { tables: [{ table: "t", rows: "[]", count: -1, gone: [] }] },
      { tables: [{ table: "t", rows: "[]", count: 0, gone: [1] }] },
      { later: [change(response.later[0]!, { patches: [{ table: "t", key: "k", before: null }] })] },
      { clock: { ms: 1.5, counter: 0 } }
    ])
      refuses(schema, change(response, changes))
  })
})

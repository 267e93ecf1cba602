/** The HTTP transport against a real server on a real socket: what each answer becomes. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"
import { TransportHttp } from "@synchrotron/sync-client"
import { Protocol } from "@synchrotron/sync-core"
import { Effect } from "effect"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { uuid } from "./fixture.ts"

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

interface Reply {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
  /** Never answers, or breaks off. */
  readonly fault?: "hang" | "destroy"
}

let server: Server
let url: string
let reply: Reply
const seen: Array<Seen> = []

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = ""
    for await (const chunk of request) body += chunk
    seen.push({ method: request.method, url: request.url, headers: request.headers, body })
    if (reply.fault === "hang") return
    if (reply.fault === "destroy") return void request.socket.destroy()
    response.writeHead(reply.status ?? 200, reply.headers)
    response.end(reply.body)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  seen.length = 0
})

const request: Protocol.SyncRequest = {
  protocol: 2,
  app: "fixture",
  schema: "hash",
  clientId: uuid(1) as Protocol.SyncRequest["clientId"],
  clientTimeMs: 5,
  cursors: {},
  records: [],
  after: null
}

const response = {
  protocol: 2,
  seq: 3,
  serverTimeMs: 7,
  audiences: ["all"],
  verdicts: [],
  notices: [],
  tables: [{ table: "public.todos", rows: '[{"id": "1", "title": null}]', count: 1, gone: [] }],
  next: null,
  later: [],
  clock: { ms: 1, counter: 0 }
}

const call = (options: Partial<Parameters<typeof TransportHttp.makeFetch>[0]> = {}) =>
  Effect.runPromise(
    Effect.either(
      Effect.flatMap(TransportHttp.makeFetch({ url, token: "secret", ...options }), ({ sync }) =>
        sync(request)
      )
    )
  )

const failure = async (answer: Reply, options?: Parameters<typeof call>[0]) => {
  reply = answer
  const result = await call(options)
  return result._tag === "Left" ? result.left : undefined
}

describe("TransportHttp", () => {
  it("posts JSON with the token, and reads the answer", async () => {
    reply = { body: JSON.stringify(response) }
    const result = await call({ url: `${url}/` })
    expect(result).toMatchObject({ _tag: "Right", right: { seq: 3 } })
    expect(seen).toMatchObject([
      {
        method: "POST",
        url: "/v1/sync",
        headers: { authorization: "Bearer secret", "content-type": "application/json" }
      }
    ])
    expect(JSON.parse(seen[0]!.body)).toEqual(request)
    // No preflight for headers that nobody asked for.
    expect(Object.keys(seen[0]!.headers)).not.toContain("traceparent")
  })

  it("reads compressed answers", async () => {
    reply = { headers: { "content-encoding": "gzip" }, body: gzipSync(JSON.stringify(response)) }
    expect(await call()).toMatchObject({ _tag: "Right", right: { seq: 3 } })
  })

  it("asks for the token each time", async () => {
    reply = { body: JSON.stringify(response) }
    let number = 0
    const transport = await Effect.runPromise(
      TransportHttp.makeFetch({ url, token: async () => `token-${++number}` })
    )
    await Effect.runPromise(transport.sync(request))
    await Effect.runPromise(transport.sync(request))
    expect(seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer token-1", "Bearer token-2"])
  })

  it("gives the server's errors as they are", async () => {
    const errors = [
      new Protocol.InvalidRequest({ message: "m" }),
      new Protocol.Unauthorized({ message: "m" }),
      new Protocol.ClientMismatch({ message: "m" }),
      new Protocol.SchemaMismatch({ message: "m", expected: "a", actual: "b" }),
      new Protocol.ClockDrift({ message: "m", serverTimeMs: 9 }),
      new Protocol.CursorTooOld({ message: "m" }),
      new Protocol.Unavailable({ message: "m", retryAfterMs: 1500 })
    ]
    for (const error of errors) {
      const body = JSON.stringify({ ...error, _tag: error._tag, message: error.message })
      const got = await failure({ status: 409, body })
      expect(got).toBeInstanceOf(error.constructor)
      expect(got).toMatchObject(JSON.parse(body))
    }
  })

  it.each<[string, Reply, object]>([
    [
      "a busy server",
      { status: 429, headers: { "retry-after": "2" } },
      { _tag: "Unavailable", retryAfterMs: 2000 }
    ],
    [
      "a restart",
      { status: 503, body: "upstream" },
      { _tag: "Unavailable", message: expect.stringContaining("503") }
    ],
    [
      "a typed one with the header",
      {
        status: 503,
        headers: { "retry-after": "3" },
        body: '{"_tag":"Unavailable","message":"m"}'
      },
      { _tag: "Unavailable", message: "m", retryAfterMs: 3000 }
    ],
    ["a crash", { status: 500, body: "{}" }, { _tag: "Unavailable" }],
    ["a wrong address", { status: 404, body: "<html>" }, { _tag: "Unavailable" }],
    ["a hotel's login page", { status: 200, body: "<html>" }, { _tag: "Unavailable" }],
    ["an answer of another shape", { status: 200, body: '{"protocol":2}' }, { _tag: "Unavailable" }],
    ["a proxy's login", { status: 401, body: "" }, { _tag: "Unauthorized" }],
    ["a proxy's limit", { status: 413, body: "" }, { _tag: "InvalidRequest" }],
    ["a connection that breaks", { fault: "destroy" }, { _tag: "Offline" }],
    [
      "a server that hangs",
      { fault: "hang" },
      { _tag: "Offline", message: expect.stringContaining("200 ms") }
    ]
  ])("%s", async (_name, answer, expected) => {
    expect(await failure(answer, { timeoutMs: 200 })).toMatchObject(expected)
  })

  it("nobody there, and a token that cannot be had, are Offline", async () => {
    expect(await failure({}, { url: "http://127.0.0.1:9" })).toMatchObject({ _tag: "Offline" })
    const token = () => Promise.reject(new Error("no network"))
    expect(await failure({}, { token })).toMatchObject({
      _tag: "Offline",
      message: expect.stringContaining("no network")
    })
    expect(seen.length).toBe(0)
  })

  it("reads retry-after as seconds and as a date", () => {
    expect(TransportHttp.retryAfter("2", 0)).toBe(2000)
    expect(TransportHttp.retryAfter("Thu, 01 Jan 1970 00:01:00 GMT", 1000)).toBe(59_000)
    expect(TransportHttp.retryAfter("Thu, 01 Jan 1970 00:01:00 GMT", 100_000)).toBe(0)
    expect(TransportHttp.retryAfter("soon", 0)).toBeUndefined()
    expect(TransportHttp.retryAfter(undefined, 0)).toBeUndefined()
  })
})

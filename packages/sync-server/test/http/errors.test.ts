import { Audiences, type Principal, Protocol } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { afterEach, describe, expect, it } from "vitest"
import {
  record,
  request,
  response,
  type Subject,
  type SubjectOptions,
  start,
  subjects,
  token
} from "./support.ts"

describe.each(subjects)("errors over %s", (transport) => {
  let subject: Subject
  const serve = async (options?: SubjectOptions) => {
    subject = await start(transport, options)
  }
  afterEach(() => subject.close())

  it("answers a good request with the authority's response, as the token's user", async () => {
    const seen: Array<[Principal, Protocol.WireRequest]> = []
    await serve({
      sync: (principal, body) => {
        seen.push([principal, body])
        return Effect.succeed(response)
      }
    })
    const sent = request({ records: [record(1), record(2)], cursors: { "list:1": 3 } })
    const answer = await subject.sync(sent)
    expect(answer.status).toBe(200)
    expect(answer.headers.get("content-type")).toContain("application/json")
    expect(await answer.json()).toEqual(response)
    expect(seen).toHaveLength(1)
    expect(seen[0]![0].userId).toBe("ann")
    expect(seen[0]![0].claims).toMatchObject({ sub: "ann" })
    expect(seen[0]![1]).toEqual(sent)
  })

  it("leaves the names of audiences out for a client that knows them", async () => {
    await serve({ sync: () => Effect.succeed({ ...response, audiences: ["a", "b"] as never }) })
    const held = Audiences.digestOf(["b", "a"])
    const { audiences, ...rest } = await (await subject.sync(request({ cursors: null, seq: 1, held }))).json()
    expect(audiences).toBeNull()
    expect(rest).toEqual({ ...response, audiences: undefined, held })
    const other = await subject.sync(request({ held: Audiences.digestOf(["a"]) }))
    expect(await other.json()).toEqual({ ...response, audiences: ["a", "b"] })
    const malformed = await subject.sync(request({ held: "a" }))
    expect(malformed.status).toBe(400)
    expect((await malformed.json()).message).toContain("held")
  })

  it.each([
    [new Protocol.InvalidRequest({ message: "m" }), 400],
    [new Protocol.Unauthorized({ message: "m" }), 401],
    [new Protocol.ClientMismatch({ message: "m" }), 403],
    [new Protocol.SchemaMismatch({ message: "m", expected: "a", actual: "b" }), 409],
    [new Protocol.ClockDrift({ message: "m", serverTimeMs: 5 }), 409],
    [new Protocol.CursorTooOld({ message: "m" }), 409],
    [new Protocol.AudiencesChanged({ message: "m" }), 409],
    [new Protocol.Unavailable({ message: "m", retryAfterMs: 2500 }), 503]
  ] as const)("answers the authority's $_tag with its status and fields", async (error, status) => {
    await serve({ sync: () => Effect.fail(error) })
    const answer = await subject.sync(request())
    expect(answer.status).toBe(status)
    expect(answer.headers.get("retry-after")).toBe(status === 503 ? "3" : null)
    expect(answer.headers.get("www-authenticate")).toBe(status === 401 ? "Bearer" : null)
    expect(await answer.json()).toEqual(Schema.encodeSync(Protocol.SyncError)(error))
  })

  it("tells the client to come back when the authority crashes, and keeps the cause to itself", async () => {
    await serve({ sync: () => Effect.die(new Error("secret detail")) })
    const answer = await subject.sync(request())
    expect(answer.status).toBe(503)
    expect(answer.headers.get("retry-after")).toBe("1")
    const text = await answer.text()
    expect(JSON.parse(text)._tag).toBe("Unavailable")
    expect(text).not.toContain("secret detail")
  })

  it("names the record and the field that are malformed", async () => {
    await serve()
    const cases: Array<[unknown, RegExp]> = [
      [request({ records: [record(1), record(2), record(3, { hlc: "x" })] }), /^records\[2\]\.hlc: /],
      [request({ records: [record(1, { id: "X" })] }), /^records\[0\]\.id: /],
      [request({ records: [record(1, { version: 0 })] }), /^records\[0\]\.version: /],
      [request({ records: "all" }), /^records: /],
      [request({ records: Array.from({ length: 1001 }, (_, i) => record(i)) }), /^records: .*1000/],
      [
        request({ cursors: { "list:1": -1 } }),
        /^cursors: Expected a seq for each audience, actual .*"list:1":-1/
      ],
      [request({ clientId: undefined }), /^clientId: /],
      [request({ protocol: "1" }), /^protocol: /],
      [[], /^body: |^protocol: /],
      [null, /^body: /]
    ]
    for (const [body, message] of cases) {
      const answer = await subject.sync(body)
      expect(answer.status).toBe(400)
      const error = (await answer.json()) as { _tag: string; message: string }
      expect(error._tag).toBe("InvalidRequest")
      expect(error.message).toMatch(message)
      expect(error.message.length).toBeLessThan(400)
    }
  })

  it("refuses another protocol before it looks at the rest", async () => {
    await serve()
    const answer = await subject.sync({ protocol: 1, somethingElse: true })
    expect(answer.status).toBe(409)
    expect(await answer.json()).toMatchObject({
      _tag: "SchemaMismatch",
      expected: "protocol 2",
      actual: "protocol 1"
    })
  })

  it("refuses what is not JSON", async () => {
    await serve()
    const authorization = `Bearer ${await token()}`
    for (const body of ["", "{", "{'a':1}", new Uint8Array([0x22, 0xff, 0x22])]) {
      const answer = await subject.fetch("/v1/sync", { method: "POST", headers: { authorization }, body })
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({
        _tag: "InvalidRequest",
        message: expect.stringMatching(/^The body is not JSON/)
      })
    }
  })

  it("knows its routes, and says so on others", async () => {
    await serve()
    for (const [method, path] of [
      ["GET", "/"],
      ["GET", "/v1/sync"],
      ["POST", "/v1/health"],
      ["GET", "/v1/nothing?token=x"]
    ] as const) {
      const answer = await subject.fetch(path, { method })
      expect(answer.status).toBe(404)
      const error = (await answer.json()) as { _tag: string; message: string }
      expect(error._tag).toBe("InvalidRequest")
      expect(error.message).toContain(`${method} ${path.split("?")[0]}`)
      expect(error.message).toContain("POST /v1/sync")
      expect(error.message).not.toContain("token")
    }
  })

  it("reports health without a token", async () => {
    await serve()
    const answer = await subject.fetch("/v1/health")
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({ status: "ok", protocol: 2, seq: 7 })
  })

  it("reports a lost database", async () => {
    await serve({ health: Effect.fail(new Protocol.Unavailable({ message: "gone" })) })
    const answer = await subject.fetch("/v1/health")
    expect(answer.status).toBe(503)
    expect(await answer.json()).toEqual({ _tag: "Unavailable", message: "gone" })
  })

  it("turns requests away when it has too many, and takes them again afterwards", async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let begun = () => {}
    const started = new Promise<void>((resolve) => {
      begun = resolve
    })
    await serve({
      limits: { requestsMax: 1 },
      sync: () =>
        Effect.promise(async () => {
          begun()
          await held
          return response
        })
    })
    const first = subject.sync(request())
    await started
    const second = await subject.sync(request())
    expect(second.status).toBe(503)
    expect(second.headers.get("retry-after")).toBe("1")
    release()
    expect((await first).status).toBe(200)
    expect((await subject.sync(request())).status).toBe(200)
  })
})

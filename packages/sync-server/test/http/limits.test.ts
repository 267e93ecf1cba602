import { request as nodeRequest } from "node:http"
import { gunzipSync, gzipSync } from "node:zlib"
import { Protocol } from "@synchrotron/sync-core"
import { Effect } from "effect"
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

const big = { ...response, audiences: Array.from({ length: 500 }, (_, i) => `list:${i}` as never) }

describe.each(subjects)("limits over %s", (transport) => {
  let subject: Subject
  const serve = async (options?: SubjectOptions) => {
    subject = await start(transport, options)
  }
  afterEach(() => subject.close())
  const post = async (body: BodyInit, headers: Record<string, string> = {}) =>
    subject.fetch("/v1/sync", {
      method: "POST",
      headers: { authorization: `Bearer ${await token()}`, ...headers },
      body,
      duplex: "half"
    })
  const refusal = async (answer: Response) => {
    expect(answer.headers.get("content-type")).toContain("application/json")
    return [answer.status, await answer.json()]
  }
  const tooLarge = [413, { _tag: "InvalidRequest", message: expect.stringContaining("larger than") }]

  it("refuses a body that says it is too large", async () => {
    await serve({ limits: { bodyBytesMax: 1000 } })
    expect(await refusal(await post("x".repeat(1001)))).toEqual(tooLarge)
    expect((await post(JSON.stringify(request()))).status).toBe(200)
  })

  it("refuses a body that turns out to be too large while it arrives, and stops reading it", async () => {
    await serve({ limits: { bodyBytesMax: 100_000 } })
    let sent = 0
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        sent += 10_000
        if (sent > 3_000_000) controller.close()
        else controller.enqueue(new Uint8Array(10_000).fill(32))
      }
    })
    expect(await refusal(await post(endless))).toEqual(tooLarge)
    if (transport === "web") expect(sent).toBeLessThan(200_000)
  })

  it("refuses args that are too large, by the record's index", async () => {
    await serve()
    const args = { text: "é".repeat(Protocol.limits.argsBytesMax / 2) }
    const answer = await subject.sync(request({ records: [record(1), record(2, { args }), record(3)] }))
    expect(await refusal(answer)).toEqual([
      413,
      { _tag: "InvalidRequest", message: expect.stringMatching(/^records\[1\]\.args: \d+ bytes/) }
    ])
    const allowed = { text: "a".repeat(Protocol.limits.argsBytesMax - 20) }
    const many = [record(1, { args: allowed }), record(2, { args: allowed })]
    expect((await subject.sync(request({ records: many }))).status).toBe(200)
  })

  it("refuses args that parse but are too deep for anything else", async () => {
    await serve()
    const body = JSON.stringify(request({ records: [record(1), record(2, { args: "deep" })] }))
    const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
    expect(await refusal(await post(body.replace('"deep"', nested)))).toEqual([
      400,
      { _tag: "InvalidRequest", message: "records[1].args: nested too deeply." }
    ])
  })

  it("takes gzip", async () => {
    const seen: Array<Protocol.WireRequest> = []
    await serve({
      sync: (_, body) => {
        seen.push(body)
        return Effect.succeed(response)
      }
    })
    const body = request({ records: [record(1)] })
    const answer = await post(gzipSync(JSON.stringify(body)), { "content-encoding": "gzip" })
    expect(answer.status).toBe(200)
    expect(seen).toEqual([body])
  })

  it("does not inflate a bomb", async () => {
    await serve()
    const bomb = gzipSync(Buffer.alloc(Protocol.limits.bodyBytesMax * 8, 32))
    expect(bomb.length).toBeLessThan(100_000)
    expect(await refusal(await post(bomb, { "content-encoding": "gzip" }))).toEqual(tooLarge)
  })

  it("refuses what only claims to be gzip, and encodings that it does not know", async () => {
    await serve()
    expect(await refusal(await post("{}", { "content-encoding": "gzip" }))).toEqual([
      400,
      { _tag: "InvalidRequest", message: expect.stringContaining("not gzip") }
    ])
    const cut = gzipSync(JSON.stringify(request())).subarray(0, 40)
    expect((await refusal(await post(cut, { "content-encoding": "gzip" })))[0]).toBe(400)
    expect(await refusal(await post("{}", { "content-encoding": "br" }))).toEqual([
      415,
      { _tag: "InvalidRequest", message: expect.stringContaining('"br"') }
    ])
  })

  it("answers in gzip when that is accepted and worth it", async () => {
    await serve({ sync: () => Effect.succeed(big) })
    const raw = await rawSync(subject, transport, "gzip, deflate")
    expect(raw.headers["content-encoding"]).toBe("gzip")
    expect(raw.headers["content-length"]).toBe(String(raw.body.length))
    expect(raw.headers["content-type"]).toContain("application/json")
    expect(raw.body.length).toBeLessThan(JSON.stringify(big).length / 2)
    expect(JSON.parse(gunzipSync(raw.body).toString())).toEqual(big)
    for (const accept of ["identity", "br", "gzip;q=0", "*;q=0"]) {
      const plain = await rawSync(subject, transport, accept)
      expect(plain.headers["content-encoding"]).toBeUndefined()
      expect(JSON.parse(plain.body.toString())).toEqual(big)
    }
  })

  it("sends small answers as they are", async () => {
    await serve()
    const raw = await rawSync(subject, transport, "gzip")
    expect(raw.headers["content-encoding"]).toBeUndefined()
    expect(JSON.parse(raw.body.toString())).toEqual(response)
  })
})

/** Without fetch, which inflates on its own. */
const rawSync = async (subject: Subject, transport: string, acceptEncoding: string) => {
  const headers = { authorization: `Bearer ${await token()}`, "accept-encoding": acceptEncoding }
  const body = JSON.stringify(request())
  if (transport === "web") {
    const answer = await subject.fetch("/v1/sync", { method: "POST", headers, body })
    return {
      headers: Object.fromEntries(answer.headers) as Record<string, string | undefined>,
      body: Buffer.from(await answer.arrayBuffer())
    }
  }
  return new Promise<{ headers: Record<string, string | undefined>; body: Buffer }>((resolve, reject) => {
    nodeRequest(
      { host: "127.0.0.1", port: subject.port, path: "/v1/sync", method: "POST", headers },
      async (answer) => {
        const chunks: Array<Buffer> = []
        for await (const chunk of answer) chunks.push(chunk as Buffer)
        resolve({
          headers: answer.headers as Record<string, string | undefined>,
          body: Buffer.concat(chunks)
        })
      }
    )
      .on("error", reject)
      .end(body)
  })
}

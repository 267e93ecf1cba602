import { afterEach, describe, expect, it } from "vitest"
import { request, type Subject, type SubjectOptions, start, subjects } from "./support.ts"

describe.each(subjects)("the interface over %s", (transport) => {
  let subject: Subject
  const serve = async (options?: SubjectOptions) => {
    subject = await start(transport, options)
  }
  afterEach(() => subject.close())
  const preflight = (origin: string) =>
    subject.fetch("/v1/sync", {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type"
      }
    })

  it("describes itself", async () => {
    await serve()
    const answer = await subject.fetch("/v1/openapi.json")
    expect(answer.status).toBe(200)
    // biome-ignore lint/suspicious/noExplicitAny: a document of a hundred optional fields
    const document = (await answer.json()) as any
    expect(document.openapi).toMatch(/^3\.1/)
    expect(Object.keys(document.paths).sort()).toEqual(["/v1/health", "/v1/shape", "/v1/sync"])
    expect(Object.keys(document.paths["/v1/sync"].post.responses).sort()).toEqual(
      ["200", "400", "401", "403", "409", "413", "415", "503"].sort()
    )
    expect(document.paths["/v1/sync"].post.security).toEqual([{ bearer: [] }])
    expect(document.paths["/v1/health"].get.security).toEqual([])
    const payload = document.paths["/v1/sync"].post.requestBody.content["application/json"].schema
    expect(payload.required).toContain("records")
  })

  it("lets browsers in from any origin, without credentials", async () => {
    await serve()
    const answer = await preflight("https://app.example.com")
    expect(answer.status).toBe(204)
    expect(answer.headers.get("access-control-allow-origin")).toBe("*")
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull()
    expect(answer.headers.get("access-control-allow-methods")).toBe("GET, POST")
    expect(answer.headers.get("access-control-allow-headers")).toBe(
      "authorization,content-type,content-encoding"
    )
    const posted = await subject.sync(request(), { origin: "https://app.example.com" })
    expect(posted.headers.get("access-control-allow-origin")).toBe("*")
    const refused = await subject.fetch("/v1/sync", { method: "POST", headers: { origin: "https://x.com" } })
    expect(refused.status).toBe(401)
    expect(refused.headers.get("access-control-allow-origin")).toBe("*")
    expect(refused.headers.get("access-control-expose-headers")).toBe(
      "retry-after,electric-handle,electric-offset,electric-up-to-date,electric-schema,electric-cursor"
    )
  })

  it("lets only named origins in when told so", async () => {
    await serve({ cors: { allowedOrigins: ["https://a.example.com", "https://b.example.com"] } })
    const a = await preflight("https://a.example.com")
    expect(a.headers.get("access-control-allow-origin")).toBe("https://a.example.com")
    const c = await preflight("https://c.example.com")
    expect(c.headers.get("access-control-allow-origin")).toBeNull()
  })

  it("has no CORS when told so", async () => {
    await serve({ cors: false })
    expect((await preflight("https://a.example.com")).status).toBe(404)
    const answer = await subject.sync(request(), { origin: "https://a.example.com" })
    expect(answer.status).toBe(200)
    expect(answer.headers.get("access-control-allow-origin")).toBeNull()
  })

  it("keeps two servers of one program apart", async () => {
    await serve()
    const other = await start(transport)
    expect((await other.fetch("/v1/health")).status).toBe(200)
    await other.close()
    expect((await subject.sync(request())).status).toBe(200)
  })
})

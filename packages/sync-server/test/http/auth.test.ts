import { Auth, tokens } from "@synchrotron/sync-server"
import { Effect, Redacted } from "effect"
import { SignJWT } from "jose"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { request, type Subject, secret, start, subjects } from "./support.ts"

const sign = (claims: Record<string, unknown>, key = secret, alg = "HS256") =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(new TextEncoder().encode(key))

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
const nowSeconds = () => Math.floor(Date.now() / 1000)

const authenticate = (options: Partial<Auth.JwtOptions>, token: string) =>
  Auth.Authenticator.pipe(
    Effect.flatMap((authenticator) => authenticator.authenticate(Redacted.make(token))),
    Effect.provide(Auth.layerJwt({ secret, ...options })),
    Effect.either,
    Effect.runPromise
  )

describe.each(subjects)("tokens over %s", (transport) => {
  let subject: Subject
  beforeAll(async () => {
    subject = await start(transport)
  })
  afterAll(() => subject.close())

  const status = async (headers: Record<string, string>) => {
    const answer = await subject.fetch("/v1/sync", {
      method: "POST",
      headers,
      body: JSON.stringify(request())
    })
    const body = (await answer.json()) as { _tag?: string; message?: string }
    if (answer.status === 401) {
      expect(body._tag).toBe("Unauthorized")
      expect(answer.headers.get("www-authenticate")).toBe("Bearer")
    }
    return [answer.status, body.message ?? ""] as const
  }

  it("takes a good one", async () => {
    expect((await status({ authorization: `Bearer ${await sign({ sub: "ann" })}` }))[0]).toBe(200)
    const expiring = await tokens.signDevelopmentToken({ secret, userId: "ann", expires: "15m" })
    expect((await status({ authorization: `bearer ${expiring}` }))[0]).toBe(200)
  })

  it.each([
    ["no header", () => ({}), /token is needed/],
    ["an empty one", () => ({ authorization: "Bearer " }), /token is needed/],
    ["another scheme", () => ({ authorization: "Basic YW5uOnNlY3JldA==" }), /not valid/],
    ["a word", () => ({ authorization: "Bearer hello" }), /not valid/],
    [
      "one signed with another secret",
      async () => ({
        authorization: `Bearer ${await sign({ sub: "ann" }, "another secret that is long enough!")}`
      }),
      /not valid/
    ],
    [
      "one with a changed payload",
      async () => {
        const [header, , signature] = (await sign({ sub: "ann" })).split(".")
        return { authorization: `Bearer ${header}.${base64({ sub: "root" })}.${signature}` }
      },
      /not valid/
    ],
    [
      "alg none",
      () => ({ authorization: `Bearer ${base64({ alg: "none" })}.${base64({ sub: "ann" })}.` }),
      /not valid/
    ],
    [
      "another algorithm with the same secret",
      async () => ({ authorization: `Bearer ${await sign({ sub: "ann" }, secret.repeat(2), "HS512")}` }),
      /not valid/
    ],
    [
      "an expired one",
      async () => ({ authorization: `Bearer ${await sign({ sub: "ann", exp: nowSeconds() - 60 })}` }),
      /has expired/
    ],
    [
      "one of the future",
      async () => ({ authorization: `Bearer ${await sign({ sub: "ann", nbf: nowSeconds() + 60 })}` }),
      /not valid yet/
    ],
    ["one without a user", async () => ({ authorization: `Bearer ${await sign({ role: "x" })}` }), /`sub`/],
    ["one with an empty user", async () => ({ authorization: `Bearer ${await sign({ sub: "" })}` }), /`sub`/],
    [
      "one with a user that Postgres cannot hold",
      async () => ({ authorization: `Bearer ${await sign({ sub: "a\u0000n" })}` }),
      /NUL/
    ],
    [
      "one with a claim that Postgres cannot hold",
      async () => ({ authorization: `Bearer ${await sign({ sub: "ann", teams: ["\ud800"] })}` }),
      /surrogate/
    ]
  ] as const)("refuses %s", async (_, headers, message) => {
    const [code, text] = await status(await headers())
    expect(code).toBe(401)
    expect(text).toMatch(message)
    expect(text).not.toContain(secret)
  })

  it("does not read the body of a stranger", async () => {
    const answer = await subject.fetch("/v1/sync", { method: "POST", body: "not JSON" })
    expect(answer.status).toBe(401)
    await answer.text()
  })
})

describe("layerJwt", () => {
  it("gives all claims", async () => {
    const result = await authenticate({}, await sign({ sub: "ann", teams: ["a", "b"] }))
    expect(result).toMatchObject({
      _tag: "Right",
      right: { userId: "ann", claims: { sub: "ann", teams: ["a", "b"] } }
    })
  })

  it("checks issuer and audience when they are given", async () => {
    const options = { issuer: "https://issuer", audience: "sync" }
    const good = { sub: "ann", iss: "https://issuer", aud: "sync" }
    expect(await authenticate(options, await sign(good))).toMatchObject({ _tag: "Right" })
    for (const [claim, value] of [
      ["iss", "https://other"],
      ["aud", "other"],
      ["aud", undefined]
    ] as const)
      expect(await authenticate(options, await sign({ ...good, [claim]: value }))).toMatchObject({
        _tag: "Left",
        left: { _tag: "Unauthorized", message: expect.stringContaining(`\`${claim}\``) }
      })
  })

  it("tells a forger nothing about what else is wrong", async () => {
    const forged = await sign({ iss: "https://other", exp: 1 }, "another secret that is long enough!")
    expect(await authenticate({ issuer: "https://issuer" }, forged)).toMatchObject({
      left: { message: "The token is not valid." }
    })
  })

  it("tolerates clocks that differ, within the bound", async () => {
    const token = await sign({ sub: "ann", exp: nowSeconds() - 10 })
    expect(await authenticate({ clockToleranceSeconds: 60 }, token)).toMatchObject({ _tag: "Right" })
    expect(await authenticate({ clockToleranceSeconds: 0 }, token)).toMatchObject({ _tag: "Left" })
  })

  it("does not start with a short secret, and says what to do", async () => {
    const error = await Effect.runPromise(
      Effect.flip(Effect.provide(Auth.Authenticator, Auth.layerJwt({ secret: "short" })))
    )
    expect(error).toBeInstanceOf(Auth.SecretTooShort)
    expect(error.message).toContain("openssl rand")
    expect(error.message).not.toContain("short ")
    await expect(tokens.signDevelopmentToken({ secret: "short", userId: "ann" })).rejects.toThrow(
      "at least 32"
    )
  })

  it("signs no token with a lifetime that is none", async () => {
    await expect(tokens.signDevelopmentToken({ secret, userId: "ann", expires: "soon" })).rejects.toThrow(
      '"soon" is not a time'
    )
  })
})

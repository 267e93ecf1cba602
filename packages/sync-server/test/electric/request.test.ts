import type { Audience } from "@synchrotron/sync-core"
import { describe, expect, it } from "vitest"
import { digestOf, unwrapHandle, urlOf, wrapHandle } from "../../src/electric/request.ts"

const electric = { url: new URL("http://electric:3000/base/"), secret: undefined }
const audiences = (count: number) => Array.from({ length: count }, (_, i) => `list:${i}` as Audience)
const beginning = new URLSearchParams({ offset: "now" })

describe("a request to Electric", () => {
  it("is for a path below the given URL, and has a secret only if there is one", () => {
    const url = urlOf(electric, beginning, audiences(1))!
    expect(url.origin + url.pathname).toBe("http://electric:3000/base/v1/shape")
    expect(url.searchParams.has("secret")).toBe(false)
    expect(urlOf({ ...electric, secret: "s" }, beginning, [])!.searchParams.get("secret")).toBe("s")
  })

  it("is the same for the same audiences in another order", () => {
    const [a, b, c] = audiences(3) as [Audience, Audience, Audience]
    expect(urlOf(electric, beginning, [c, a, b])!.href).toBe(urlOf(electric, beginning, [a, b, c])!.href)
    expect(digestOf([c, a, b])).toBe(digestOf([a, b, c]))
    expect(digestOf([a, b])).not.toBe(digestOf([a, b, c]))
  })

  it("I9: is not made when its URL would be longer than servers take", () => {
    expect(urlOf(electric, beginning, audiences(200))!.href.length).toBeLessThanOrEqual(8000)
    expect(urlOf(electric, beginning, audiences(1000))).toBeUndefined()
    const long = new URLSearchParams({ offset: "1".repeat(50_000) })
    expect(urlOf(electric, long, audiences(1))!.href.length).toBeLessThan(1000)
  })

  it("has no handle when the client begins, for then it can only be one of the server's", () => {
    const handle = wrapHandle(digestOf([]), "7-1")
    expect(
      urlOf(electric, new URLSearchParams({ offset: "-1", handle }), [])!.searchParams.has("handle")
    ).toBe(false)
    expect(
      urlOf(electric, new URLSearchParams({ offset: "5_0", handle }), [])!.searchParams.get("handle")
    ).toBe("7-1")
  })

  it("reads the handles that it makes, and no others", () => {
    expect(unwrapHandle(wrapHandle(digestOf([]), "7-1"))).toEqual({ digest: digestOf([]), handle: "7-1" })
    for (const other of [null, "", "7-1", "0123456789abcdef", "0123456789abcdef-"])
      expect(unwrapHandle(other)).toBeUndefined()
  })
})

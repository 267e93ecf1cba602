/** The endpoint behind the web-standard handler, where another server sends the answers. */
import { SyncServer } from "@synchrotron/sync-server"
import { afterEach, beforeEach, expect, it } from "vitest"
import { testImage } from "../../../../test/image.ts"
import { request, secret, token } from "../http/support.ts"
import { app } from "./fixture.ts"

let sync: Awaited<ReturnType<typeof SyncServer.makeHandler>>
beforeEach(async () => {
  sync = await SyncServer.makeHandler({
    app,
    database: { _tag: "embedded", dataDir: "memory://", image: testImage },
    jwtSecret: secret,
    live: { sessionsMax: 2 }
  })
})
afterEach(() => sync.close())

const get = async (parameters: Record<string, string>, signal?: AbortSignal) =>
  sync.handler(
    new Request(`http://localhost/v1/shape?${new URLSearchParams({ table: "notes", ...parameters })}`, {
      headers: { authorization: `Bearer ${await token()}` },
      ...(signal === undefined ? {} : { signal })
    })
  )

const live = async () => {
  const { headers } = await get({ offset: "-1" })
  return { offset: headers.get("electric-offset")!, handle: headers.get("electric-handle")!, live: "true" }
}

it("I9: has room again when clients hang up, be it while they poll or while they are sent events", async () => {
  const parameters = await live()
  const controller = new AbortController()
  const poll = get(parameters, controller.signal).catch(() => {})
  const stream = await get({ ...parameters, live_sse: "true" })
  const reader = stream.body!.getReader()
  expect(new TextDecoder().decode((await reader.read()).value)).toContain("up-to-date")
  await expect.poll(async () => (await get(parameters)).status).toBe(503)
  controller.abort()
  await reader.cancel()
  await poll
  const again = new AbortController()
  await expect
    .poll(
      async () => {
        const answer = await get({ ...parameters, live_sse: "true" }, again.signal)
        if (answer.status === 200) await answer.body!.cancel()
        return answer.status
      },
      { timeout: 10_000 }
    )
    .toBe(200)
})

it("answers what waits when it is closed", async () => {
  const parameters = await live()
  const poll = get(parameters)
  const stream = await get({ ...parameters, live_sse: "true" })
  await sync.close()
  expect((await poll).status).toBe(200)
  expect(await stream.text()).toContain("up-to-date")
  expect((await get(parameters)).status).toBe(503)
  const late = await sync.handler(
    new Request("http://localhost/v1/sync", { method: "POST", body: JSON.stringify(request()) })
  )
  expect(late.status).toBe(401)
})

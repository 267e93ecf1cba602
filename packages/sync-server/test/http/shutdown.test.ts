import { connect } from "node:net"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { request, response, type SubjectOptions, start, subjects, token } from "./support.ts"

const gate = () => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

/** An authority that begins, and answers when it is told to. */
const slow = () => {
  const begun = gate()
  const answer = gate()
  let finished = false
  const sync: SubjectOptions["sync"] = () =>
    Effect.promise(async () => {
      begun.open()
      await answer.opened
      finished = true
      return response
    })
  return { sync, begun: begun.opened, answer: answer.open, finished: () => finished }
}

describe.each(subjects)("stopping %s", (transport) => {
  it("finishes the request that it has begun, and takes no other", async () => {
    const authority = slow()
    const subject = await start(transport, { sync: authority.sync })
    const first = subject.sync(request())
    await authority.begun
    let closed = false
    const closing = subject.close().then(() => {
      closed = true
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(closed).toBe(false)
    const second = await subject.sync(request()).then(
      (answer) => answer.status,
      () => "refused"
    )
    expect(second).toBe(transport === "web" ? 503 : "refused")
    authority.answer()
    const answer = await first
    expect(answer.status).toBe(200)
    if (transport === "node") expect(answer.headers.get("connection")).toBe("close")
    expect(await answer.json()).toEqual(response)
    await closing
  })

  it("does not wait for ever", async () => {
    const authority = slow()
    const subject = await start(transport, { sync: authority.sync, limits: { drainMsMax: 100 } })
    const first = subject.sync(request()).then(
      (answer) => answer.status,
      () => "cut off"
    )
    await authority.begun
    const begunMs = Date.now()
    await subject.close()
    expect(Date.now() - begunMs).toBeLessThan(2000)
    expect(await first).toBe(transport === "web" ? 503 : "cut off")
    authority.answer()
  })

  it("is quick when there is nothing to finish, although clients keep connections open", async () => {
    const subject = await start(transport)
    await (await subject.sync(request())).text()
    const unused = transport === "node" ? connect(subject.port, "127.0.0.1") : undefined
    if (unused) await new Promise((resolve) => unused.once("connect", resolve))
    const begunMs = Date.now()
    await subject.close()
    expect(Date.now() - begunMs).toBeLessThan(1000)
  })

  it("commits what a client began before it hung up", async () => {
    const authority = slow()
    const subject = await start(transport, { sync: authority.sync })
    const controller = new AbortController()
    const sent = subject
      .fetch("/v1/sync", {
        method: "POST",
        headers: { authorization: `Bearer ${await token()}` },
        body: JSON.stringify(request()),
        signal: controller.signal
      })
      .catch(() => "aborted")
    await authority.begun
    controller.abort()
    await new Promise((resolve) => setTimeout(resolve, 50))
    authority.answer()
    await subject.close()
    expect(authority.finished()).toBe(true)
    void sent
  })
})

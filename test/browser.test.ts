import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Browser } from "playwright-core"
import { afterAll, beforeAll, expect, inject, it } from "vitest"
import { launchBrowser } from "./browser.ts"

let browser: Browser
let server: Server

beforeAll(async () => {
  browser = await launchBrowser(inject("chromiumPath"))
  server = createServer((_request, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html><title>ready</title>")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
})

afterAll(async () => {
  await browser?.close()
  server?.close()
})

it("gives a page on localhost what the client needs: locks, broadcast, private files", async () => {
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  expect(await page.title()).toBe("ready")
  const found = await page.evaluate(async () => ({
    locks: await navigator.locks.request("probe", async (lock) => lock?.mode),
    broadcast: typeof BroadcastChannel,
    files: (await navigator.storage.getDirectory()).kind
  }))
  expect(found).toEqual({ locks: "exclusive", broadcast: "function", files: "directory" })
})

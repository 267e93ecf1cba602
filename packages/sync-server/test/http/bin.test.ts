/** The command as a real process. */
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, describe, expect, inject, it } from "vitest"
import { createDatabase } from "../../../../test/postgres.ts"
import { killAll, launch as launchIn, ready } from "../../../../test/server-process.ts"
import app from "./fixtures/app.ts"
import { record, request, secret, token as userToken } from "./support.ts"

const appPath = fileURLToPath(new URL("./fixtures/app.ts", import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), "synchrotron-server-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
afterEach(killAll)

const launch = (args: ReadonlyArray<string>, env: Record<string, string>) =>
  launchIn(args, { cwd: scratch, env: { SYNCHROTRON_JWT_SECRET: secret, ...env } })

const push = async (port: string, token: string, n: number) => {
  const args = { id: `00000000-0000-4000-9000-00000000000${n}`, text: `note ${n}` }
  const answer = await fetch(`http://127.0.0.1:${port}/v1/sync`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(
      request({ app: app.name, schema: app.schemaHash, records: [record(n, { name: "note.add", args })] })
    )
  })
  // biome-ignore lint/suspicious/noExplicitAny: a test's look at a response
  return [answer.status, (await answer.json()) as any] as const
}

describe("synchrotron-server", () => {
  it("serves from an embedded store, which survives a SIGTERM", async () => {
    const token = await userToken()
    const env = { SYNCHROTRON_APP: appPath, SYNCHROTRON_PORT: "0", SYNCHROTRON_DATA_DIR: "store" }
    const first = launch(["serve"], env)
    const [, port, where] = await first.until(ready)
    expect(where).toBe(`embedded store in ${join(scratch, "store")}`)
    const [status, body] = await push(port!, token, 1)
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body.verdicts[0], JSON.stringify(body)).toMatchObject({ outcome: "changed" })
    first.child.kill("SIGTERM")
    expect(await first.exit, first.output().stderr).toBe(0)

    const second = launch(["serve"], env)
    const [, secondPort] = await second.until(ready)
    const [again, secondBody] = await push(secondPort!, token, 2)
    expect(again).toBe(200)
    expect(secondBody.tables[0].count).toBe(2)

    second.child.kill("SIGINT")
    expect(await second.exit).toBe(0)
  }, 120_000)

  it("serves from Postgres, before an Electric, without saying password or secret", async () => {
    const database = await createDatabase(inject("postgresUrl"), "serve")
    const asked: Array<string> = []
    const electric = createServer((request, response) => {
      asked.push(request.url!)
      response.writeHead(503).end(request.url)
    }).listen(0, "127.0.0.1")
    await once(electric, "listening")
    try {
      const server = launch(["serve", "--port", "0"], {
        SYNCHROTRON_APP: appPath,
        DATABASE_URL: database.url,
        ELECTRIC_URL: `http://127.0.0.1:${(electric.address() as AddressInfo).port}`,
        ELECTRIC_SECRET: "only between the two"
      })
      const [, port, where] = await server.until(ready)
      const url = new URL(database.url)
      expect(where).toBe(`Postgres ${url.host}${url.pathname}`)
      const health = await fetch(`http://127.0.0.1:${port}/v1/health`)
      expect(await health.json()).toMatchObject({ status: "ok" })
      const feed = await fetch(`http://127.0.0.1:${port}/v1/shape?table=synchrotron.feed&offset=now`, {
        headers: { authorization: `Bearer ${await userToken()}` }
      })
      expect(feed.status).toBe(503)
      expect(asked).toEqual([expect.stringContaining("secret=only+between+the+two")])
      server.child.kill("SIGTERM")
      expect(await server.exit, server.output().stderr).toBe(0)
      const { stderr, stdout } = server.output()
      expect(stdout + stderr).toContain("Electric answered 503")
      expect(stdout + stderr).not.toMatch(/between/)
    } finally {
      electric.close()
      await database.drop()
    }
  }, 120_000)
})

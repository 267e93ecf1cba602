/** The command line in this process: what it prints, and what it says when something is wrong. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeContext } from "@effect/platform-node"
import { SyncServer } from "@synchrotron/sync-server"
import { ConfigProvider, Console, Effect, Exit } from "effect"
import { decodeJwt } from "jose"
import { afterAll, describe, expect, inject, it } from "vitest"
import { createDatabase } from "../../../../test/postgres.ts"
import { main } from "../../src/cli/main.ts"
import app from "./fixtures/app.ts"
import { record, request, secret, token } from "./support.ts"

const appPath = fileURLToPath(new URL("./fixtures/app.ts", import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), "synchrotron-server-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const run = async (args: ReadonlyArray<string>, env: Record<string, string> = {}) => {
  const lines = { stdout: "", stderr: "" }
  const to =
    (stream: "stdout" | "stderr") =>
    (...values: ReadonlyArray<unknown>) =>
      Effect.sync(() => {
        lines[stream] += `${values.join(" ")}\n`
      })
  const live = await Effect.runPromise(Console.consoleWith(Effect.succeed))
  const exit = await main(["node", "synchrotron-server", ...args]).pipe(
    Effect.provide(NodeContext.layer),
    Effect.withConfigProvider(
      ConfigProvider.fromMap(new Map(Object.entries({ SYNCHROTRON_JWT_SECRET: secret, ...env })))
    ),
    Effect.withConsole({ ...live, log: to("stdout"), error: to("stderr") }),
    Effect.runPromiseExit
  )
  return { succeeded: Exit.isSuccess(exit), ...lines }
}

describe("the command line", () => {
  it("names the commands that work, and only those", async () => {
    const { succeeded, stdout } = await run(["--help"])
    expect(succeeded).toBe(true)
    expect(stdout.match(/^ {2}- (\w+)/gm)?.map((line) => line.slice(4))).toEqual([
      "serve",
      "compact",
      "token"
    ])
    const help = await run(["serve", "--help"])
    for (const variable of [
      "DATABASE_URL",
      "ELECTRIC_URL",
      "ELECTRIC_SECRET",
      "SYNCHROTRON_APP",
      "SYNCHROTRON_DATA_DIR",
      "SYNCHROTRON_HOST",
      "SYNCHROTRON_JWT_SECRET",
      "SYNCHROTRON_PORT",
      "SYNCHROTRON_ROLE",
      "SYNCHROTRON_REORDER_WINDOW_MS",
      "SYNCHROTRON_COMPACT_EVERY_MS"
    ])
      expect(help.stdout).toContain(variable)
  })

  it("prints tokens", async () => {
    const { succeeded, stdout } = await run([
      "token",
      "--user",
      "ann",
      "--claims",
      '{"team":"a"}',
      "--expires",
      "2h"
    ])
    expect(succeeded).toBe(true)
    const claims = decodeJwt(stdout.trim())
    expect(claims).toMatchObject({ sub: "ann", team: "a" })
    expect(claims.exp! - claims.iat!).toBeCloseTo(7200, -1)
  })

  const serving = { SYNCHROTRON_APP: appPath, SYNCHROTRON_DATA_DIR: "memory://", SYNCHROTRON_PORT: "0" }
  writeFileSync(join(scratch, "empty.mjs"), "export default {}")
  writeFileSync(join(scratch, "broken.mjs"), "import './missing.mjs'")
  it.each<readonly [string, ReadonlyArray<string>, Record<string, string>, RegExp]>([
    ["no secret", ["serve"], { SYNCHROTRON_JWT_SECRET: "" }, /^Set SYNCHROTRON_JWT_SECRET .*openssl rand/],
    [
      "a short secret",
      ["serve"],
      { ...serving, SYNCHROTRON_JWT_SECRET: "short" },
      /has 5 bytes, and at least 32/
    ],
    ["no application", ["serve"], {}, /^Name the module .*--app/],
    [
      "another default export",
      ["serve", "--app", join(scratch, "empty.mjs")],
      {},
      /empty\.mjs is not a SyncApp/
    ],
    ["no such module", ["serve", "--app", join(scratch, "nothing.mjs")], {}, /nothing\.mjs cannot be loaded/],
    [
      "a module that fails",
      ["serve", "--app", join(scratch, "broken.mjs")],
      {},
      /broken\.mjs cannot be loaded: .*missing\.mjs/
    ],
    [
      "a database that is away",
      ["serve", "--database-url", "postgres://ann:hidden@127.0.0.1:1/x"],
      serving,
      /^The database cannot be used \(Postgres 127\.0\.0\.1:1\/x\): .*ECONNREFUSED/
    ],
    [
      "a database to compact that is away",
      ["compact", "--database-url", "postgres://ann:hidden@127.0.0.1:1/x"],
      {},
      /^The database cannot be used \(Postgres 127\.0\.0\.1:1\/x\): .*ECONNREFUSED/
    ],
    [
      "a store to compact that is not there",
      ["compact", "--data-dir", join(scratch, "nothing")],
      {},
      /^There is no embedded store in .*nothing.*--data-dir/
    ],
    [
      "a store to compact that no server has set up",
      ["compact", "--data-dir", "memory://"],
      {},
      /is not set up for this version of the server\. Start the server on it once/
    ],
    [
      "Electric behind an embedded store",
      ["serve"],
      { ...serving, ELECTRIC_URL: "http://127.0.0.1:1" },
      /^Electric reads a Postgres.*DATABASE_URL.*ELECTRIC_URL/
    ],
    ["a window that is none", ["compact", "--reorder-window-records", "-1"], {}, /-1/],
    ["a port that is a word", ["serve"], { ...serving, SYNCHROTRON_PORT: "many" }, /SYNCHROTRON_PORT/],
    ["a port out of range", ["serve", "--port", "65536"], serving, /65535/],
    [
      "claims that are none",
      ["token", "--user", "ann", "--claims", "[]"],
      {},
      /--claims is not a JSON object/
    ],
    ["a lifetime that is none", ["token", "--user", "ann", "--expires", "soon"], {}, /"soon" is not a time/],
    ["an unknown command", ["server"], {}, /serve/]
  ])("says in a sentence what is wrong with %s", async (_, args, env, message) => {
    const { succeeded, stdout, stderr } = await run(args, env)
    expect(succeeded).toBe(false)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/hidden|^\s+at /m)
    expect(stdout).toBe("")
  })

  it("compacts, and says what it has freed", async () => {
    const { url, drop } = await createDatabase(inject("postgresUrl"), "compact")
    try {
      const server = await SyncServer.makeHandler({
        app,
        database: { _tag: "postgres", url },
        jwtSecret: secret,
        compactEveryMs: 0
      })
      const records = [1, 2, 3].map((n) =>
        record(n, {
          name: "note.add",
          args: { id: `00000000-0000-4000-9000-00000000000${n}`, text: `note ${n}` }
        })
      )
      const answer = await server.handler(
        new Request("http://localhost/v1/sync", {
          method: "POST",
          headers: { authorization: `Bearer ${await token()}`, "content-type": "application/json" },
          body: JSON.stringify(request({ app: app.name, schema: app.schemaHash, records }))
        })
      )
      expect(answer.status).toBe(200)
      await server.close()
      // These records are stamped long ago, and have been placed at the window's edge.
      const first = await run(["compact", "--database-url", url])
      expect(first.stdout).toMatch(
        /^Freed 3 patches of 3 records, and 0 tombstones in \d+\.\d s\. The database uses their space again after its next vacuum\.\n$/
      )
      const second = await run(["compact"], { DATABASE_URL: url, SYNCHROTRON_REORDER_WINDOW_MS: "0" })
      expect(second.stdout).toMatch(/^Freed 0 patches of 0 records/)
    } finally {
      await drop()
    }
  })

  it("says which port is in use", async () => {
    const busy = createServer().listen(0, "127.0.0.1")
    await new Promise((resolve) => busy.once("listening", resolve))
    const { port } = busy.address() as { port: number }
    const { stderr } = await run(["serve", "--port", String(port)], serving)
    busy.close()
    expect(stderr).toBe(`Port ${port} on 127.0.0.1 is in use. Choose another one with --port.\n`)
  })
})

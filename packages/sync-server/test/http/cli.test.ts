/** The command line in this process: what it prints, and what it says when something is wrong. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeContext } from "@effect/platform-node"
import { ConfigProvider, Console, Effect, Exit } from "effect"
import { decodeJwt } from "jose"
import { afterAll, describe, expect, it } from "vitest"
import { main } from "../../src/cli/main.ts"
import { secret } from "./support.ts"

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
    expect(stdout.match(/^ {2}- (\w+)/gm)?.map((line) => line.slice(4))).toEqual(["serve", "token"])
    const help = await run(["serve", "--help"])
    for (const variable of [
      "DATABASE_URL",
      "SYNCHROTRON_APP",
      "SYNCHROTRON_DATA_DIR",
      "SYNCHROTRON_HOST",
      "SYNCHROTRON_JWT_SECRET",
      "SYNCHROTRON_PORT",
      "SYNCHROTRON_ROLE"
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

  it("says which port is in use", async () => {
    const busy = createServer().listen(0, "127.0.0.1")
    await new Promise((resolve) => busy.once("listening", resolve))
    const { port } = busy.address() as { port: number }
    const { stderr } = await run(["serve", "--port", String(port)], serving)
    busy.close()
    expect(stderr).toBe(`Port ${port} on 127.0.0.1 is in use. Choose another one with --port.\n`)
  })
})

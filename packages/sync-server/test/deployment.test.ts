/** docs/deployment.md: its code and statements as they stand, and whether it names all that there is to set. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { NodeContext } from "@effect/platform-node"
import { SyncServer } from "@synchrotron/sync-server"
import { ConfigProvider, Console, Effect } from "effect"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { testImage } from "../../../test/image.ts"
import { extract } from "../../../test/pages.ts"
import { createDatabase, type TestDatabase } from "../../../test/postgres.ts"
import { main } from "../src/cli/main.ts"
import { electricRole } from "../src/electric/setup.ts"
import app from "./http/fixtures/app.ts"
import { secret } from "./http/support.ts"
import { serve } from "./shape/support.ts"

const root = join(import.meta.dirname, "../../..")
const page = readFileSync(join(root, "docs/deployment.md"), "utf8")
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map(([, code]) => code!)

const help = async () => {
  let text = ""
  const live = await Effect.runPromise(Console.consoleWith(Effect.succeed))
  await main(["node", "synchrotron-server", "serve", "--help"]).pipe(
    Effect.provide(NodeContext.layer),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map())),
    Effect.withConsole({
      ...live,
      log: (line) =>
        Effect.sync(() => {
          text += line
        })
    }),
    Effect.runPromise
  )
  return text
}

describe("docs/deployment.md", () => {
  const folder = extract("docs/deployment.md", ".deployment-docs", "packages/sync-server")
  let database: TestDatabase
  let client: pg.Client
  beforeAll(async () => {
    database = await createDatabase(inject("postgresUrl"), "deployment")
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
    const server = await SyncServer.makeHandler({
      app,
      database: { _tag: "postgres", url: database.url },
      jwtSecret: secret
    })
    await server.close()
  })
  afterAll(async () => {
    await client.end()
    await database.drop()
  })

  it("names every setting of the command, and no other", async () => {
    const known = new Set((await help()).match(/\b(?:SYNCHROTRON|ELECTRIC|DATABASE)_[A-Z_]+\b/g))
    const named = [...page.matchAll(/^\| `([A-Z_]+)` /gm)].map(([, name]) => name!)
    expect(named.sort()).toEqual([...known].sort())
  })

  it("has statements that work", async () => {
    const statements = blocks("sql")
    expect(statements).toHaveLength(5)
    for (const statement of statements) {
      await client.query("BEGIN")
      // Roles belong to all databases of the test run.
      await client.query(statement.replaceAll(electricRole, `electric_${process.pid}`))
      await client.query("ROLLBACK")
    }
  })

  it("has a proxy's configuration that is in the image", () => {
    const template = readFileSync(join(root, "docker/nginx.conf.template"), "utf8")
    const lines = blocks("nginx").flatMap((block) => block.trim().split("\n"))
    expect(lines.length).toBeGreaterThan(5)
    for (const line of lines) expect(template).toContain(line.trim())
  })

  it("has a probe that tells a server that works from one that does not", async () => {
    const { probe } = (await import(join(folder, "probe.ts"))) as {
      probe: (server: string) => Promise<{ status: string; seq: number }>
    }
    const place = {
      database: { _tag: "embedded", dataDir: "memory://", image: testImage },
      remove: async () => {}
    } as const
    const server = await serve(place)
    const url = new URL(server.url).origin
    expect(await probe(url)).toMatchObject({ status: "ok", seq: expect.any(Number) })
    await server.close()
    await expect(probe(url)).rejects.toThrow()
  })
})

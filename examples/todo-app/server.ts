/**
 * `npm start`: the todo app on one port. `/v1/*` is the sync server with its database in a folder beside it,
 * `/dev/token` signs anybody in, and everything else is the page.
 *
 * | setting                | meaning                                                                        |
 * |------------------------|--------------------------------------------------------------------------------|
 * | `PORT`                 | port to listen on, or the next free one after it; 5173 unless set              |
 * | `SYNCHROTRON_DATA_DIR` | folder of the database and the secret; `.synchrotron/todo` unless set          |
 * | `--dev`                | compiles the page on the fly and reloads it on changes, instead of building it |
 * | `--built <folder>`     | serves a finished build                                                        |
 */
import { createServer } from "node:http"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { SyncServer } from "@synchrotron/sync-server"
import { builtAssets, fileAssets, viteAssets } from "./server/assets.ts"
import { answer, namesThisMachine } from "./server/http.ts"
import { loadSecret, makeIdentity, tokenPath } from "./server/identity.ts"
import { listen } from "./server/listen.ts"
import { app } from "./src/app.ts"

/** The identity provider trusts everybody who can reach it: only this machine may. */
const host = "127.0.0.1"

const main = async () => {
  const root = fileURLToPath(new URL(".", import.meta.url))
  const dataDir = resolve(process.env.SYNCHROTRON_DATA_DIR ?? join(".synchrotron", "todo"))
  const secret = await loadSecret(dataDir)
  const identity = makeIdentity(secret)
  const sync = await SyncServer.makeHandler({
    app,
    database: { _tag: "embedded", dataDir: join(dataDir, "database") },
    jwtSecret: secret
  })

  const server = createServer((message, out) => {
    const path = (message.url ?? "/").split("?")[0] ?? "/"
    if (!namesThisMachine(message)) out.writeHead(421).end()
    else if (path.startsWith("/v1/")) void answer(sync.handler, message, out)
    else if (path === tokenPath) void answer(identity, message, out)
    else assets.serve(message, out)
  })
  const { values } = parseArgs({ options: { dev: { type: "boolean" }, built: { type: "string" } } })
  const assets = values.dev
    ? await viteAssets(root, server)
    : values.built === undefined
      ? await builtAssets(root, join(dataDir, "page"))
      : fileAssets(values.built)
  const port = await listen(server, host, Number(process.env.PORT ?? 5173))
  console.log(`Synchrotron todo app: http://localhost:${port}`)

  let stopping = false
  const stop = async () => {
    if (stopping) return
    stopping = true
    const closed = new Promise((done) => server.close(done))
    await assets.close()
    await sync.close()
    server.closeAllConnections()
    await closed
    process.exit(0)
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"] as const) process.on(signal, stop)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})

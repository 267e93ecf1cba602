/** The page, built as for production; its server, in this process; and tabs of one profile, kept on disk. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpServer } from "@effect/platform"
import { PgliteClient } from "@synchrotron/sql-pglite"
import { createSyncClient, type PromiseClient } from "@synchrotron/sync-client"
import { SyncServer, tokens } from "@synchrotron/sync-server"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { chromium, type Page } from "playwright-core"
import { build, preview } from "vite"
import { chromium as anyChromium, chromiumArguments, ensureBrowser } from "../../../scripts/lib/browsers.mjs"
import { app, fill, tables } from "./app.ts"

const jwtSecret = "a secret of the benchmarks, long enough"

export interface Asked {
  readonly page?: "index" | "bare"
  readonly dataDir: string
  /** `wide` sees all tables, everybody else `items` only. */
  readonly user?: string
  readonly view?: "list" | "many"
  readonly relaxed?: "yes"
}

export interface Stage {
  /** Rows of each table at the beginning. */
  readonly rows: number
  readonly open: (asked: Asked) => Promise<Page>
  /** Somebody else, on another device. */
  readonly remote: PromiseClient
}

let starting: Promise<Stage & { readonly close: () => Promise<void> }> | undefined

/** The same for all benchmarks of a run; the first call says how many rows there are. */
export const stage = (rows: number): Effect.Effect<Stage> =>
  Effect.promise(() => {
    starting ??= start(rows)
    return starting
  })

export const closeStage = async (): Promise<void> => {
  const started = starting
  starting = undefined
  await (await started)?.close()
}

/** Serves the page with a prepared database, as an application ships one, and lets the browser keep the files. */
const servePage = async (outDir: string, image: Promise<Blob>) => {
  const root = join(import.meta.dirname, "page")
  await build({
    root,
    configFile: false,
    logLevel: "error",
    build: {
      outDir,
      target: "es2022",
      chunkSizeWarningLimit: 5000,
      rolldownOptions: { input: [join(root, "index.html"), join(root, "bare.html")] }
    },
    worker: { format: "es" }
  })
  await writeFile(join(outDir, "image.bin"), new Uint8Array(await (await image).arrayBuffer()))
  return preview({
    root,
    configFile: false,
    build: { outDir },
    preview: {
      host: "127.0.0.1",
      port: 0,
      headers: { "Cache-Control": "max-age=31536000, immutable" }
    }
  })
}

const start = async (rows: number) => {
  const folder = await mkdtemp(join(tmpdir(), "synchrotron-bench-"))
  const preparing = Effect.runPromise(PgliteClient.prepareImage())
  const scope = Effect.runSync(Scope.make())
  const [image, pages, services, context] = await Promise.all([
    preparing,
    servePage(join(folder, "page"), preparing),
    Layer.build(
      SyncServer.layer({ app, database: { _tag: "embedded", dataDir: "memory://" }, jwtSecret, port: 0 })
    ).pipe(Scope.extend(scope), Effect.runPromise),
    chromium.launchPersistentContext(join(folder, "profile"), {
      executablePath: ensureBrowser(anyChromium),
      args: [...chromiumArguments]
    })
  ])
  const { address } = Context.get(services, HttpServer.HttpServer)
  const server = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
  const tokenOf = (userId: string) => tokens.signDevelopmentToken({ secret: jwtSecret, userId })

  const clientOf = (userId: string) =>
    createSyncClient({
      app,
      dataDir: "memory://",
      image,
      userId,
      server: { url: server, token: () => tokenOf(userId) }
    })
  const wide = clientOf("wide")
  for (const table of tables) await wide.execute(fill({ table, rows }))
  await wide.settled()
  await wide.close()
  const remote = clientOf("remote")
  await remote.sync()

  return {
    rows,
    remote,
    open: async ({ page: name = "index", user = "ann", ...asked }: Asked) => {
      const page = await context.newPage()
      page.on("pageerror", (error) => console.error(error))
      const parameters = new URLSearchParams({
        ...asked,
        user,
        token: await tokenOf(user),
        server,
        rows: String(rows)
      })
      await page.goto(`${pages.resolvedUrls!.local[0]}${name}.html?${parameters}`)
      return page
    },
    close: async () => {
      await context.close()
      await remote.close()
      await pages.close()
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** A page that is built as for production, a sync server, and a browser with tabs of one profile. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpServer } from "@effect/platform"
import type { SyncApp } from "@synchrotron/sync-core"
import { SyncServer, tokens } from "@synchrotron/sync-server"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import type { Page } from "playwright-core"
import { build, preview } from "vite"
import { inject } from "vitest"
import { launchBrowser } from "../../../../test/browser.ts"
import { testImage } from "../../../../test/image.ts"

const jwtSecret = "a secret of the tests, long enough for it"

/** A browser's tab, as far as all browsers are driven alike. */
export interface Tab {
  /** Runs a function or an expression in the page, and gives what it resolves with, as JSON holds it. */
  readonly evaluate: <T>(run: string | (() => T | Promise<T>)) => Promise<T>
  readonly reload: () => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export interface Driver<T extends Tab> {
  /** An empty profile. Closing it closes its tabs. */
  readonly profile: () => Promise<{
    readonly open: (url: string) => Promise<T>
    readonly close: () => Promise<unknown>
  }>
  readonly close: () => Promise<unknown>
}

export interface Stage<T extends Tab = Page> {
  /** Address of the sync server. */
  readonly server: string
  /** Opens a tab, with its user's token and the server's address, unless `asked` has one, besides `asked` in its address. */
  readonly open: (asked: Readonly<Record<string, string>>, user: string) => Promise<T>
  /** Closes all tabs and forgets what they kept. */
  readonly reset: () => Promise<void>
  readonly close: () => Promise<void>
}

/** @param root folder of the page, with an `index.html` */
export const useBrowser = async (root: string, app: SyncApp.SyncApp): Promise<Stage> =>
  useDriver(await launchChromium(), root, app)

const launchChromium = async (): Promise<Driver<Page>> => {
  const browser = await launchBrowser(inject("chromiumPath"))
  return {
    profile: async () => {
      const context = await browser.newContext()
      return {
        open: async (url) => {
          const page = await context.newPage()
          page.on("pageerror", (error) => console.error(error))
          await page.goto(url)
          return page
        },
        close: () => context.close()
      }
    },
    close: () => browser.close()
  }
}

/** As `useBrowser`, in another browser. It is closed with the stage. */
export const useDriver = async <T extends Tab>(
  browser: Driver<T>,
  root: string,
  app: SyncApp.SyncApp
): Promise<Stage<T>> => {
  const outDir = await mkdtemp(join(tmpdir(), "synchrotron-tabs-"))
  await build({
    root,
    configFile: false,
    logLevel: "error",
    build: { outDir, emptyOutDir: true, target: "es2022", chunkSizeWarningLimit: 5000 },
    worker: { format: "es" }
  })
  const image = await testImage()
  const database = { _tag: "embedded", dataDir: "memory://", image } as const
  await writeFile(join(outDir, "image.bin"), new Uint8Array(await image.arrayBuffer()))
  const pages = await preview({
    root,
    configFile: false,
    build: { outDir },
    preview: { host: "127.0.0.1", port: 0 }
  })
  const scope = Effect.runSync(Scope.make())
  const services = await Layer.build(SyncServer.layer({ app, database, jwtSecret, port: 0 })).pipe(
    Scope.extend(scope),
    Effect.runPromise
  )
  const { address } = Context.get(services, HttpServer.HttpServer)
  const server = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
  let profile = await browser.profile()
  return {
    server,
    open: async (asked, user) => {
      const token = await tokens.signDevelopmentToken({ secret: jwtSecret, userId: user })
      const parameters = new URLSearchParams({ server, ...asked, user, token })
      const tab = await profile.open(`${pages.resolvedUrls!.local[0]}?${parameters}`)
      while (!(await tab.evaluate(() => "tab" in window))) await new Promise((wait) => setTimeout(wait, 20))
      return tab
    },
    reset: async () => {
      await profile.close()
      profile = await browser.profile()
    },
    close: async () => {
      await browser.close()
      await pages.close()
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await rm(outDir, { recursive: true, force: true })
    }
  }
}

/** On a machine that does other things too. */
export const eventually = { timeout: 60_000, interval: 50 }

export const shown = (tab: Tab) => tab.evaluate(() => window.tab.shown())

/** What the server has: a database of its own gets it. */
export const confirmed = async (stage: Pick<Stage<Tab>, "open">): Promise<number> => {
  const other = await stage.open({ dataDir: "memory://other" }, "ann")
  await other.evaluate(() => window.tab.sync())
  const count = await shown(other)
  await other.close()
  return count
}

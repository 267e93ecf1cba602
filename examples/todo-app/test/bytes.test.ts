/** What a first visit loads, compressed, against the table of docs/browser.md; and that the engine is the worker's alone. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Plugin } from "vite"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { buildPage } from "./support/build.ts"
import { root } from "./support/server.ts"

const docs = readFileSync(join(root, "..", "..", "docs", "browser.md"), "utf8")
const folder = mkdtempSync(join(tmpdir(), "todo-app-bytes-"))

/** Modules with code in the chunks that the page loads. */
const pageModules: Array<string> = []
const note: Plugin = {
  name: "note",
  generateBundle: (_options, bundle) => {
    for (const [name, chunk] of Object.entries(bundle)) {
      // What is imported when it is needed is not: the lock of a directory, which only Node has.
      if (chunk.type !== "chunk" || chunk.isDynamicEntry || name === "sw.js") continue
      for (const [id, { renderedLength }] of Object.entries(chunk.modules))
        if (renderedLength > 0) pageModules.push(id)
    }
  }
}

beforeAll(() => buildPage(folder, note), 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Which files a row of the table is about. */
const rows: Readonly<Record<string, RegExp>> = {
  "the page's JavaScript": /^index-.*\.js$/,
  "its styles": /^index-.*\.css$/,
  "its font, the Latin part": /-latin-wght-.*\.woff2$/,
  "the worker's JavaScript": /^(worker|rolldown-runtime)-.*\.js$/,
  "`pglite.wasm`": /^pglite-.*\.wasm$/,
  "`initdb.wasm`": /^initdb-.*\.wasm$/,
  "`pglite.data`": /^pglite-.*\.data$/,
  "the prepared database": /^pglite-image-.*\.bin$/
}

/** The sum in KB of 1,000 bytes, as the server sends the files. */
const size = (files: RegExp, extension: ".gz" | ".br"): number => {
  const assets = readdirSync(join(folder, "assets"))
  const bytes = assets
    .filter((name) => files.test(name))
    .map(
      (name) =>
        statSync(join(folder, "assets", assets.includes(name + extension) ? name + extension : name)).size
    )
  expect(bytes).not.toEqual([])
  return bytes.reduce((sum, one) => sum + one, 0) / 1000
}

const stated = new Map(
  [...docs.matchAll(/^\| ([^|]+?) +\| +([\d,]+) KB +\| +([\d,]+) KB +\|/gm)].map(([, row, gzip, brotli]) => [
    row!,
    { gzip: Number(gzip!.replace(",", "")), brotli: Number(brotli!.replace(",", "")) }
  ])
)

describe("docs/browser.md says what a first visit loads", () => {
  it("has a row for each file, and no other", () => {
    expect([...stated.keys()].sort()).toEqual(Object.keys(rows).sort())
  })

  it.each(Object.entries(rows))("%s: no more than it says, and not much less", (row, files) => {
    const budget = stated.get(row)!
    for (const [kb, most] of [
      [size(files, ".gz"), budget.gzip],
      [size(files, ".br"), budget.brotli]
    ] as const) {
      expect(kb).toBeLessThanOrEqual(most)
      expect(kb).toBeGreaterThan(most * 0.85 - 1)
    }
  })
})

describe("the page's JavaScript", () => {
  it("has nothing that only the worker needs", () => {
    const engine =
      /@electric-sql|sql-pglite|@effect\/(sql|platform|experimental)|sync-core\/src\/(Replica|Reconcile|Execution|Install|Cursors|Protocol|sql\/)|sync-client\/src\/(SyncClient|createSyncClient|Session|LiveShape|LiveQueryRuns|Reader|Transport|tabs\/lead)/
    // The class of the database's errors, and what that class is made of; and what deletes a store.
    const allowed =
      /@effect\/(sql\/dist\/esm\/SqlError|platform\/dist\/esm\/Error)\.js$|sql-pglite\/src\/(Store|opfs)\.ts$/
    expect(pageModules.filter((id) => engine.test(id) && !allowed.test(id))).toEqual([])
    expect(pageModules.some((id) => id.endsWith("tabs/follow.ts"))).toBe(true)
  })

  it("is loaded at once, and the worker's beside it", () => {
    const html = readFileSync(join(folder, "index.html"), "utf8")
    expect(html).toMatch(/<link rel="modulepreload"[^>]+href="\/assets\/worker-/)
    expect(pageModules.length).toBeGreaterThan(50)
  })
})

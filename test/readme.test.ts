/** The code of README.md and docs/testing.md, as it stands: blocks with a file name are written to a folder and run. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import type { DeterminismReport, Report } from "../packages/sync-testing/src/index.ts"

const root = join(import.meta.dirname, "..")
// Inside a package that depends on all that the blocks import.
const folders = join(root, "examples/todo-app/node_modules")

/** Writes the blocks of a page to a folder, which is gone after the tests around. */
const extract = (page: string, name: string): string => {
  const folder = join(folders, name)
  const blocks = readFileSync(join(root, page), "utf8").matchAll(/```(?:tsx?|text) file=(\S+)\n(.*?)```/gs)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [, file, code] of blocks) writeFileSync(join(folder, file!), code!)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe("README", () => {
  const folder = extract("README.md", ".readme")

  it("books the last seat once", async () => {
    const { outcomes, bookings } = (await import(join(folder, "client.ts"))) as {
      outcomes: unknown
      bookings: unknown
    }
    expect(outcomes).toEqual([
      { _tag: "applied" },
      {
        _tag: "rejected",
        error: expect.objectContaining({ class: "failed", message: "concert is sold out." })
      }
    ])
    expect(bookings).toEqual([])
  })

  it("renders the React example", async () => {
    const { App } = (await import(join(folder, "Booking.tsx"))) as { App: unknown }
    expect(App).toBeTypeOf("function")
  })
})

describe("docs/testing.md", async () => {
  const folder = extract("docs/testing.md", ".testing-docs")

  // Declares its tests here.
  await import(join(folder, "shop.test.ts"))

  it("simulates the shop", async () => {
    const { report } = (await import(join(folder, "run.ts"))) as { report: Report }
    expect(report.failures).toEqual([])
    expect(report.verdict).toBe("pass")
    expect(report.checks.I6).toBe("unknown")
  })

  it("finds what is not deterministic, in the page's words", async () => {
    const { report } = (await import(join(folder, "restock.ts"))) as { report: DeterminismReport }
    expect(report.findings.map(({ message }) => `${message}\n`)).toEqual([
      readFileSync(join(folder, "restock.txt"), "utf8")
    ])
  })
})

/** The code of README.md and docs/testing.md, as it stands. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import type { DeterminismReport, Report } from "../packages/sync-testing/src/index.ts"
import { extract } from "./pages.ts"

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

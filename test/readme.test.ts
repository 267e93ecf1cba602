/** The README's code, as it stands: every block with a file name is written to a folder and run. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..")
// Inside a package that depends on all that the blocks import.
const folder = join(root, "examples/todo-app/node_modules/.readme")
const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```tsx? file=(\S+)\n(.*?)```/gs)]

describe("README", () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [, name, code] of blocks) writeFileSync(join(folder, name!), code!)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

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

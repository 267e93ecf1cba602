/** The store in the origin's private file system, on one in memory that becomes full, or is cut off at any change. */
import type { PGlite } from "@electric-sql/pglite"
import fc from "fast-check"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { type FakeOpfs, makeFakeOpfs } from "./fake-opfs.ts"
import { openClient, run, type TestClient } from "./support.ts"

let opfs: FakeOpfs
beforeEach(() => {
  opfs = makeFakeOpfs()
  vi.stubGlobal("navigator", { storage: opfs.storage })
})
afterEach(() => vi.unstubAllGlobals())

const open = () => openClient({ dataDir: "opfs-ahp://store" })

/** Commits rows, and now and then a table, which is a file of its own. Notes what was committed. */
const commit = async ({ sql }: TestClient, from: number, committed: Set<string>) => {
  for (let id = from; id < from + 30; id++) {
    const row = sql`INSERT INTO rows (id, text) VALUES (${id}, ${String(id).repeat(500)})`
    const table = sql.unsafe(`CREATE TABLE made_${id} AS SELECT ${id} AS id`)
    await run(id % 3 === 0 ? table : row).then(
      () => committed.add(id % 3 === 0 ? `made_${id}` : String(id)),
      () => {}
    )
  }
}

const never = Number.POSITIVE_INFINITY
const trouble = fc.record({
  killAfter: fc.oneof(fc.constant(never), fc.integer({ min: 0, max: 300 })),
  roomBytes: fc.oneof(
    fc.constant(never),
    fc.integer({ min: 0, max: 2_000 }),
    fc.integer({ min: 0, max: 200_000 })
  ),
  whenOpening: fc.boolean(),
  checkpointInterval: fc.constantFrom(0, 60_000)
})

it("I4: keeps what was committed, wherever it is cut off or full, and opens again", {
  timeout: 300_000
}, async () => {
  const first = await open()
  await run(first.sql.unsafe("CREATE TABLE rows (id integer PRIMARY KEY, text text)"))
  await first.close()
  let from = 1
  await fc.assert(
    fc.asyncProperty(trouble, async ({ checkpointInterval, killAfter, roomBytes, whenOpening }) => {
      let isOver = false
      const begin = () => {
        if (isOver) return
        opfs.killAfter = killAfter
        opfs.quotaBytes = opfs.usedBytes() + roomBytes
      }
      const committed = new Set<string>()
      const work = async () => {
        if (whenOpening) begin()
        const client = await open().catch(() => undefined)
        if (client === undefined) return
        begin()
        Object.assign((client.sql.pglite as PGlite).fs!, { checkpointInterval })
        await commit(client, from, committed)
      }
      await Promise.race([work(), opfs.killed()])
      isOver = true
      opfs.kill()
      opfs.killAfter = opfs.quotaBytes = never
      const expected = new Set(committed)
      const { close, sql } = await open()
      const there = await run(sql<{ name: string }>`SELECT id::text AS name FROM rows WHERE id >= ${from}
        UNION ALL SELECT relname FROM pg_class WHERE relname LIKE 'made\\_%'`)
      expect([...expected].filter((name) => !there.some((one) => one.name === name))).toEqual([])
      for (const { name } of there)
        if (name.startsWith("made")) await run(sql.unsafe(`SELECT id FROM ${name}; DROP TABLE ${name}`))
      await close()
      from += 30
    }),
    { numRuns: 16, endOnFailure: true }
  )
})

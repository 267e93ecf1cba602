/** The invariants and the tests that verify them, both ways: each has a test, and no test names another. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"

const invariants = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9"]
const root = new URL("..", import.meta.url).pathname
const skipped = new Set(["node_modules", "dist", ".git"])

const testFiles = (directory: string): ReadonlyArray<string> =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return []
    const path = join(directory, entry.name)
    return entry.isDirectory() ? testFiles(path) : /\.test\.tsx?$/.test(entry.name) ? [path] : []
  })

const title =
  /\b(?:describe|it|test)(?:\.\w+)*(?:\([^()]*\))?\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`|'((?:[^'\\]|\\.)*)')/g

const cited = new Map<string, Array<string>>()
for (const path of ["packages", "examples", "bench", "test"].flatMap((part) => testFiles(join(root, part)))) {
  for (const match of readFileSync(path, "utf8").matchAll(title)) {
    for (const [invariant] of (match[1] ?? match[2] ?? match[3] ?? "").matchAll(/\bI\d+\b/g)) {
      cited.set(invariant, [...(cited.get(invariant) ?? []), path.slice(root.length)])
    }
  }
}

it.each(invariants)("%s is named by a test", (invariant) => {
  expect(cited.get(invariant) ?? []).not.toEqual([])
})

it("DESIGN.md says of each that it lists where it is kept, and lists no other", () => {
  const listed = [...readFileSync(join(root, "DESIGN.md"), "utf8").matchAll(/^\| (I\d+) +\|/gm)].map(
    (m) => m[1]!
  )
  expect(listed).not.toEqual([])
  expect(listed.filter((invariant) => !invariants.includes(invariant))).toEqual([])
  expect(new Set(listed).size).toBe(listed.length)
})

it("no test names an invariant that does not exist", () => {
  expect([...cited.keys()].filter((invariant) => !invariants.includes(invariant))).toEqual([])
})

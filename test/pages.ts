/** The code of a page, as it stands: blocks with a file name are written to a folder, where tests run them. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll } from "vitest"

const root = join(import.meta.dirname, "..")

/**
 * Writes the blocks of a page to a folder, which is gone after the tests around.
 *
 * @param page path of the page in the repository
 * @param name of the folder
 * @param inside package that depends on all that the blocks import
 */
export const extract = (page: string, name: string, inside = "examples/todo-app"): string => {
  const folder = join(root, inside, "node_modules", name)
  const blocks = readFileSync(join(root, page), "utf8").matchAll(/```(?:tsx?|text) file=(\S+)\n(.*?)```/gs)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [, file, code] of blocks) writeFileSync(join(folder, file!), code!)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

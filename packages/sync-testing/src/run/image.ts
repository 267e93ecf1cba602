/** The data directory that each PGlite begins with. */
import { existsSync } from "node:fs"
import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { PgliteClient } from "@synchrotron/sql-pglite"
import { Effect } from "effect"

/** To make one takes seconds, and each process needs it, so it is kept. Where that is not possible it is made again. */
export const emptyImage = async (): Promise<Blob> => {
  const path = await placeOf().catch(() => null)
  const kept = path === null ? null : await readFile(path).catch(() => null)
  if (kept !== null) return new Blob([kept])
  const image = await Effect.runPromise(PgliteClient.prepareImage())
  if (path !== null) await keep(path, image).catch(() => {})
  return image
}

/** In `node_modules/.cache`, as tools do, by the version of PGlite. */
const placeOf = async (): Promise<string | null> => {
  const entry = createRequire(import.meta.url).resolve("@electric-sql/pglite")
  const manifest = await readFile(join(dirname(entry), "..", "package.json"), "utf8")
  const { version } = JSON.parse(manifest) as { readonly version: string }
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, "node_modules"))) {
    if (folder === dirname(folder)) return null
    folder = dirname(folder)
  }
  return join(folder, "node_modules", ".cache", "synchrotron", `pglite-${version}.tar`)
}

/** Another process may do the same, and none may read half of it. */
const keep = async (path: string, image: Blob): Promise<void> => {
  const own = `${path}.${process.pid}`
  await mkdir(dirname(path), { recursive: true })
  await writeFile(own, new Uint8Array(await image.arrayBuffer()))
  await rename(own, path)
}

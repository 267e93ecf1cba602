/**
 * Vite plugin: `import url from "virtual:pglite-image"` gives the address of an empty, prepared database, 2.5 MB.
 * A browser that starts from it does not have to run initdb first, which takes seconds on a slow device.
 *
 * The image is made once per version of PGlite and kept in `node_modules/.cache`.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { PGlite } from "@electric-sql/pglite"
import type { Plugin } from "vite"

export const pgliteImage = (): Plugin => ({
  name: "pglite-image",
  resolveId: async (source) =>
    source === "virtual:pglite-image" ? `${await prepared()}?url&no-inline` : undefined
})

const prepared = async (): Promise<string> => {
  const file = fileURLToPath(
    // Servers say of a .gz that it is encoded, and browsers then unpack it.
    new URL(`node_modules/.cache/pglite-image-${pgliteVersion()}.bin`, import.meta.url)
  )
  if (existsSync(file)) return file
  const image = await prepare()
  mkdirSync(dirname(file), { recursive: true })
  // Written beside and renamed, so that nobody ever reads half of it.
  const part = `${file}.${process.pid}`
  writeFileSync(part, image)
  renameSync(part, file)
  return file
}

/** As `PgliteClient.prepareImage`: small log segments, and no template databases. */
const prepare = async (): Promise<Uint8Array> => {
  const db = await PGlite.create({ initDbStartParams: ["--wal-segsize=1"] })
  await db.exec("UPDATE pg_database SET datistemplate = false WHERE datname LIKE 'template_'")
  await db.exec("DROP DATABASE template0")
  await db.exec("DROP DATABASE template1")
  await db.exec("CHECKPOINT")
  const image = await db.dumpDataDir("gzip")
  await db.close()
  return new Uint8Array(await image.arrayBuffer())
}

const pgliteVersion = (): string => {
  const entry = createRequire(import.meta.url).resolve("@electric-sql/pglite")
  const manifest = JSON.parse(readFileSync(join(dirname(entry), "..", "package.json"), "utf8"))
  return manifest.version
}

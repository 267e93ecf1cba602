/**
 * Vite plugin: writes `.br` and `.gz` beside each file of the build whose kind gets smaller by it, for a server that sends
 * them as they are. Compressing takes seconds, so what the last build had is kept in `node_modules/.cache`.
 */
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { extname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"
import type { Plugin } from "vite"

const kinds = new Set([".html", ".js", ".css", ".svg", ".webmanifest", ".wasm", ".data"])
const cache = fileURLToPath(new URL("node_modules/.cache/compressed", import.meta.url))
/** The best quality takes half a minute for more than this, and gains a tenth. */
const bestBytesMax = 2_000_000

export const compress = (): Plugin => {
  let folder = ""
  return {
    name: "compress",
    apply: "build",
    configResolved: (config) => {
      folder = resolve(config.root, config.build.outDir)
    },
    closeBundle: () => {
      mkdirSync(cache, { recursive: true })
      const used = new Set<string>()
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !kinds.has(extname(entry.name))) continue
        const path = join(entry.parentPath, entry.name)
        const content = readFileSync(path)
        for (const [encoding, make] of encodings) {
          const name = `${createHash("sha256").update(content).digest("hex")}.${encoding}`
          writeFileSync(
            `${path}.${encoding}`,
            once(name, () => make(content))
          )
          used.add(name)
        }
      }
      for (const name of readdirSync(cache)) if (!used.has(name)) rmSync(join(cache, name), { force: true })
    }
  }
}

const brotli = (content: Buffer): Buffer =>
  brotliCompressSync(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: content.length > bestBytesMax ? 9 : 11,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length
    }
  })

const encodings = [
  ["br", brotli],
  ["gz", (content: Buffer) => gzipSync(content, { level: 9 })]
] as const

const once = (name: string, make: () => Buffer): Buffer => {
  const file = join(cache, name)
  try {
    return readFileSync(file)
  } catch {
    const compressed = make()
    // Written beside and renamed, so that nobody ever reads half of it.
    const part = `${file}.${process.pid}`
    writeFileSync(part, compressed)
    renameSync(part, file)
    return compressed
  }
}

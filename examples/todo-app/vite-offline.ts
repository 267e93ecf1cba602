/**
 * Vite plugin: compiles `src/offline/sw.ts` to `/sw.js` with the list of the build's files, and lets the page load its
 * worker's script while it loads its own.
 */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import type { HtmlTagDescriptor, Plugin } from "vite"

const source = fileURLToPath(new URL("src/offline/sw.ts", import.meta.url))
const script = "sw.js"

type Bundle = Readonly<
  Record<
    string,
    { readonly type: "chunk"; code: string } | { readonly type: "asset"; source: string | Uint8Array }
  >
>

export const offline = (): Plugin => {
  let publicDir = ""
  return {
    name: "offline",
    apply: "build",
    enforce: "post",
    configResolved: (config) => {
      publicDir = config.publicDir
    },
    buildStart() {
      this.emitFile({ type: "chunk", id: source, fileName: script })
    },
    transformIndexHtml: { order: "post", handler: (_html, { bundle }) => preloads((bundle ?? {}) as Bundle) },
    generateBundle: {
      order: "post",
      handler: (_options, bundle) => {
        const files = filesOf(bundle as Bundle, publicDir)
        const chunk = bundle[script]
        if (chunk?.type !== "chunk") throw new Error(`${script} is not in the build`)
        chunk.code = chunk.code
          .replace("__OFFLINE_FILES__", () => JSON.stringify(files))
          .replace("__OFFLINE_BUILD__", () => JSON.stringify(integrityOf(JSON.stringify(files)).slice(7, 23)))
      }
    }
  }
}

/** Each file's path and its hash, as `integrity` has it. */
const filesOf = (bundle: Bundle, publicDir: string): Readonly<Record<string, string>> => {
  const contents = new Map<string, string | Uint8Array>()
  for (const [name, file] of Object.entries(bundle))
    if (name !== script && !name.endsWith(".map"))
      contents.set(name === "index.html" ? "/" : `/${name}`, file.type === "chunk" ? file.code : file.source)
  for (const entry of readdirSync(publicDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    contents.set(`/${relative(publicDir, path).split(sep).join("/")}`, readFileSync(path))
  }
  return Object.fromEntries(
    [...contents].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, content]) => [path, integrityOf(content)])
  )
}

const integrityOf = (content: string | Uint8Array): string =>
  `sha256-${createHash("sha256").update(content).digest("base64")}`

/** The worker's script and what it imports at once: otherwise they would be asked for when the page's own script runs. */
const preloads = (bundle: Bundle): Array<HtmlTagDescriptor> => {
  const worker = Object.entries(bundle).find(([name]) => /^assets\/worker-[^/]+\.js$/.test(name))
  if (worker === undefined) throw new Error("There is no worker in the build")
  const [name, file] = worker
  const code = String(file.type === "chunk" ? file.code : file.source)
  const imports = [...code.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)].map(
    ([, path]) => `assets/${path}`
  )
  return [name, ...imports].map((path) => ({
    tag: "link",
    attrs: { rel: "modulepreload", crossorigin: "", href: `/${path}` },
    injectTo: "head"
  }))
}

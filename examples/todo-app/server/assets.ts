/** The page and what it loads: built once at the start, or compiled on the fly while it is being developed. */
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { extname, join, resolve, sep } from "node:path"

export interface Assets {
  readonly serve: (message: IncomingMessage, out: ServerResponse) => void
  readonly close: () => Promise<void>
}

/** Vite as middleware, with hot reload through the same port. */
export const viteAssets = async (root: string, server: Server): Promise<Assets> => {
  const { createServer } = await import("vite")
  const vite = await createServer({
    root,
    configFile: join(root, "vite.config.ts"),
    appType: "spa",
    clearScreen: false,
    server: { middlewareMode: true, hmr: { server } }
  })
  return { serve: (message, out) => vite.middlewares(message, out), close: () => vite.close() }
}

/** A production build, made now. */
export const builtAssets = async (root: string, folder: string): Promise<Assets> => {
  const { build } = await import("vite")
  await build({
    root,
    configFile: join(root, "vite.config.ts"),
    logLevel: "error",
    build: { outDir: folder, emptyOutDir: true }
  })
  return {
    serve: (message, out) => void sendFile(resolve(folder), message, out),
    close: () => Promise.resolve()
  }
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".wasm": "application/wasm"
}

const sendFile = async (folder: string, message: IncomingMessage, out: ServerResponse): Promise<void> => {
  const path = pathOf(message)
  if (path === undefined) {
    out.writeHead(400).end()
    return
  }
  const file = join(folder, path === "/" ? "index.html" : path)
  const found = file.startsWith(folder + sep) ? await stat(file).catch(() => undefined) : undefined
  if (found === undefined || !found.isFile()) {
    out.writeHead(404).end()
    return
  }
  out.writeHead(200, {
    "content-type": types[extname(file)] ?? "application/octet-stream",
    "content-length": found.size,
    // The names of assets hold their hash; the page's name never changes.
    "cache-control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache"
  })
  if (message.method === "HEAD") out.end()
  else
    createReadStream(file)
      .on("error", () => out.destroy())
      .pipe(out)
}

/** The decoded path, or undefined when it cannot be decoded. */
const pathOf = (message: IncomingMessage): string | undefined => {
  try {
    return decodeURIComponent(new URL(message.url ?? "/", "http://localhost").pathname)
  } catch {
    return undefined
  }
}

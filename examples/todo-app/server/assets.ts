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
  return {
    serve: (message, out) => {
      if (message.url === "/sw.js") out.writeHead(200, { "content-type": types[".js"] }).end(farewell)
      else vite.middlewares(message, out)
    },
    close: () => vite.close()
  }
}

/** Takes the place of the service worker of an earlier build, which would answer with that one for ever. */
const farewell = `
addEventListener("install", () => skipWaiting())
addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) await caches.delete(name)
  await registration.unregister()
  for (const tab of await clients.matchAll({ type: "window" })) await tab.navigate(tab.url)
})()))`

/** A production build, made now. */
export const builtAssets = async (root: string, folder: string): Promise<Assets> => {
  const { build } = await import("vite")
  await build({
    root,
    configFile: join(root, "vite.config.ts"),
    logLevel: "error",
    build: { outDir: folder, emptyOutDir: true }
  })
  return fileAssets(folder)
}

/** A finished build. */
export const fileAssets = (folder: string): Assets => ({
  serve: (message, out) => void sendFile(resolve(folder), message, out),
  close: () => Promise.resolve()
})

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
  // Compiled while it arrives, which no other type is.
  ".wasm": "application/wasm"
}

/** Best first; see `vite-compress.ts`. */
const encodings = [
  { name: "br", extension: ".br" },
  { name: "gzip", extension: ".gz" }
]

const sendFile = async (folder: string, message: IncomingMessage, out: ServerResponse): Promise<void> => {
  const path = pathOf(message)
  if (path === undefined) {
    out.writeHead(400).end()
    return
  }
  const file = await fileOf(folder, path, message)
  if (file === undefined) {
    out.writeHead(404).end()
    return
  }
  const accepted = String(message.headers["accept-encoding"] ?? "").split(/\s*,\s*/)
  let sent: Sent = file
  for (const { extension, name } of encodings) {
    const encoded = accepted.includes(name) ? await found(file.path + extension) : undefined
    if (encoded === undefined) continue
    sent = { ...encoded, encoding: name }
    break
  }
  const etag = `"${sent.mtimeMs.toString(36)}-${sent.size.toString(36)}"`
  const headers = {
    "content-type": types[extname(file.path)] ?? "application/octet-stream",
    "x-content-type-options": "nosniff",
    vary: "accept-encoding",
    etag,
    // The names of assets hold their hash; the others' names never change.
    "cache-control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache"
  }
  if (message.headers["if-none-match"] === etag) {
    out.writeHead(304, headers).end()
    return
  }
  out.writeHead(200, {
    ...headers,
    "content-length": sent.size,
    ...(sent.encoding === undefined ? {} : { "content-encoding": sent.encoding })
  })
  if (message.method === "HEAD") out.end()
  else
    createReadStream(sent.path)
      .on("error", () => out.destroy())
      .pipe(out)
}

interface Sent {
  readonly path: string
  readonly size: number
  readonly mtimeMs: number
  readonly encoding?: string
}

/** The file of a path. What is opened as a page and is no file, such as `/two`, is the page's own to show. */
const fileOf = async (folder: string, path: string, message: IncomingMessage): Promise<Sent | undefined> => {
  const file = join(folder, path)
  if (file !== folder + sep && !file.startsWith(folder + sep)) return undefined
  const direct = path === "/" ? undefined : await found(file)
  if (direct !== undefined) return direct
  const isPage = extname(path) === "" && String(message.headers.accept).includes("text/html")
  return path === "/" || isPage ? found(join(folder, "index.html")) : undefined
}

const found = async (path: string): Promise<Sent | undefined> => {
  const status = await stat(path).catch(() => undefined)
  return status?.isFile() ? { path, size: status.size, mtimeMs: status.mtimeMs } : undefined
}

/** The decoded path, or undefined when it cannot be decoded. */
const pathOf = (message: IncomingMessage): string | undefined => {
  try {
    return decodeURIComponent(new URL(message.url ?? "/", "http://localhost").pathname)
  } catch {
    return undefined
  }
}

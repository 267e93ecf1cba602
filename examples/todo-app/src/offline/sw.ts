/**
 * Keeps the page for when there is no network: the files of one build, all of them or none.
 *
 * A new build is fetched beside the old one, which goes on being served until all its tabs are closed or one of them says
 * `"activate"`. Only files of the build are ever kept, each checked against its hash; whatever else the page asks for, such as
 * `/v1/*` and tokens, is not touched. `vite-offline.ts` compiles this to `/sw.js` and fills in the files.
 */

/** Path to `integrity` of every file of the build; `/` is the page. */
declare const __OFFLINE_FILES__: Readonly<Record<string, string>>
/** Changes with any of them. */
declare const __OFFLINE_BUILD__: string

// The library of web workers declares what the page's library declares too, so only what is needed stands here.
interface LifecycleEvent extends Event {
  readonly waitUntil: (work: Promise<unknown>) => void
}
interface RequestEvent extends Event {
  readonly request: Request
  readonly respondWith: (response: Promise<Response>) => void
}
const worker = self as unknown as {
  readonly registration: { readonly installing: unknown; readonly waiting: unknown }
  readonly skipWaiting: () => Promise<void>
  readonly addEventListener: {
    (type: "install" | "activate", listener: (event: LifecycleEvent) => void): void
    (type: "fetch", listener: (event: RequestEvent) => void): void
    (type: "message", listener: (event: MessageEvent) => void): void
  }
}

const files = __OFFLINE_FILES__
const prefix = "build:"
const current = prefix + __OFFLINE_BUILD__
/** Requests of the server's, though a browser may open one as a page. */
const serverPaths = /^\/(?:v1|dev)\//

worker.addEventListener("install", (event) => event.waitUntil(install()))
worker.addEventListener("activate", (event) => event.waitUntil(forgetOthers()))
worker.addEventListener("message", ({ data }) => {
  if (data === "activate") void worker.skipWaiting()
})
worker.addEventListener("fetch", (event) => {
  const path = pathOf(event.request)
  if (path !== undefined) event.respondWith(answer(path, event.request))
})

/** Rejects when a file cannot be had, and the browser tries again later; what was fetched by then stays. */
const install = async (): Promise<void> => {
  const cache = await caches.open(current)
  for (const [path, integrity] of Object.entries(files)) {
    if ((await cache.match(path, anyVariant)) === undefined)
      await cache.put(path, (await kept(path)) ?? (await fetched(path, integrity)))
  }
}

/** Of an earlier build: the same name is the same content where the name has a hash. */
const kept = (path: string): Promise<Response | undefined> =>
  isHashed(path) ? caches.match(path, anyVariant) : Promise.resolve(undefined)

const fetched = async (path: string, integrity: string): Promise<Response> => {
  const response = await fetch(path, { integrity, cache: isHashed(path) ? "default" : "no-cache" })
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response
}

/** All but a still newer build, which forgets what is left when it comes to that. */
const forgetOthers = async (): Promise<void> => {
  const { registration } = worker
  for (const name of await caches.keys()) {
    if (registration.installing !== null || registration.waiting !== null) return
    if (name.startsWith(prefix) && name !== current) await caches.delete(name)
  }
}

/** The kept file that answers a request, if one does: every address that is opened is the page's. */
const pathOf = ({ method, mode, url }: Request): string | undefined => {
  const { origin, pathname } = new URL(url)
  if (method !== "GET" || origin !== location.origin) return undefined
  if (pathname in files) return pathname
  return mode === "navigate" && !serverPaths.test(pathname) ? "/" : undefined
}

const answer = async (path: string, request: Request): Promise<Response> =>
  (await (await caches.open(current)).match(path, anyVariant)) ?? fetch(request)

const isHashed = (path: string): boolean => path.startsWith("/assets/")
const anyVariant = { ignoreVary: true }

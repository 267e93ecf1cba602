/** Lets the page open without a network, and offers a new build of it when there is one. */
import { createRoot } from "react-dom/client"
import { NewVersion } from "./NewVersion.tsx"

/**
 * Registers the service worker, once the page is there. While developing there is none: it would answer with what was built
 * before.
 */
export const keepOffline = (): void => {
  if (import.meta.env.DEV || !("serviceWorker" in navigator)) return
  const begin = () =>
    void register().catch((error: unknown) => console.warn("The page is not kept for offline use.", error))
  if (document.readyState === "complete") begin()
  else addEventListener("load", begin, { once: true })
}

const register = async (): Promise<void> => {
  const { serviceWorker } = navigator
  const offer = makeOffer()
  const registration = await serviceWorker.register("/sw.js", { updateViaCache: "none" })
  const look = () => {
    // The first one ever does not replace anything.
    const { waiting } = registration
    if (waiting !== null && serviceWorker.controller !== null) offer(() => waiting.postMessage("activate"))
  }
  registration.addEventListener("updatefound", () =>
    registration.installing?.addEventListener("statechange", look)
  )
  look()
  // Tabs share a database, so all of them change together.
  serviceWorker.addEventListener("controllerchange", () => location.reload())
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") registration.update().catch(() => {})
  })
}

/** Screen readers announce what comes into an element that was there before. */
const makeOffer = (): ((accept: () => void) => void) => {
  const place = document.createElement("div")
  place.setAttribute("role", "status")
  document.body.append(place)
  const root = createRoot(place)
  return (accept) => root.render(<NewVersion onReload={accept} onLater={() => root.render(null)} />)
}

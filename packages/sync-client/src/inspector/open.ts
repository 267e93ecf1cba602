/** Opens the panel, whose code is fetched only then. */
import type { PromiseClient } from "../PromiseClient.ts"
import { keepNoting } from "./inspector.ts"
import type { Mounted, MountOptions } from "./panel/mount.ts"

export type { Dock, Mounted, MountOptions } from "./panel/mount.ts"

/** Shows the panel for a client of `createSyncClient` or `createSharedClient`. */
export const mountInspector = async (client: PromiseClient, options: MountOptions = {}): Promise<Mounted> =>
  (await import("./panel/mount.ts")).mount(client, options)

export interface ShortcutOptions extends MountOptions {
  /** The key that opens and closes the panel, with Ctrl or Cmd and Shift; `y` unless given. */
  readonly key?: string | undefined
  /** Note args and patches of what is confirmed from now on, not only while the panel is open. */
  readonly record?: boolean | undefined
}

/**
 * Opens the panel with Ctrl+Shift+Y, and closes it again.
 *
 * @returns ends that
 */
export const openOnShortcut = (
  client: PromiseClient,
  { key = "y", record = false, ...options }: ShortcutOptions = {}
): (() => void) => {
  const stopNoting = record ? keepNoting(client) : undefined
  let mounted: Promise<Mounted> | undefined
  const toggle = async () => {
    const open = mounted
    if (open !== undefined) return (await open).close()
    mounted = mountInspector(client, options)
    const made = await mounted
    made.focus()
    await made.closed
    mounted = undefined
  }
  const onKey = (event: KeyboardEvent) => {
    if (!(event.ctrlKey || event.metaKey) || !event.shiftKey || event.altKey) return
    if (event.key.toLowerCase() !== key.toLowerCase()) return
    event.preventDefault()
    event.stopPropagation()
    toggle().catch((error: unknown) => {
      mounted = undefined
      console.error("The inspector could not be opened.", error)
    })
  }
  // Before the page hears of it, and the panel, which keeps keys from the page.
  window.addEventListener("keydown", onKey, true)
  return () => {
    window.removeEventListener("keydown", onKey, true)
    stopNoting?.()
    void mounted?.then(({ close }) => close())
  }
}

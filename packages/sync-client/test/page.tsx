/** A page of jsdom for components with a client. */
import type { PromiseClient } from "@synchrotron/sync-client"
import { SyncProvider } from "@synchrotron/sync-client/react"
import { JSDOM } from "jsdom"
import { Component, type ReactNode, StrictMode } from "react"
import type { Root } from "react-dom/client"
import { afterEach, expect, vi } from "vitest"
// Its clients close after each test, and what was registered later runs first: components go before their client.
import "./support.ts"

export const { window } = new JSDOM("<main></main>")
export const main = window.document.querySelector("main")!

// Before React looks for them, which it does when it is loaded.
vi.stubGlobal("window", window)
vi.stubGlobal("document", window.document)
vi.stubGlobal("navigator", window.navigator)
vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", false)

let root: Root | undefined
afterEach(() => {
  root?.unmount()
  root = undefined
})

/** Draws in Strict Mode, unless a test counts. What React reports is an error of the test, unless it is `expected`. */
export const render = async (
  client: PromiseClient,
  children: ReactNode,
  { hydrate = false, strict = true }: { readonly hydrate?: boolean; readonly strict?: boolean } = {}
) => {
  // Here, for static imports come before what this module does.
  const { createRoot, hydrateRoot } = await import("react-dom/client")
  const reported: Array<unknown> = []
  const onRecoverableError = (error: unknown) => void reported.push(error)
  const tree = (children: ReactNode) => {
    const below = <SyncProvider client={client}>{children}</SyncProvider>
    return strict ? <StrictMode>{below}</StrictMode> : below
  }
  if (hydrate) root = hydrateRoot(main as never, tree(children), { onRecoverableError })
  else {
    root = createRoot(main as never, { onRecoverableError })
    root.render(tree(children))
  }
  const { render, unmount } = { render: root.render.bind(root), unmount: root.unmount.bind(root) }
  return { reported, unmount, render: (children: ReactNode) => render(tree(children)) }
}

export const text = (selector: string) => window.document.querySelector(selector)?.textContent
export const click = (selector: string) =>
  (window.document.querySelector(selector) as unknown as HTMLElement).click()

/** Shows `#error`, and a button `#reset` that draws its children again. */
export class Boundary extends Component<
  { readonly children: ReactNode },
  { readonly error: { readonly _tag?: string } | null }
> {
  override state = { error: null as { readonly _tag?: string } | null }
  static getDerivedStateFromError(error: { readonly _tag?: string }) {
    return { error }
  }
  override render() {
    const { error } = this.state
    if (error === null) return this.props.children
    return (
      <>
        <output id="error">{error._tag ?? String(error)}</output>
        <button type="button" id="reset" onClick={() => this.setState({ error: null })} />
      </>
    )
  }
}

/** Polls with a limit that a busy machine keeps. */
export const until = (condition: () => boolean) =>
  expect.poll(condition, { timeout: 50_000, interval: 5 }).toBe(true)

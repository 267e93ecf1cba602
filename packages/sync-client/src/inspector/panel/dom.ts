/** Elements without a framework: what a text says is set as text, never as HTML. */

type Child = Node | string | null | false | undefined
type Value = string | number | boolean | null | undefined | ((event: never) => void)

/** Attributes by name; functions listen to the event that they are named for, `false` and `null` leave one out. */
export const h = <Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, Value>> = {},
  ...children: ReadonlyArray<Child | ReadonlyArray<Child>>
): HTMLElementTagNameMap[Tag] => {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value as EventListener)
    else if (value === true) element.setAttribute(name, "")
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, String(value))
  }
  for (const child of children.flat())
    if (child !== null && child !== false && child !== undefined) element.append(child)
  return element
}

/** Draws again what `part` depends on has become something else; else leaves focus, scrolling and selection alone. */
export const redraw = (element: HTMLElement, key: string, draw: () => Child | ReadonlyArray<Child>): void => {
  if (element.dataset.drawn === key) return
  element.dataset.drawn = key
  const root = element.getRootNode() as Document | ShadowRoot
  const focused = root.activeElement
  const action =
    focused instanceof HTMLElement && element.contains(focused) ? focused.dataset.action : undefined
  element.replaceChildren(
    ...[draw()].flat().filter((child) => child !== null && child !== false && child !== undefined)
  )
  if (action !== undefined) element.querySelector<HTMLElement>(`[data-action="${action}"]`)?.focus()
}

/** A region that scrolls by keys too. */
export const scrolling = (label: string, ...children: ReadonlyArray<Child>): HTMLElement =>
  h("div", { class: "scroll", role: "group", "aria-label": label, tabindex: 0 }, ...children)

export const definitions = (
  entries: ReadonlyArray<readonly [name: string, value: Child] | null>
): HTMLElement =>
  h(
    "dl",
    {},
    entries.flatMap((entry) => (entry === null ? [] : [h("dt", {}, entry[0]), h("dd", {}, entry[1])]))
  )

/**
 * What a request for the feed becomes when an Electric answers it. The server decides on the shape, so that of the
 * client's parameters only those pass that say where in it the client is:
 *
 * | parameter                                      | sent to Electric                                              |
 * |------------------------------------------------|---------------------------------------------------------------|
 * | `offset`, `live`, `live_sse`, `cursor`, `log`  | as they are                                                   |
 * | `handle`, `expired_handle`                     | Electric's own part of them                                   |
 * | `table`, `columns`, `where`, `params`, `secret`| the server's                                                  |
 * | anything else                                  | not sent                                                      |
 *
 * A handle is `<digest of the audiences>-<handle of Electric>`: with other audiences `where` is another one, and whatever
 * an Electric would say of a handle of the old one, the client begins anew.
 */
import { createHash } from "node:crypto"
import type { Audience } from "@synchrotron/sync-core"

/** The table of which the feed is a shape: schema-qualified. */
export const feedTable = "synchrotron.feed"

/** Longer request lines are refused by many servers; Electric takes 10,000 characters. */
const urlCharsMax = 8000
const valueCharsMax = 500

const passed = ["offset", "live", "live_sse", "experimental_live_sse", "cursor", "log", "cache-buster"]
const handles = ["handle", "expired_handle"]

export const isFeed = (search: URLSearchParams): boolean =>
  search.get("table")?.replaceAll('"', "") === feedTable

/** Whether the client begins, and so has no handle that could be of another shape. */
export const begins = (search: URLSearchParams): boolean =>
  search.get("offset") === "-1" || search.get("offset") === "now"

export const digestOf = (audiences: ReadonlyArray<Audience>): string =>
  createHash("sha256")
    .update(JSON.stringify([...audiences].sort()))
    .digest("hex")
    .slice(0, 16)

export const wrapHandle = (digest: string, handle: string): string => `${digest}-${handle}`

/** The digest and Electric's part of a handle; undefined when it is none that {@link wrapHandle} made. */
export const unwrapHandle = (text: string | null) => {
  const [, digest, handle] = /^([0-9a-f]{16})-(.+)$/.exec(text ?? "") ?? []
  return digest === undefined || handle === undefined ? undefined : { digest, handle }
}

/** Where to ask Electric; undefined when the user has more audiences than a URL can say. */
export const urlOf = (
  electric: { readonly url: URL; readonly secret: string | undefined },
  search: URLSearchParams,
  audiences: ReadonlyArray<Audience>
): URL | undefined => {
  const url = new URL(`${electric.url.pathname.replace(/\/+$/, "")}/v1/shape`, electric.url)
  const set = (name: string, value: string | null | undefined) => {
    if (value !== null && value !== undefined) url.searchParams.set(name, value.slice(0, valueCharsMax))
  }
  for (const name of passed) set(name, search.get(name))
  // Who begins has at most a handle that is none of Electric's.
  if (!begins(search)) for (const name of handles) set(name, unwrapHandle(search.get(name))?.handle)
  url.searchParams.set("table", feedTable)
  url.searchParams.set("columns", "audience,seq")
  // Sorted, so that all who hold the same audiences share one shape.
  const held = [...audiences].sort()
  url.searchParams.set(
    "where",
    held.length === 0 ? "audience IS NULL" : `audience IN (${held.map((_, i) => `$${i + 1}`).join(", ")})`
  )
  for (const [i, audience] of held.entries()) url.searchParams.set(`params[${i + 1}]`, audience)
  if (electric.secret !== undefined) url.searchParams.set("secret", electric.secret)
  return url.href.length > urlCharsMax ? undefined : url
}

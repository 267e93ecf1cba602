/** Text that others wrote (args, SQL, errors) inside a page: it stays text. */
import { sha256 } from "@noble/hashes/sha2.js"
import { utf8ToBytes } from "@noble/hashes/utils.js"

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** Control characters, direction overrides and lone surrogates, which would hide or reorder what stands around them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const invisible = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu

/** As text that shows what a terminal or a browser would swallow: `\u0000`. */
export const visible = (text: string): string =>
  text.replace(invisible, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** For element content and for attribute values in quotes. */
export const escape = (text: string | number): string =>
  visible(String(text)).replace(/[&<>"']/g, (char) => entities[char]!)

/** JSON for a script element: no `<` is left, so nothing in it can end the element. */
export const scriptJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** The source expression of a content security policy that admits exactly this inline text. */
export const policyHash = (text: string): string =>
  `'sha256-${btoa(String.fromCharCode(...sha256(utf8ToBytes(text))))}'`

/** At most `length` characters, with an ellipsis where something was cut. */
export const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, Math.max(1, length - 1)).trimEnd()}…`

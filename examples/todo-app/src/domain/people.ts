/**
 * Who people are. A person's id is made from what they sign in with, so that whoever knows a name or an e-mail address can
 * invite its owner. A real application would take both from its identity provider.
 */

/** Ready to be tried: the development sign-in offers them. */
export const samplePeople = ["alice", "bob", "carol"] as const

const idPattern = /^[a-z0-9][a-z0-9._@+-]{0,59}$/

/** Whether this is the id of somebody, and not only something that {@link idOf} makes one of. */
export const isPersonId = (id: unknown): id is string => typeof id === "string" && idPattern.test(id)

/** The id of whoever signs in with this name or e-mail address; undefined when it has no letter or digit to begin with. */
export const idOf = (nameOrEmail: string): string | undefined => {
  const id = nameOrEmail
    .normalize("NFKD")
    .replace(/\p{Mark}/gu, "")
    .trim()
    .toLowerCase()
    .replace(/\s+/g, "-")
  return isPersonId(id) ? id : undefined
}

/** The name to show: “Mary Ann” for `mary-ann`; an e-mail address stays as it is. */
export const nameOf = (id: string): string =>
  id.includes("@") ? id : id.replaceAll("-", " ").replace(/(^| )[a-z]/g, (start) => start.toUpperCase())

/** The name as this viewer reads it. */
export const nameFor = (id: string, viewer: string): string => (id === viewer ? "You" : nameOf(id))

const hues: Readonly<Record<string, number>> = { alice: 8, bob: 225, carol: 150 }

/** The colour that a person has on all screens, as a hue in degrees. */
export const hueOf = (id: string): number =>
  hues[id] ?? [...id].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) % 360, 7)

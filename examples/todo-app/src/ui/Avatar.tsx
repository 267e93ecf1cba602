import type { CSSProperties } from "react"
import { hueOf, nameFor, nameOf } from "../domain/people.ts"

/** What gives an element a person's colours, as `--person` and `--person-soft`. */
export const inColourOf = (person: string) => ({
  "data-person": person,
  style: { "--hue": hueOf(person) } as CSSProperties
})

/** A person's initial in their colour; `viewer` decides whether its label says "You". Without one it is decoration. */
export function Avatar(props: { readonly person: string; readonly viewer?: string }) {
  const { person, viewer } = props
  const initial = nameOf(person).slice(0, 1).toUpperCase()
  return viewer === undefined ? (
    <span className="avatar" aria-hidden="true" {...inColourOf(person)}>
      {initial}
    </span>
  ) : (
    <span className="avatar" role="img" aria-label={nameFor(person, viewer)} {...inColourOf(person)}>
      {initial}
    </span>
  )
}

import { nameFor, nameOf } from "../domain/people.ts"

/** A person's initial in their colour; `viewer` decides whether its label says "You". */
export function Avatar(props: { readonly person: string; readonly viewer: string }) {
  return (
    <span
      className="avatar"
      data-person={props.person}
      role="img"
      aria-label={nameFor(props.person, props.viewer)}
    >
      {nameOf(props.person).slice(0, 1)}
    </span>
  )
}

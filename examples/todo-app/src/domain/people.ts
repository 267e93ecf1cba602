/** The people of the example. A real application would take them from its identity provider. */
export const people = [
  { id: "alice", name: "Alice" },
  { id: "bob", name: "Bob" }
] as const

export type PersonId = (typeof people)[number]["id"]

export const isPerson = (id: unknown): id is PersonId => people.some((person) => person.id === id)

export const nameOf = (id: string): string => people.find((person) => person.id === id)?.name ?? id

/** The name as this viewer reads it. */
export const nameFor = (id: string, viewer: string): string => (id === viewer ? "You" : nameOf(id))

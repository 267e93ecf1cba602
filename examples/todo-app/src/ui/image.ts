/** The prepared database that a person's first visit starts from; see `vite-pglite-image.ts`. */
import imageUrl from "virtual:pglite-image"
import type { PersonId } from "../domain/people.ts"

const visitedKey = (person: PersonId) => `todo-app/visited/${person}`

/** The image, or undefined when this browser has the person's database already. */
export const imageFor = async (person: PersonId): Promise<File | undefined> => {
  if (localStorage.getItem(visitedKey(person)) !== null) return undefined
  const response = await fetch(imageUrl)
  // Without it the database takes longer to set up, and that is all.
  if (!response.ok) return undefined
  return new File([await response.arrayBuffer()], "image.tar.gz", { type: "application/gzip" })
}

export const rememberVisit = (person: PersonId): void => localStorage.setItem(visitedKey(person), "yes")

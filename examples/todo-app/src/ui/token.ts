/**
 * Who signs this page in. `npm start` has a development identity provider that signs in anybody. Where there is
 * none, `synchrotron-server token` makes a token, and `/?user=alice#token=…` hands it to the page: a fragment
 * never leaves the browser.
 */
import { nameOf, type PersonId } from "../domain/people.ts"

const keptMs = 60_000
const kept = new Map<PersonId, { readonly token: string; readonly until: number }>()
const storageKey = (person: PersonId) => `todo-app/token/${person}`

/** A token for the person; the sync client asks before each request. */
export const tokenFor = async (person: PersonId): Promise<string> => {
  const given = localStorage.getItem(storageKey(person))
  if (given !== null) return given
  const known = kept.get(person)
  if (known !== undefined && known.until > Date.now()) return known.token
  const token = await askIdentityProvider(person)
  kept.set(person, { token, until: Date.now() + keptMs })
  return token
}

/** Keeps the token of the page's fragment, if there is one, and takes it out of the address. */
export const keepGivenToken = (person: PersonId): void => {
  const token = new URLSearchParams(location.hash.slice(1)).get("token")
  if (token === null) return
  localStorage.setItem(storageKey(person), token)
  history.replaceState(null, "", location.pathname + location.search)
}

const askIdentityProvider = async (person: PersonId): Promise<string> => {
  const response = await fetch("/dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: person })
  })
  if (!response.ok) {
    throw new Error(
      `Nobody signs ${nameOf(person)} in here (${response.status}). Open /?user=${person}#token=… with a token.`
    )
  }
  return ((await response.json()) as { readonly token: string }).token
}

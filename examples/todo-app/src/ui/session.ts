/**
 * Who is signed in here. What a person needs to begin without a network is kept on this device: their id and the last
 * token. `npm start` has a development identity provider that signs in anybody. Where there is none,
 * `synchrotron-server token` makes a token, and `/?user=alice#token=…` hands it to the page: a fragment never leaves the
 * browser.
 */
import { useSyncExternalStore } from "react"
import { idOf, isPersonId, nameOf } from "../domain/people.ts"

interface Account {
  readonly token: string
  /** Handed over in the address: there is nobody to ask for another one. */
  readonly given: boolean
}

const sessionKey = "todo-app/session"
const accountPrefix = "todo-app/account/"
const freshMs = 60_000

const fresh = new Map<string, { readonly token: string; readonly until: number }>()
const listeners = new Set<() => void>()

/** A tab whose address names a person is theirs, whoever else is signed in in other tabs. */
const personOfAddress = (): string | undefined => {
  const user = new URLSearchParams(location.search).get("user")
  return isPersonId(user) ? user : undefined
}

const currentUser = (): string | undefined =>
  personOfAddress() ?? localStorage.getItem(sessionKey) ?? undefined

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  // Other tabs sign in and out, too.
  window.addEventListener("storage", listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener("storage", listener)
  }
}

/** The id of whoever is signed in; undefined for nobody. */
export const useCurrentUser = (): string | undefined => useSyncExternalStore(subscribe, currentUser)

/** The ids of whoever signed in on this device before: they can begin without a network. */
export const knownPeople = (): ReadonlyArray<string> =>
  Object.keys(localStorage)
    .filter((key) => key.startsWith(accountPrefix))
    .map((key) => key.slice(accountPrefix.length))
    .sort()

/**
 * Signs somebody in, without a network as far as this device knows them. Rejects with an error whose message says what
 * to do.
 */
export const signIn = async (nameOrEmail: string): Promise<void> => {
  const person = idOf(nameOrEmail)
  if (person === undefined) throw new Error("Use a name or an e-mail address in Latin letters or digits.")
  await tokenFor(person).catch((error: unknown) => {
    throw error instanceof Unreachable
      ? new Error(`${nameOf(person)} has not signed in on this device before, and that needs a connection.`)
      : error
  })
  localStorage.setItem(sessionKey, person)
  for (const listener of listeners) listener()
}

/**
 * Ends the session in all tabs; a tab whose address names its person becomes like the others. What the person has on this
 * device stays, for when they come back.
 */
export const signOut = (): void => {
  if (personOfAddress() !== undefined) location.assign("/")
  else localStorage.removeItem(sessionKey)
  for (const listener of listeners) listener()
}

/** A token for the person; the sync client asks before each request. The kept one serves while nobody can be asked. */
export const tokenFor = async (person: string): Promise<string> => {
  const account = accountOf(person)
  if (account?.given) return account.token
  const known = fresh.get(person)
  if (known !== undefined && known.until > Date.now()) return known.token
  try {
    const token = await askIdentityProvider(person)
    keep(person, { token, given: false })
    fresh.set(person, { token, until: Date.now() + freshMs })
    return token
  } catch (error) {
    if (error instanceof Unreachable && account !== undefined) return account.token
    throw error
  }
}

/** Keeps the token of the page's fragment, if there is one, and takes it out of the address. */
export const keepGivenToken = (): void => {
  const person = personOfAddress()
  const token = new URLSearchParams(location.hash.slice(1)).get("token")
  if (person === undefined || token === null) return
  keep(person, { token, given: true })
  history.replaceState(null, "", location.pathname + location.search)
}

const accountOf = (person: string): Account | undefined => {
  const kept = localStorage.getItem(accountPrefix + person)
  return kept === null ? undefined : (JSON.parse(kept) as Account)
}

const keep = (person: string, account: Account) =>
  localStorage.setItem(accountPrefix + person, JSON.stringify(account))

class Unreachable extends Error {}

const askIdentityProvider = async (person: string): Promise<string> => {
  const response = await fetch("/dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: person })
  }).catch(() => {
    throw new Unreachable("The identity provider cannot be reached.")
  })
  if (!response.ok) {
    throw new Error(
      `Nobody signs ${nameOf(person)} in here (${response.status}). Open /?user=${person}#token=… with a token.`
    )
  }
  return ((await response.json()) as { readonly token: string }).token
}

/** One sync client per person and page. The tabs that show a person share the database. */
import { createSharedClient, type PromiseClient } from "@synchrotron/sync-client"
import { app } from "../app.ts"
import { AlreadyClaimed, ItemGone, ListFull, ListGone, NotOwner } from "../domain/errors.ts"
import type { PersonId } from "../domain/people.ts"
import { tokenFor } from "./token.ts"

/** The other person sits beside this one and watches, so changes of others are asked for often. */
const pollMs = 1_000

const clients = new Map<PersonId, Promise<PromiseClient>>()

/** Opens the person's database, or gives the client that has it open. The same promise for as long as the page lives. */
export const clientOf = (person: PersonId): Promise<PromiseClient> => {
  const client = clients.get(person) ?? open(person)
  clients.set(person, client)
  return client
}

const open = async (person: PersonId): Promise<PromiseClient> =>
  createSharedClient({
    app,
    worker: () => new Worker(new URL("../worker.ts", import.meta.url), { type: "module" }),
    dataDir: `idb://todo-${person}`,
    userId: person,
    pollMs,
    server: { url: location.origin, token: () => tokenFor(person) },
    errors: [AlreadyClaimed, ItemGone, ListFull, ListGone, NotOwner]
  })

// While developing: changed actions need new clients, and those need the databases that the old ones hold.
import.meta.hot?.dispose(async () => {
  for (const client of clients.values()) await client.then((open) => open.close())
})

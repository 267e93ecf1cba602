/** One sync client per person and page. The tabs that show a person share the database. */
import { createSharedClient, destroyStore, type PromiseClient } from "@synchrotron/sync-client"
import { app } from "../app.ts"
import { refusals } from "../domain/errors.ts"
import { tokenFor } from "./session.ts"

/** Where changes do not come live, they are asked for this often: people may sit side by side and watch. */
const pollMs = 1_000

const clients = new Map<string, Promise<PromiseClient>>()

/** Opens the person's database, or gives the client that has it open: the same promise until {@link closeClientOf}. */
export const clientOf = (person: string): Promise<PromiseClient> => {
  const client = clients.get(person) ?? open(person)
  clients.set(person, client)
  return client
}

/** Closes the person's database in this tab; what was not sent is kept in it. */
export const closeClientOf = async (person: string): Promise<void> => {
  const client = clients.get(person)
  clients.delete(person)
  // One that could not be opened has nothing to close.
  await client?.then((open) => open.close()).catch(() => undefined)
}

/** Deletes what this device keeps of the person's lists. No other tab may show them. */
export const forgetListsOf = async (person: string): Promise<void> => {
  await closeClientOf(person)
  await destroyStore(storeOf(person))
}

const storeOf = (person: string) => `todo-${person}`

const open = async (person: string): Promise<PromiseClient> =>
  createSharedClient({
    app,
    worker: () => new Worker(new URL("../worker.ts", import.meta.url), { type: "module" }),
    dataDir: storeOf(person),
    userId: person,
    pollMs,
    server: { url: location.origin, token: () => tokenFor(person) },
    errors: refusals
  })

// While developing: changed actions need new clients, and those need the databases that the old ones hold.
import.meta.hot?.dispose(() => Promise.all([...clients.keys()].map(closeClientOf)))

/** TanStack DB's electric collection on a synced table. */
import { createCollection } from "@tanstack/db"
import { electricCollectionOptions } from "@tanstack/electric-db-collection"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { token } from "../http/support.ts"
import {
  databases,
  insert,
  join_,
  leave,
  makePlace,
  type Place,
  type Server,
  serve,
  write
} from "./support.ts"

interface Note extends Record<string, unknown> {
  readonly id: string
  readonly text: string
  readonly n: bigint | null
  readonly tags: ReadonlyArray<string | null> | null
}

const errors: Array<unknown> = []
process.on("uncaughtException", (error) => errors.push(error))

describe.each(databases)("a TanStack DB collection over %s", (kind) => {
  let place: Place
  let server: Server
  beforeAll(async () => {
    place = await makePlace(kind)
    server = await serve(place)
  })
  afterAll(async () => {
    await server.close()
    await place.remove()
  })

  it.each([
    ["long poll", false],
    ["events", true]
  ])("I1: shows the user's rows and each of their changes, by %s", async (_, liveSse) => {
    await write(
      server,
      "DELETE FROM members",
      "DELETE FROM notes",
      join_("ann"),
      insert("a"),
      insert("b"),
      insert("blue", { team: "blue" })
    )
    const collection = createCollection(
      electricCollectionOptions<Note>({
        id: `notes-${kind}-${liveSse}`,
        getKey: (note) => note.id,
        shapeOptions: {
          url: server.url,
          params: { table: "notes" },
          liveSse,
          headers: { authorization: async () => `Bearer ${await token("ann")}` }
        }
      })
    )
    const events: Array<string> = []
    await collection.preload()
    const subscription = collection.subscribeChanges(
      (changes) => {
        for (const change of changes) events.push(`${change.type} ${change.key}`)
      },
      { includeInitialState: true }
    )
    const has = (...ids: ReadonlyArray<string>) =>
      vi.waitFor(() => expect(collection.toArray.map((note) => note.id).sort()).toEqual(ids), {
        timeout: 20_000,
        interval: 10
      })
    await has("a", "b")
    await write(
      server,
      "UPDATE notes SET n = 9007199254740993, tags = '{x,NULL}' WHERE id = 'a'",
      insert("c")
    )
    await has("a", "b", "c")
    expect(collection.get("a")).toMatchObject({ n: 9007199254740993n, tags: ["x", null] })
    await write(server, "DELETE FROM notes WHERE id = 'b'")
    await has("a", "c")
    await write(server, insert("b", { text: "again" }))
    await has("a", "b", "c")
    expect(collection.get("b")!.text).toBe("again")
    // A row that policies showed to nobody until now is no update for the collection.
    await write(server, insert("late", { hidden: true }))
    await write(server, "UPDATE notes SET hidden = false WHERE id = 'late'")
    await has("a", "b", "c", "late")
    expect(events).toEqual([
      "insert a",
      "insert b",
      ...["update a", "insert c"].sort((one, other) => events.indexOf(one) - events.indexOf(other)),
      "delete b",
      "insert b",
      "insert late"
    ])
    // The set of audiences changes: all rows are fetched again, under another handle.
    await write(server, join_("ann", "blue"))
    await has("a", "b", "blue", "c", "late")
    await write(server, leave("ann"))
    await has("blue")
    await write(server, "UPDATE notes SET text = 'still here' WHERE id = 'blue'")
    await expect.poll(() => collection.get("blue")?.text, { timeout: 20_000 }).toBe("still here")
    subscription.unsubscribe()
    await collection.cleanup()
    expect(errors).toEqual([])
  })
})

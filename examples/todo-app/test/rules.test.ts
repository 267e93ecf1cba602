/** The rules alone: what people do on one device, without a server. */
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createSyncClient, type PromiseClient } from "@synchrotron/sync-client"
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { app } from "../src/app.ts"
import { InvitationGone, ItemGone, ListFull, ListGone, OwnerStays } from "../src/domain/errors.ts"
import { createList, deleteList, renameList } from "../src/domain/lists.ts"
import { idOf, nameOf } from "../src/domain/people.ts"
import { migrations } from "../src/domain/schema.ts"
import {
  acceptInvitation,
  declineInvitation,
  inviteToList,
  leaveList,
  unshareList
} from "../src/domain/sharing.ts"
import {
  addTodo,
  claimTodo,
  editTodo,
  moveTodo,
  releaseTodo,
  removeTodo,
  setDue,
  toggleTodo,
  transferTodo
} from "../src/domain/todos.ts"
import { planUndoAll } from "../src/domain/undo.ts"

/** Brings about what others did on their devices. */
const others = Action.make("others", {
  args: Schema.Struct({ did: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql.unsafe(args.did))
})

const withOthers: SyncApp.SyncApp = {
  ...app,
  actions: new Map([...app.actions, [SyncApp.actionKey("others", 1), others.definition]])
}

let client: PromiseClient
let listId: string

beforeAll(async () => {
  client = await createSyncClient({
    app: withOthers,
    dataDir: "memory://",
    userId: "alice",
    paused: true,
    purityCheck: true,
    server: { url: "http://localhost:0", token: "unused" }
  })
})
afterAll(() => client.close())
beforeEach(async () => {
  listId = await client.execute(createList({ title: "Groceries", openMax: 3 }))
})

const add = (title: string) => client.execute(addTodo({ listId, title }))

const titles = async (id = listId) =>
  (
    await client.query<{ title: string }>("SELECT title FROM todos WHERE list_id = $1 ORDER BY position", [
      id
    ])
  ).map((row) => row.title)

const fieldOf = async (todoId: string, field: "assignee" | "due") =>
  (
    await client.query<{ value: string | null }>(`SELECT ${field}::text AS value FROM todos WHERE id = $1`, [
      todoId
    ])
  )[0]?.value

describe("a list", () => {
  it("belongs to its author, who invites and takes it back", async () => {
    const people = () =>
      client.query(
        `SELECT user_id, role FROM members WHERE list_id = $1
        UNION ALL SELECT user_id, 'invited as ' || role FROM invitations WHERE list_id = $1`,
        [listId]
      )
    const owner = { user_id: "alice", role: "owner" }
    expect(await people()).toEqual([owner])
    await client.execute(inviteToList({ listId, userId: "bob", role: "editor" }))
    await client.execute(inviteToList({ listId, userId: "bob", role: "viewer" }))
    expect(await people()).toEqual([owner, { user_id: "bob", role: "invited as viewer" }])
    await client.execute(unshareList({ listId, userId: "bob" }))
    expect(await people()).toEqual([owner])
    await client.execute(declineInvitation({ listId }))
    for (const leave of [unshareList({ listId, userId: "alice" }), leaveList({ listId })])
      await expect(client.execute(leave)).rejects.toBeInstanceOf(OwnerStays)
  })

  it("is joined by whoever is invited, on however many devices they accept", async () => {
    const joined = "00000000-0000-4000-8000-000000000001"
    const roles = () => client.query("SELECT role FROM members WHERE list_id = $1", [joined])
    const accept = () => client.execute(acceptInvitation({ listId: joined }))
    await expect(accept()).rejects.toBeInstanceOf(InvitationGone)
    await client.execute(
      others({
        did: `INSERT INTO invitations (list_id, user_id, role, list_title, invited_by)
          VALUES ('${joined}', 'alice', 'viewer', 'Party', 'bob')`
      })
    )
    for (const _ of ["phone", "laptop"]) {
      await accept()
      expect(await roles()).toEqual([{ role: "viewer" }])
    }
  })

  it("can be renamed, and deleted with all that is in it", async () => {
    await client.execute(renameList({ listId, title: "Food" }))
    expect(await client.query("SELECT title FROM lists WHERE id = $1", [listId])).toEqual([{ title: "Food" }])
    await add("Milk")
    await client.execute(deleteList({ listId }))
    expect(await client.query("SELECT * FROM members WHERE list_id = $1", [listId])).toEqual([])
    expect(await titles()).toEqual([])
    await expect(add("Milk")).rejects.toBeInstanceOf(ListGone)
  })

  it("accepts as many open items as it says, whether they are new, opened again or from another list", async () => {
    const milk = await add("Milk")
    await add("Bread")
    await add("Apples")
    await expect(add("Eggs")).rejects.toBeInstanceOf(ListFull)
    await client.execute(toggleTodo({ todoId: milk, done: true }))
    await add("Eggs")
    const full = { listTitle: "Groceries", openMax: 3, newest: { title: "Eggs", by: "alice" } }
    await expect(client.execute(toggleTodo({ todoId: milk, done: false }))).rejects.toMatchObject(full)
    const other = await client.execute(createList({ title: "Other", openMax: 3 }))
    const tea = await client.execute(addTodo({ listId: other, title: "Tea" }))
    await expect(client.execute(transferTodo({ todoId: tea, listId, before: null }))).rejects.toMatchObject(
      full
    )
    expect(await titles()).toEqual(["Milk", "Bread", "Apples", "Eggs"])
  })
})

describe("an item", () => {
  it("moves in front of another or to the end, and stays when that one is gone", async () => {
    const [a, b, c] = [await add("a"), await add("b"), await add("c")]
    await client.execute(moveTodo({ todoId: c, before: a }))
    expect(await titles()).toEqual(["c", "a", "b"])
    await client.execute(moveTodo({ todoId: c, before: null }))
    expect(await titles()).toEqual(["a", "b", "c"])
    await client.execute(removeTodo({ todoId: b }))
    await client.execute(moveTodo({ todoId: c, before: b }))
    expect(await titles()).toEqual(["a", "c"])
  })

  it("is claimed and given back", async () => {
    const milk = await add("Milk")
    await client.execute(claimTodo({ todoId: milk }))
    await client.execute(claimTodo({ todoId: milk }))
    expect(await fieldOf(milk, "assignee")).toBe("alice")
    await client.execute(releaseTodo({ todoId: milk }))
    expect(await fieldOf(milk, "assignee")).toBeNull()
  })

  it("is due on a day of the calendar, or on none", async () => {
    const milk = await add("Milk")
    await client.execute(setDue({ todoId: milk, due: "2028-02-29" }))
    expect(await fieldOf(milk, "due")).toBe("2028-02-29")
    for (const due of ["2027-02-29", "tomorrow", "0000-01-01"])
      await expect(client.execute(setDue({ todoId: milk, due }))).rejects.toThrow("must be a day")
    await client.execute(setDue({ todoId: milk, due: null }))
    expect(await fieldOf(milk, "due")).toBeNull()
  })

  it("goes to another list, in front of another item", async () => {
    const other = await client.execute(createList({ title: "Other", openMax: 3 }))
    const [milk, tea] = [await add("Milk"), await client.execute(addTodo({ listId: other, title: "Tea" }))]
    await client.execute(transferTodo({ todoId: milk, listId: other, before: tea }))
    expect(await titles()).toEqual([])
    expect(await titles(other)).toEqual(["Milk", "Tea"])
  })

  it("is claimed only by who can do it: a viewer and a stranger keep nothing that is opened again or comes", async () => {
    const bobOf = (list: string, role: string) =>
      role === "stranger"
        ? ""
        : `INSERT INTO members (list_id, user_id, role) VALUES ('${list}', 'bob', '${role}');`
    for (const role of ["editor", "viewer", "stranger"]) {
      const [here, there] = [
        await client.execute(createList({ title: "Here", openMax: 3 })),
        await client.execute(createList({ title: "There", openMax: 3 }))
      ]
      const [again, goes] = [
        await client.execute(addTodo({ listId: here, title: "Again" })),
        await client.execute(addTodo({ listId: here, title: "Goes" }))
      ]
      await client.execute(
        others({
          did: `${bobOf(here, role)}${bobOf(there, role)}
            UPDATE todos SET assignee = 'bob', done = (id = '${again}') WHERE list_id = '${here}'`
        })
      )
      await client.execute(toggleTodo({ todoId: again, done: false }))
      await client.execute(transferTodo({ todoId: goes, listId: there, before: null }))
      const claimed = [await fieldOf(again, "assignee"), await fieldOf(goes, "assignee")]
      expect(claimed, role).toEqual(role === "editor" ? ["bob", "bob"] : [null, null])
    }
  })

  it("cannot be changed after it was removed, but removed again", async () => {
    const milk = await add("Milk")
    await client.execute(removeTodo({ todoId: milk }))
    await client.execute(removeTodo({ todoId: milk }))
    await expect(client.execute(editTodo({ todoId: milk, title: "Oats" }))).rejects.toBeInstanceOf(ItemGone)
    await expect(client.execute(claimTodo({ todoId: milk }))).rejects.toBeInstanceOf(ItemGone)
  })

  it("shows which record wrote it last", async () => {
    const execution = client.execute(addTodo({ listId, title: "Milk" }))
    const [row] = await client.query("SELECT last_record FROM todos WHERE id = $1", [await execution])
    expect(row).toEqual({ last_record: await execution.recordId() })
  })
})

describe("taking back", () => {
  /** Everything that a person sees of the lists; ranks, for the numbers behind an order are nobody's business. */
  const everything = () =>
    client.query(`
      SELECT l.title AS list, t.id, t.title, t.done, t.due::text, t.assignee,
        rank() OVER (PARTITION BY l.id ORDER BY t.position, t.id) AS place
      FROM lists l LEFT JOIN todos t ON t.list_id = l.id ORDER BY l.id, place`)

  /** Runs the operations as one, takes them back as one, and gives what is shown before, between and after. */
  const thereAndBack = async (...operations: ReadonlyArray<Action.AnyOperation>) => {
    const before = await everything()
    const undo = await planUndoAll(client.query, operations, "alice")
    const results = await client.execute(operations)
    const between = await everything()
    await client.execute(undo?.(results) ?? [])
    return { before, between, after: await everything() }
  }

  it("restores what every action did, alone and as one of several", async () => {
    const other = await client.execute(createList({ title: "Other", openMax: 9 }))
    const [a, b, c] = [await add("a"), await add("b"), await add("c")]
    await client.execute([claimTodo({ todoId: b }), setDue({ todoId: b, due: "2026-11-22" })])
    const each = [
      [toggleTodo({ todoId: a, done: true })],
      [editTodo({ todoId: a, title: "A" })],
      [setDue({ todoId: b, due: null })],
      [moveTodo({ todoId: c, before: a })],
      [moveTodo({ todoId: a, before: null })],
      [transferTodo({ todoId: a, listId: other, before: null })],
      [removeTodo({ todoId: b })],
      [claimTodo({ todoId: a })],
      [releaseTodo({ todoId: b })],
      [renameList({ listId, title: "Food" })],
      [addTodo({ listId: other, title: "x" })],
      [a, b, c].map((todoId) => toggleTodo({ todoId, done: true })),
      [a, b].map((todoId) => transferTodo({ todoId, listId: other, before: null })),
      [a, b, c].map((todoId) => removeTodo({ todoId })),
      [b, c].map((todoId) => removeTodo({ todoId }))
    ]
    for (const operations of each) {
      const { before, between, after } = await thereAndBack(...operations)
      const name = operations.map(({ action }) => action.name).join()
      expect(between, name).not.toEqual(before)
      expect(after, name).toEqual(before)
    }
  })

  it("is not offered for what others would have to agree to", async () => {
    for (const operation of [
      inviteToList({ listId, userId: "bob", role: "editor" }),
      createList({ title: "New", openMax: 3 })
    ])
      expect(await planUndoAll(client.query, [operation], "alice")).toBeUndefined()
  })
})

describe("a device of an earlier version", () => {
  it("has had migrations that never change", () => {
    const hash = createHash("sha256").update(JSON.stringify(migrations[0])).digest("hex")
    expect(hash.slice(0, 16)).toBe("a3ad2f1f63e30b16")
  })

  it("goes on with what was done on it and not sent", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "todo-app-before-"))
    const openWith = (one: SyncApp.SyncApp) =>
      createSyncClient({
        app: one,
        dataDir,
        userId: "alice",
        paused: true,
        server: { url: "http://localhost:0", token: "unused" }
      })
    const first = SyncApp.make({
      name: app.name,
      migrations: migrations.slice(0, 1),
      tables: ["lists", "members", "todos"].map((table) => SyncTable.make(table, { audience: "'list'" })),
      actions: [createList, addTodo, others],
      audiences: "SELECT 'list'"
    })
    try {
      const before = await openWith(first)
      const list = await before.execute(createList({ title: "Groceries", openMax: 3 }))
      const milk = await before.execute(addTodo({ listId: list, title: "Milk" }))
      await before.execute(
        others({ did: `INSERT INTO members (list_id, user_id) VALUES ('${list}', 'bob')` })
      )
      await before.close()
      const after = await openWith(withOthers)
      expect(await after.pending()).toHaveLength(3)
      await after.execute(setDue({ todoId: milk, due: "2026-11-22" }))
      expect(
        await after.query(
          `SELECT l.title AS list, t.title, t.due::text, (SELECT array_agg(user_id || ' ' || role ORDER BY 1) FROM members) AS members
          FROM lists l JOIN todos t ON t.list_id = l.id`
        )
      ).toEqual([
        { list: "Groceries", title: "Milk", due: "2026-11-22", members: ["alice owner", "bob editor"] }
      ])
      await after.close()
    } finally {
      rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 })
    }
  })
})

describe("a person", () => {
  it("is known by a name or an e-mail address, however it is written", () => {
    expect(["Alice", " mary  Ann ", "Zoë@Example.org", "李", "", "../x"].map(idOf)).toEqual([
      "alice",
      "mary-ann",
      "zoe@example.org",
      undefined,
      undefined,
      undefined
    ])
    expect(["alice", "mary-ann-2", "zoe@example.org"].map(nameOf)).toEqual([
      "Alice",
      "Mary Ann 2",
      "zoe@example.org"
    ])
  })
})

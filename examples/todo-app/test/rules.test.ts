/** The rules alone: what people do on one device, without a server. */
import { createSyncClient, type PromiseClient } from "@synchrotron/sync-client"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { app } from "../src/app.ts"
import { ItemGone, ListFull } from "../src/domain/errors.ts"
import { createList, renameList, shareList, unshareList } from "../src/domain/lists.ts"
import {
  addTodo,
  claimTodo,
  editTodo,
  moveTodo,
  releaseTodo,
  removeTodo,
  toggleTodo
} from "../src/domain/todos.ts"

let client: PromiseClient
let listId: string

beforeAll(async () => {
  client = await createSyncClient({
    app,
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

const titles = async () =>
  (
    await client.query<{ title: string }>("SELECT title FROM todos WHERE list_id = $1 ORDER BY position", [
      listId
    ])
  ).map((row) => row.title)

const assigneeOf = async (todoId: string) =>
  (await client.query<{ assignee: string | null }>("SELECT assignee FROM todos WHERE id = $1", [todoId]))[0]
    ?.assignee

describe("a list", () => {
  it("belongs to its author, who shares it and takes it back", async () => {
    const members = () =>
      client.query("SELECT user_id, role FROM members WHERE list_id = $1 ORDER BY role DESC", [listId])
    const owner = { user_id: "alice", role: "owner" }
    expect(await members()).toEqual([owner])
    await client.execute(shareList({ listId, userId: "bob" }))
    await client.execute(shareList({ listId, userId: "bob" }))
    expect(await members()).toEqual([owner, { user_id: "bob", role: "member" }])
    await client.execute(unshareList({ listId, userId: "bob" }))
    await client.execute(unshareList({ listId, userId: "alice" }))
    expect(await members()).toEqual([owner])
  })

  it("can be renamed", async () => {
    await client.execute(renameList({ listId, title: "Food" }))
    expect(await client.query("SELECT title FROM lists WHERE id = $1", [listId])).toEqual([{ title: "Food" }])
  })

  it("accepts as many open items as it says, whether they are new or opened again", async () => {
    const milk = await add("Milk")
    await add("Bread")
    await add("Apples")
    await expect(add("Eggs")).rejects.toBeInstanceOf(ListFull)
    await client.execute(toggleTodo({ todoId: milk, done: true }))
    await add("Eggs")
    await expect(client.execute(toggleTodo({ todoId: milk, done: false }))).rejects.toMatchObject({
      listTitle: "Groceries",
      openMax: 3,
      newest: { title: "Eggs", by: "alice" }
    })
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
    expect(await assigneeOf(milk)).toBe("alice")
    await client.execute(releaseTodo({ todoId: milk }))
    expect(await assigneeOf(milk)).toBeNull()
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

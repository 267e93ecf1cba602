import { RowKey, TableName } from "@synchrotron/sync-core"
import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { app } from "../src/app.ts"
import { AlreadyClaimed, ItemGone, ListFull, Refusal, ViewOnly } from "../src/domain/errors.ts"
import { explain, explainChanged, type Refused } from "../src/domain/explain.ts"

const refused = (name: string, args: unknown, error: Refusal, patches: Refused["patches"] = []): Refused => ({
  name,
  args,
  outcome: "rejected",
  error: { class: "failed", message: error.message, detail: Schema.encodeSync(Refusal)(error) },
  patches
})

const full = (by: string) =>
  new ListFull({ listTitle: "Groceries", openMax: 5, newest: { title: "Eggs", by } })

describe("explain", () => {
  it("names who came first, from the reader's side", () => {
    const record = refused("todo.add", { listId: "…", title: "Tea" }, full("bob"))
    expect(explain(record, "alice")).toEqual({
      wish: "Add “Tea”",
      reason: "“Groceries” was full: it takes 5 open items. Bob added “Eggs” first."
    })
    expect(explain(record, "bob").reason).toContain("You added “Eggs” first.")
  })

  it("finds the title of the item in the refusal or in what was undone", () => {
    const claim = refused("todo.claim", { todoId: "…" }, new AlreadyClaimed({ title: "Milk", by: "bob" }))
    expect(explain(claim, "alice")).toEqual({ wish: "Claim “Milk”", reason: "Bob claimed “Milk” first." })
    const toggle = refused("todo.toggle", { todoId: "…", done: true }, new ItemGone({ todoId: "…" }), [
      {
        table: TableName.make("public.todos"),
        key: RowKey.make("[]"),
        before: { title: "Milk" },
        after: null
      }
    ])
    expect(explain(toggle, "alice").wish).toBe("Tick off “Milk”")
  })

  it("tells what several operations were to do together, and names each item", () => {
    const remove = (todoId: string) => ({ name: "todo.remove", version: 1, args: { todoId } })
    const gone = (id: string, title: string) => ({
      table: TableName.make("public.todos"),
      key: RowKey.make(`["${id}"]`),
      before: { id, title },
      after: null
    })
    const record = refused(
      "synchrotron.batch",
      ["1", "2", "3", "4"].map(remove),
      new ViewOnly({ listTitle: "Groceries", owner: "bob" }),
      [gone("2", "Bread"), gone("1", "Milk"), gone("3", "Tea"), gone("4", "Rice")]
    )
    expect(explain(record, "alice")).toEqual({
      wish: "4 changes together: Remove “Milk”, Remove “Bread”, Remove “Tea” and 1 more",
      reason: "Bob had made you a viewer of “Groceries” before, so you could not change it."
    })
  })

  it("has words for every action of the application", () => {
    for (const { name } of app.actions.values())
      expect(explain(refused(name, {}, full("bob")), "alice").wish).not.toBe(name)
  })

  it("is silent about results that differ only to the machine", () => {
    expect(explainChanged("todo.toggle")).toBeUndefined()
    expect(explainChanged("todo.move")).toContain("order came out differently")
  })

  it("says something about classes and actions that it does not know", () => {
    const record: Refused = {
      name: "todo.sing",
      args: {},
      outcome: "voided",
      error: { class: "defect", message: "It crashed." },
      patches: []
    }
    expect(explain(record, "alice")).toEqual({ wish: "todo.sing", reason: "It crashed." })
  })
})

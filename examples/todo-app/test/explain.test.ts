import { RowKey, TableName } from "@synchrotron/sync-core"
import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { AlreadyClaimed, ItemGone, ListFull, Refusal } from "../src/domain/errors.ts"
import { explain, type Refused } from "../src/domain/explain.ts"

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

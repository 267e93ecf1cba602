import { Effect, Schema } from "effect"
import { describe, expect, it } from "vitest"
import * as Action from "../src/Action.ts"
import { PendingRecord } from "../src/Protocol.ts"

const define = (name: string, version?: number) =>
  Action.make(name, {
    ...(version !== undefined && { version }),
    args: Schema.Struct({}),
    run: () => Effect.void
  })

/** Whether the wire takes a record of this action. */
const travels = (name: string, version: number): boolean =>
  Schema.is(Schema.Struct({ name: PendingRecord.fields.name, version: PendingRecord.fields.version }))({
    name,
    version
  })

describe("I4: an action that is defined can be sent", () => {
  it.each([["todo.add"], ["x"], ["Zeile hinzufügen"], ["𝄞".repeat(200)], ["a b@c/d\u2028"]])("%j", (name) => {
    expect(define(name).definition).toMatchObject({ name, version: 1 })
    expect(travels(name, 1)).toBe(true)
  })

  it.each([[""], ["x".repeat(201)], ["line\nbreak"], ["a\u0000b"], ["a\u0085"], ["a\ud800"], ["\udc00a"]])(
    "else it is refused: %j",
    (name) => {
      expect(() => define(name)).toThrow(`Action.make: the name ${JSON.stringify(name)} cannot travel`)
      expect(travels(name, 1)).toBe(false)
    }
  )

  it.each([[0], [-1], [1.5], [Number.NaN], [2 ** 31]])("nor with the version %d", (version) => {
    expect(() => define("todo.add", version)).toThrow(`Action.make: the version ${version} of todo.add`)
    expect(travels("todo.add", version)).toBe(false)
  })

  it("the last version is 2147483647", () => {
    expect(define("todo.add", 2 ** 31 - 1).definition.version).toBe(2147483647)
  })
})

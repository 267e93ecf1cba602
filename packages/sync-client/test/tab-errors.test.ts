/** Errors that a tab hears of from the tab that leads. */
import * as Core from "@synchrotron/sync-core"
import { Arbitrary, FastCheck, Schema } from "effect"
import { describe, expect, it } from "vitest"
import * as Client from "../src/Errors.ts"
import { decoder, encode } from "../src/tabs/errors.ts"

type ErrorSchema = Schema.Schema<Error, never> & (new () => Error)
const isErrorClass = (value: unknown): value is ErrorSchema =>
  typeof value === "function" && value.prototype instanceof Error && Schema.isSchema(value)

const exported: ReadonlyArray<unknown> = [...Object.values(Core), ...Object.values(Client)]
const classes = exported.filter(isErrorClass)

describe("an error between tabs", () => {
  it.each(classes.map((one) => [one.name, one] as const))("keeps its class: %s", (_name, Class) => {
    const [error] = FastCheck.sample(Arbitrary.make(Class), { numRuns: 1, seed: 1 })
    const heard = decoder([])(structuredClone(encode(error)))
    expect(heard).toBeInstanceOf(Class)
    expect(heard.message).toBe(error!.message)
  })

  it("is of one of all classes that there are", () => {
    expect(classes.length).toBeGreaterThanOrEqual(20)
  })
})

/** Who asks at the same time is answered together. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option } from "effect"
import { Batches } from "../../src/feed/Batches.ts"

const setUp = (options: { readonly sizeMax?: number; readonly lanes?: number } = {}) =>
  Effect.gen(function* () {
    const seen: Array<ReadonlyArray<number>> = []
    const gate = yield* Deferred.make<void, string>()
    const batches = new Batches({
      answer: (questions: ReadonlyArray<number>) =>
        Effect.suspend(() => {
          seen.push(questions)
          return Effect.as(
            Deferred.await(gate),
            questions.map((question) => question * 10)
          )
        }),
      sizeMax: options.sizeMax ?? 50,
      lanes: options.lanes ?? 1,
      runFork: Effect.runFork
    })
    const ask = (...questions: ReadonlyArray<number>) =>
      Effect.forEach(questions, (question) => Effect.fork(batches.ask(question)))
    return { seen, gate, batches, ask }
  })

const settle = Effect.repeatN(Effect.yieldNow(), 20)

describe("Batches", () => {
  it.effect("answers together what is asked in one moment, each with its own answer", () =>
    Effect.gen(function* () {
      const { ask, gate, seen } = yield* setUp()
      const fibers = yield* ask(1, 2, 3)
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Effect.forEach(fibers, Fiber.join)).toEqual([10, 20, 30])
      expect(seen).toEqual([[1, 2, 3]])
    })
  )

  it.effect("I9: takes so many at once, in so many lanes, and what comes meanwhile goes next", () =>
    Effect.gen(function* () {
      const { ask, gate, seen } = yield* setUp({ sizeMax: 2, lanes: 1 })
      const first = yield* ask(1, 2, 3)
      yield* settle
      const second = yield* ask(4)
      yield* settle
      expect(seen).toEqual([[1, 2]])
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Effect.forEach([...first, ...second], Fiber.join)).toEqual([10, 20, 30, 40])
      expect(seen).toEqual([
        [1, 2],
        [3, 4]
      ])
    })
  )

  it.effect("does not ask for who has gone, and tells all of a failure", () =>
    Effect.gen(function* () {
      const { ask, gate, seen } = yield* setUp({ sizeMax: 2 })
      const [one, two, gone] = yield* ask(1, 2, 3)
      yield* settle
      yield* Fiber.interrupt(gone!)
      yield* Deferred.fail(gate, "broken")
      expect(yield* Fiber.await(one!)).toEqual(Exit.fail("broken"))
      expect(yield* Fiber.await(two!)).toEqual(Exit.fail("broken"))
      yield* settle
      expect(seen).toEqual([[1, 2]])
      const [next] = yield* ask(4)
      yield* Fiber.await(next!)
      expect(seen).toEqual([[1, 2], [4]])
    })
  )

  it.effect("goes on answering, whenever who asked went away", () =>
    Effect.gen(function* () {
      // A fiber lets others run after so many steps; what goes before puts that between any two of the question's.
      for (let before = 0; before < 30; before++)
        for (let turns = 0; turns < 5; turns++) {
          const { ask, batches, gate } = yield* setUp()
          yield* Deferred.succeed(gate, undefined)
          let asking: Effect.Effect<unknown, string> = batches.ask(1)
          for (let i = 0; i < before; i++) asking = Effect.zipRight(Effect.void, asking)
          const gone = yield* Effect.fork(Effect.withMaxOpsBeforeYield(asking, 30))
          yield* Effect.repeatN(Effect.yieldNow(), turns)
          yield* Fiber.interrupt(gone)
          const [next] = yield* ask(2)
          yield* settle
          expect(yield* Fiber.poll(next!), `${before} steps before, ${turns} turns`).toEqual(
            Option.some(Exit.succeed(20))
          )
        }
    })
  )
})

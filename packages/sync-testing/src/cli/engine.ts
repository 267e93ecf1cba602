/** What the command runs on. Tests give it another. */
import { Context, Effect, Layer, type Scope } from "effect"
import { type Canary, canaries } from "../canaries.ts"
import { type Arena, type Database, openArena } from "../run/Arena.ts"
import type { Scenario } from "../Scenario.ts"
import { CommandFailed, sentence } from "./failure.ts"

export class Engine extends Context.Tag("sync-testing/cli/Engine")<
  Engine,
  {
    readonly openArena: (options: { readonly scenario: Scenario; readonly db: Database }) => Promise<Arena>
    readonly canaries: ReadonlyArray<Canary>
    /** Aborted when whoever started the command wants it to come to an end. */
    readonly stop: AbortSignal
  }
>() {}

export const layer = (stop: AbortSignal): Layer.Layer<Engine> =>
  Layer.succeed(Engine, { openArena, canaries, stop })

/** Databases that are closed with the scope. */
export const arenaOf = (
  scenario: Scenario,
  db: Database
): Effect.Effect<Arena, CommandFailed, Engine | Scope.Scope> =>
  Effect.acquireRelease(
    Effect.flatMap(Engine, (engine) =>
      Effect.tryPromise({
        try: () => engine.openArena({ scenario, db }),
        catch: (cause) => new CommandFailed({ message: `The databases cannot be set up: ${sentence(cause)}` })
      })
    ),
    (arena) => Effect.promise(() => arena.close())
  )

/** The planted bug of this name. */
export const canaryOf = Effect.fn("engine.canaryOf")(function* (name: string) {
  const { canaries } = yield* Engine
  const canary = canaries.find((planted) => planted.name === name)
  if (canary !== undefined) return canary
  const names = canaries.map((planted) => planted.name).join(", ")
  return yield* new CommandFailed({
    message: `There is no planted bug ${name}. There are: ${names}. To read about them: --canary list`
  })
})

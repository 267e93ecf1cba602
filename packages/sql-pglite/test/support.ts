import * as Reactivity from "@effect/experimental/Reactivity"
import { PgliteClient, type PgliteClientOptions, type PgliteSqlClient } from "@synchrotron/sql-pglite"
import { Effect, Exit, Scope } from "effect"
import { testImage } from "../../../test/image.ts"

export { testImage }

export interface TestClient {
  readonly sql: PgliteSqlClient
  readonly close: () => Promise<void>
}

export const openClient = async (options: PgliteClientOptions = {}): Promise<TestClient> => {
  const prepared = await testImage()
  return Effect.runPromise(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const sql = yield* PgliteClient.make({ image: prepared, ...options }).pipe(
        Scope.extend(scope),
        Effect.provide(Reactivity.layer)
      )
      return { sql, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
    })
  )
}

export const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)

/** The error that the effect must fail with (a defect or a success rejects). */
export const failure = <A, E>(effect: Effect.Effect<A, E>): Promise<E> =>
  Effect.runPromise(Effect.flip(effect))

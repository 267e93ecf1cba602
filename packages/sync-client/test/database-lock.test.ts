/** One owner for each browser database, with a stand-in for the browser's Web Locks. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { afterEach, vi } from "vitest"
import * as DatabaseLock from "../src/DatabaseLock.ts"

/** As `navigator.locks`, for exclusive locks with an abort signal. */
const webLocks = () => {
  const tails = new Map<string, Promise<unknown>>()
  return {
    request: (name: string, { signal }: { signal: AbortSignal }, use: () => Promise<unknown>) => {
      const before = tails.get(name) ?? Promise.resolve()
      const done = new Promise<unknown>((resolve, reject) => {
        let granted = false
        signal.addEventListener("abort", () => granted || reject(signal.reason))
        before.then(() => {
          if (signal.aborted) return
          granted = true
          resolve(use())
        })
      })
      tails.set(
        name,
        done.catch(() => before)
      )
      return done
    }
  }
}

afterEach(() => {
  vi.unstubAllGlobals()
})

const take = (dataDir: string) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Scope.extend(DatabaseLock.acquire(dataDir), scope)
    return Scope.close(scope, Exit.void)
  })

describe("DatabaseLock", () => {
  it.live("refuses a second owner, and lets the next one in when the first has gone", () =>
    Effect.gen(function* () {
      vi.stubGlobal("navigator", { locks: webLocks() })
      const release = yield* take("idb://a")
      yield* take("idb://b")
      expect(yield* Effect.flip(take("idb://a"))).toMatchObject({ _tag: "DatabaseInUse", dataDir: "idb://a" })
      // A page that reloads: the lock comes free while the next one waits.
      const next = yield* Effect.fork(take("idb://a"))
      yield* Effect.sleep(50)
      yield* release
      yield* next
    })
  )

  it.live("does nothing where it has nothing to do", () =>
    Effect.gen(function* () {
      yield* take("idb://a")
      yield* take("idb://a")
      vi.stubGlobal("navigator", { locks: webLocks() })
      yield* take("memory://")
      yield* take("memory://")
    })
  )
})

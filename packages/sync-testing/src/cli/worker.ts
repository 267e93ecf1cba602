/** A child process that runs its share of a batch. It is told what by one message, and ends when its parent does. */
import { Effect } from "effect"
import { type Batch, runShare, type Share } from "./batch.ts"
import { arenaOf, canaryOf, layer } from "./engine.ts"
import { sentence } from "./failure.ts"
import { loadScenario } from "./scenarios.ts"
import type { Outcome } from "./totals.ts"

export type ToWorker = { readonly batch: Batch; readonly share: Share } | "stop"

export type FromWorker =
  | { readonly _tag: "outcome"; readonly outcome: Outcome }
  | { readonly _tag: "failed"; readonly message: string }
  | { readonly _tag: "done" }

const stop = new AbortController()
const send = (message: FromWorker) =>
  new Promise<void>((resolve, reject) =>
    process.send!(message, (error: Error | null) => (error ? reject(error) : resolve()))
  )

const run = (batch: Batch, share: Share) =>
  Effect.gen(function* () {
    const scenario = yield* loadScenario(batch.scenario)
    const canary = batch.canary === null ? undefined : yield* canaryOf(batch.canary)
    const arena = yield* arenaOf(scenario, batch.db)
    yield* Effect.tryPromise({
      try: () =>
        runShare({ arena, scenario, canary }, batch, share, {
          signal: stop.signal,
          onOutcome: (outcome) => void send({ _tag: "outcome", outcome })
        }),
      catch: (cause) => cause
    })
  }).pipe(Effect.scoped, Effect.provide(layer(stop.signal)))

const begin = async (batch: Batch, share: Share) => {
  const end = await Effect.runPromise(
    run(batch, share).pipe(
      Effect.match({
        onFailure: (error): FromWorker => ({ _tag: "failed", message: sentence(error) }),
        onSuccess: (): FromWorker => ({ _tag: "done" })
      }),
      Effect.catchAllDefect((defect) =>
        Effect.succeed<FromWorker>({ _tag: "failed", message: sentence(defect) })
      )
    )
  )
  await send(end)
  process.exit(0)
}

// A terminal signals every process at once: the parent decides when this one ends.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined)
process.on("disconnect", () => process.exit(1))
process.on("message", (message: ToWorker) => {
  if (message === "stop") stop.abort()
  else void begin(message.batch, message.share)
})

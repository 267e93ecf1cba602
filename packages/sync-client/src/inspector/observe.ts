/** Lets a {@link History} see what a session does, and an inspector disturb its network, without the session's knowing. */
import type { SqlClient } from "@effect/sql"
import { Inspect, type Protocol, type RecordId, type Replica } from "@synchrotron/sync-core"
import { Cause, Clock, Effect, Exit } from "effect"
import { Offline } from "../Errors.ts"
import type { LivePath } from "../LivePath.ts"
import type { Transport } from "../Transport.ts"
import type { History } from "./History.ts"

export const observeReplica = (
  replica: Replica.Replica,
  sql: SqlClient.SqlClient,
  history: History
): Replica.Replica => ({
  ...replica,
  receive: (request, response) =>
    Effect.gen(function* () {
      const startMs = yield* Clock.currentTimeMillis
      const patches = history.isInspected(startMs) ? yield* patchesOf(sql, response) : null
      const exit = yield* Effect.exit(replica.receive(request, response))
      const nowMs = yield* Clock.currentTimeMillis
      if (Exit.isSuccess(exit))
        history.received(request, response, exit.value, { nowMs, tookMs: nowMs - startMs, patches })
      else history.failed(request, failureOf(exit), nowMs)
      return yield* exit
    }),
  follow: (message) =>
    Effect.gen(function* () {
      const startMs = yield* Clock.currentTimeMillis
      const followed = yield* replica.follow(message)
      const nowMs = yield* Clock.currentTimeMillis
      if (followed.received !== null && message.answer !== null)
        history.followed(message.answer, followed.received, { nowMs, tookMs: nowMs - startMs })
      return followed
    }),
  restamp: (serverTimeMs) =>
    Effect.gen(function* () {
      yield* replica.restamp(serverTimeMs)
      history.replayed((yield* Effect.orElseSucceed(replica.pending, () => [])).map(({ id }) => id))
    })
})

/** As they are before the verdicts take them away. To see them is no reason to fail. */
const patchesOf = (sql: SqlClient.SqlClient, { verdicts }: Protocol.SyncResponse) => {
  const ids: ReadonlyArray<RecordId> = verdicts.flatMap((verdict) => ("hlc" in verdict ? [verdict.id] : []))
  return ids.length === 0 ? Effect.succeed(null) : Effect.orElseSucceed(Inspect.patches(sql, ids), () => null)
}

export const observeTransport = (transport: Transport, history: History): Transport => ({
  sync: (request) =>
    Effect.gen(function* () {
      history.begun(request, yield* Clock.currentTimeMillis)
      if (history.network.delayMs > 0) yield* Effect.sleep(history.network.delayMs)
      if (history.network.failing)
        return yield* new Offline({ message: "The inspector lets every request fail." })
      const response = yield* transport.sync(request)
      history.answered(request, response, yield* Clock.currentTimeMillis)
      return response
    }).pipe(
      Effect.onExit((exit) =>
        Effect.map(Clock.currentTimeMillis, (nowMs) => {
          if (Exit.isSuccess(exit)) return
          if (Exit.isInterrupted(exit)) history.abandoned(request, nowMs)
          else history.failed(request, failureOf(exit), nowMs)
        })
      )
    )
})

export const observeLivePath = (livePath: LivePath, history: History): LivePath => ({
  run: (listener) =>
    livePath.run({
      ...listener,
      message: (message) =>
        Effect.suspend(() => {
          const { delayMs, failing } = history.network
          // It is missed, as the network is; what it had comes with a sync.
          if (failing) return listener.missed
          return delayMs > 0
            ? Effect.zipRight(Effect.sleep(delayMs), listener.message(message))
            : listener.message(message)
        })
    })
})

const failureOf = (exit: Exit.Failure<unknown, unknown>): unknown => Cause.squash(exit.cause)

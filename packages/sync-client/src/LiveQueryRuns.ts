/** Runs live queries on a database: all that one burst of commits made due, on one state of it. */
import type { SqlClient } from "@effect/sql"
import { Effect, Queue, type Scope } from "effect"
import * as Limits from "./Limits.ts"
import { type Entry, fail, type LiveQueries, show } from "./LiveQuery.ts"
import * as QueryTables from "./QueryTables.ts"
import { type Query, snapshot } from "./Reader.ts"
import { shareRows } from "./share.ts"

/** Runs the queries for the life of the scope; at its end they are closed. */
export const runLiveQueries = (
  live: LiveQueries,
  { client, synced }: { readonly client: SqlClient.SqlClient; readonly synced: ReadonlySet<string> }
): Effect.Effect<void, never, Scope.Scope> => {
  const worker = Effect.gen(function* () {
    const wakeups = yield* Queue.sliding<void>(1)
    live.drive(() => void wakeups.unsafeOffer(undefined))
    let functions: QueryTables.FunctionNames | undefined
    const round = Effect.gen(function* () {
      yield* Queue.take(wakeups)
      if (live.due().length === 0) return
      live.running = true
      const tell: Array<() => void> = []
      yield* snapshot(client, (query) =>
        Effect.gen(function* () {
          functions ??= yield* QueryTables.functionNames(query)
          // What is due is found here, where nothing can commit any more, and again: that of a commit just before may be
          // known a moment later.
          for (let due = live.due(); due.length > 0; due = live.due())
            for (const entry of due) tell.push(yield* run(entry, query, { synced, functions }))
        })
      ).pipe(
        Effect.catchAll((error) =>
          Effect.sync(() => {
            for (const entry of live.due()) tell.push(() => fail(entry, error))
          })
        ),
        Effect.ensuring(
          Effect.sync(() => {
            for (const one of tell) one()
            live.running = false
            live.onRound()
          })
        )
      )
      yield* Effect.sleep(Limits.liveQueryIntervalMs)
    }).pipe(Effect.catchAllDefect((defect) => Effect.logError("Live queries could not run", defect)))
    yield* Effect.forever(round)
  })
  return Effect.zipRight(
    Effect.addFinalizer(() => Effect.sync(() => live.close())),
    Effect.asVoid(Effect.forkScoped(worker))
  )
}

/** Gives the function that tells what the query gave. */
const run = (
  entry: Entry,
  query: Query,
  known: { readonly synced: ReadonlySet<string>; readonly functions: QueryTables.FunctionNames }
): Effect.Effect<() => void> =>
  Effect.gen(function* () {
    // Before the query runs: what is committed meanwhile makes it stale again.
    entry.stale = false
    const result = yield* Effect.either(query(entry.sql, entry.params))
    if (result._tag === "Left") return () => fail(entry, result.left)
    entry.tables ??= yield* QueryTables.find(query, { sql: entry.sql, params: entry.params, ...known })
    return () => show(entry, (before) => shareRows(before, result.right))
  })

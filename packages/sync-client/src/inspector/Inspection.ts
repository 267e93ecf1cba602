/** Answers an inspector's questions, where the database is. */
import type { SqlClient, SqlError } from "@effect/sql"
import { Inspect, type NotInJournal, type RecordId, type Replica, type SyncApp } from "@synchrotron/sync-core"
import { Clock, Effect } from "effect"
import { ClientClosed } from "../Errors.ts"
import { type Confirmed, type History, historyLimits } from "./History.ts"
import type { Answer, Question, RecordDetail, RecordSummary, Snapshot } from "./Snapshot.ts"

export interface Options {
  readonly app: SyncApp.SyncApp
  readonly userId: string
  readonly replica: Replica.Replica
  readonly sql: SqlClient.SqlClient
  readonly history: History
}

export type AskError = NotInJournal | SqlError.SqlError | ClientClosed
export type Ask = <Q extends Question>(question: Q) => Effect.Effect<Answer<Q>, AskError>

export const make = (options: Options): Ask => {
  const { app, history, replica, sql, userId } = options

  const snapshot = (seen: Extract<Question, { _tag: "Snapshot" }>["seen"]) =>
    Effect.gen(function* () {
      history.asked(yield* Clock.currentTimeMillis)
      if (seen?.epoch === history.epoch) {
        yield* Effect.timeoutOption(history.after(seen.version), historyLimits.holdMs)
        // What comes together is told together.
        yield* Effect.sleep(historyLimits.snapshotIntervalMs)
      }
      // Before the reading: what changes during it is told next time.
      const { epoch, version } = history
      const { journal, kept, keptTotal } = yield* Inspect.records(sql, historyLimits.recordsMax)
      const { cursors, held, seq } = yield* replica.cursors
      const records = merge(kept, journal, history)
      const shown = records.slice(-historyLimits.recordsMax)
      return {
        epoch,
        version,
        clientId: replica.clientId,
        userId,
        app: app.name,
        records: shown,
        recordsBefore: records.length - shown.length + keptTotal - kept.length,
        rounds: history.rounds.map((round) => ({ ...round, verdicts: { ...round.verdicts } })),
        cursors: {
          seq,
          audiences: held
            .slice(0, historyLimits.audiencesMax)
            .map((audience) => ({ audience, cursor: cursors[audience] ?? null })),
          audiencesTotal: held.length
        },
        network: history.network
      } satisfies Snapshot
    })

  const detail = (id: RecordId): Effect.Effect<RecordDetail | null, AskError> =>
    Effect.gen(function* () {
      const kept = yield* Inspect.record(sql, id)
      if (kept !== null) {
        const { args, patches, patchesTotal } = kept
        return { args: { value: args }, patches, patchesTotal }
      }
      const known = history.confirmed.get(id)
      if (known === undefined) return null
      const replayed = (yield* Inspect.patches(sql, [id])).get(id)
      if (replayed === undefined) return known.detail ?? { args: null, patches: null, patchesTotal: 0 }
      return { args: known.detail?.args ?? null, ...replayed }
    })

  const answer = (question: Question): Effect.Effect<unknown, AskError> => {
    switch (question._tag) {
      case "Snapshot":
        return snapshot(question.seen)
      case "Keep":
        return Effect.map(Clock.currentTimeMillis, (nowMs) => history.asked(nowMs))
      case "Record":
        return detail(question.id)
      case "StepBack":
        return Inspect.stepBack(sql, {
          to: question.to,
          rowsMax: question.rowsMax,
          stamps: new Map([...history.confirmed.values()].map(({ hlc, id }) => [id, hlc]))
        })
      case "Network":
        return Effect.sync(() => history.setNetwork(question.network))
    }
  }
  // A reading may be under way when the database is closed.
  return ((question: Question) =>
    Effect.mapError(answer(question), (error) => (history.closed ? new ClientClosed() : error))) as Ask
}

/** What the database keeps and what the history remembers, in HLC order. The database is right where both know a record. */
const merge = (
  kept: ReadonlyArray<Inspect.Kept>,
  journal: ReadonlyArray<Inspect.Journaled>,
  { confirmed, refusedAt, replays }: Pick<History, "confirmed" | "refusedAt" | "replays">
): ReadonlyArray<RecordSummary> => {
  const journaled = new Map(journal.map(({ id, patches }) => [id, patches]))
  const summaries = new Map<RecordId, RecordSummary>()
  for (const record of confirmed.values()) summaries.set(record.id, summaryOf(record, journaled))
  for (const { error, hlc, id, name, patches, status, version } of kept)
    summaries.set(id, {
      id,
      name,
      version,
      hlc,
      state: status,
      own: true,
      userId: null,
      replays: replays.get(id) ?? 0,
      patches,
      judgedAt: refusedAt.get(id) ?? null,
      error,
      steppable: status === "pending"
    })
  return [...summaries.values()].sort((a, b) => (a.hlc < b.hlc ? -1 : a.hlc > b.hlc ? 1 : 0))
}

const summaryOf = (record: Confirmed, journaled: ReadonlyMap<RecordId, number>): RecordSummary => {
  const { detail, ...rest } = record
  return {
    ...rest,
    patches: journaled.get(record.id) ?? detail?.patchesTotal ?? null,
    error: null,
    steppable: journaled.has(record.id)
  }
}

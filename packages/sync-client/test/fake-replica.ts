/** A replica without a database: a queue of ids, for the session's tests. */
import { Live, type Protocol, type RecordId, type Replica, type Seq } from "@synchrotron/sync-core"
import { Clock, Effect, Stream } from "effect"

export class FakeReplica {
  queue: Array<RecordId> = []
  seq = 0
  /** Records in one request. */
  recordsMax = 1000
  received = 0
  restampedTo: number | undefined
  cursorsForgotten = 0
  load: { position: null; rowsDone: number; rowsTotal: number } | null = null
  private ids = 0

  execute(): RecordId {
    const id = `00000000-0000-4000-8000-${String(++this.ids).padStart(12, "0")}` as RecordId
    this.queue.push(id)
    return id
  }

  readonly request = Effect.map(
    Clock.currentTimeMillis,
    (clientTimeMs) =>
      ({
        clientTimeMs,
        records: this.queue.slice(0, this.recordsMax).map((id) => ({ id, args: null }))
      }) as unknown as Protocol.SyncRequest
  )

  readonly service = {
    request: this.request,
    receive: (_request: Protocol.SyncRequest, response: Protocol.SyncResponse) =>
      Effect.sync(() => {
        this.received++
        this.seq = response.seq
        const judged = new Set(response.verdicts.map(({ id }) => id))
        this.queue = this.queue.filter((id) => !judged.has(id))
        return { path: "rows", rows: 0, replayed: 0, seq: response.seq, load: null }
      }),
    follow: (message: Live.Message) =>
      Effect.sync(() => {
        const cursors = { seq: this.seq as Seq, cursors: {}, held: [], load: this.load }
        const decision = Live.decide({ cursors, pending: this.queue.length > 0 }, message)
        if (decision !== "apply") return { decision, received: null }
        this.seq = message.seq
        return {
          decision,
          received: { path: "rows", rows: 0, replayed: 0, seq: message.seq, load: null }
        }
      }),
    restamp: (serverTimeMs: number) =>
      Effect.sync(() => {
        this.restampedTo = serverTimeMs
      }),
    forgetCursors: Effect.sync(() => {
      this.cursorsForgotten++
    }),
    pending: Effect.sync(() => this.queue.map((id) => ({ id }))),
    rejected: Effect.succeed([]),
    changes: Stream.empty,
    clockOffsetMs: Effect.succeed(0),
    cursors: Effect.sync(() => ({ seq: this.seq as Seq, cursors: {}, held: [], loaded: [], load: this.load }))
  } as unknown as Replica.Replica
}

/** Judges everything that was sent. */
export const answerTo = (request: Protocol.SyncRequest, seq = 1) =>
  ({
    seq,
    verdicts: request.records.map(({ id }) => ({ id, outcome: "applied" })),
    notices: []
  }) as unknown as Protocol.SyncResponse

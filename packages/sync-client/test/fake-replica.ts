/** A replica without a database: a queue of ids, for the session's tests. */
import {
  Live,
  type Protocol,
  type RecordId,
  type Replica,
  RowsInvalid,
  type Seq
} from "@synchrotron/sync-core"
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
  /** The next answer leaves out what some record crosses. */
  stale = false
  /** Whether the rows of loads do not fit the tables. */
  unfit = false
  /** What answers have been received, and how many requests had been sent then, if it is told. */
  requested = () => 0
  readonly receivedAt: Array<number> = []
  private position: Protocol.Position | undefined
  private readonly sentInLoad = new Set<RecordId>()
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
        ...(this.position === undefined ? {} : { position: this.position }),
        records: this.queue
          .filter((id) => this.position === undefined || !this.sentInLoad.has(id))
          .slice(0, this.recordsMax)
          .map((id) => ({ id, args: null }))
      }) as unknown as Protocol.SyncRequest
  )

  readonly service = {
    request: this.request,
    following: (request: Protocol.SyncRequest, response: Protocol.SyncResponse) =>
      Effect.sync(() =>
        response.next !== null &&
        this.queue.every(
          (id) => this.sentInLoad.has(id) || request.records.some((record) => record.id === id)
        )
          ? { ...request, records: [], position: response.next }
          : null
      ),
    receive: (request: Protocol.SyncRequest, response: Protocol.SyncResponse) =>
      // Long enough for a request that is sent meanwhile.
      Effect.flatMap(Effect.repeatN(Effect.yieldNow(), 20), (): Effect.Effect<unknown, RowsInvalid> => {
        this.received++
        this.receivedAt.push(this.requested())
        if (this.stale) {
          this.stale = false
          return Effect.succeed({ path: "stale", rows: 0, replayed: 0, seq: this.seq, load: null })
        }
        this.position = response.next ?? undefined
        if (response.next !== null) {
          for (const { id } of request.records) this.sentInLoad.add(id)
          this.load = { position: null, rowsDone: (this.load?.rowsDone ?? 0) + 10, rowsTotal: 30 }
          return Effect.succeed({
            path: "chunk",
            rows: 10,
            replayed: 0,
            seq: response.seq,
            load: this.load
          })
        }
        this.load = null
        if (this.unfit) return new RowsInvalid({ reason: "a value is missing" })
        this.seq = response.seq
        const judged = new Set(response.verdicts.map(({ id }) => id))
        this.queue = this.queue.filter((id) => !judged.has(id))
        return Effect.succeed({ path: "rows", rows: 0, replayed: 0, seq: response.seq, load: null })
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
    notices: [],
    next: null
  }) as unknown as Protocol.SyncResponse

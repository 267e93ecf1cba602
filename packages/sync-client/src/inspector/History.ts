/**
 * What a client remembers of its session in memory, for inspectors: the database forgets confirmed records.
 *
 * | kept                    | always                                                  | while somebody inspects |
 * |-------------------------|---------------------------------------------------------|-------------------------|
 * | a confirmed record      | id, name, version, stamp, verdict and its time, replays | args, patches           |
 * | a request               | times, counts, path, failure                            | bytes                   |
 *
 * Always is an object for each request and each verdict, in rings. Somebody inspects who has asked within `leaseMs`: a tab that
 * dies need not say so.
 */
import {
  type ClientId,
  Hlc,
  Inspect,
  type Live,
  Protocol,
  type RecordId,
  type Replica
} from "@synchrotron/sync-core"
import { Effect } from "effect"
import { ClientClosed } from "../Errors.ts"
import { tagOf } from "../SyncFailure.ts"
import type { Network, RecordDetail, RecordSummary, Round, Verdict } from "./Snapshot.ts"

export const historyLimits = {
  /** Confirmed records that are remembered, and records that a snapshot has. */
  recordsMax: 500,
  /** Requests and messages that are remembered. */
  roundsMax: 200,
  /** Records whose replays are counted. */
  replaysMax: 10_000,
  /** Audiences that a snapshot names. */
  audiencesMax: 200,
  /** Longest delay of a request. */
  delayMsMax: 60_000,
  /** How long a question for news waits for some. */
  holdMs: 15_000,
  /** How long after a question somebody counts as inspecting. */
  leaseMs: 45_000,
  /** Least time between two snapshots that differ. */
  snapshotIntervalMs: 100
} as const

type OpenRound = { -readonly [K in keyof Round]: Round[K] } & { readonly verdicts: Record<Verdict, number> }
/** A confirmed record, with what was noted of it. */
export type Confirmed = Omit<RecordSummary, "steppable" | "patches" | "replays" | "error"> & {
  readonly replays: number
  readonly detail: RecordDetail | null
}
type Sent = Pick<Protocol.PendingRecord, "name" | "version" | "hlc"> & { readonly args: RecordDetail["args"] }

export class History {
  readonly epoch: string = crypto.randomUUID()
  version = 0
  closed = false
  network: Network = { delayMs: 0, failing: false }
  /** By id, the one that was heard of first being the first. */
  readonly confirmed = new Map<RecordId, Confirmed>()
  readonly rounds: Array<OpenRound> = []
  readonly replays = new Map<RecordId, number>()
  /** When refusals came. */
  readonly refusedAt = new Map<RecordId, number>()
  private readonly sent = new Map<RecordId, Sent>()
  private readonly byRequest = new WeakMap<Protocol.SyncRequest, OpenRound>()
  private readonly waiting = new Set<(now: Effect.Effect<void, ClientClosed>) => void>()
  private roundCount = 0
  private askedAt = Number.NEGATIVE_INFINITY
  private readonly clientId: ClientId

  constructor(clientId: ClientId) {
    this.clientId = clientId
  }

  /** Somebody inspects, at `nowMs`. */
  asked(nowMs: number): void {
    this.askedAt = nowMs
  }

  isInspected(nowMs: number): boolean {
    return nowMs - this.askedAt < historyLimits.leaseMs
  }

  /** Something is new. */
  changed(): void {
    this.version++
    for (const resume of this.waiting) resume(Effect.void)
    this.waiting.clear()
  }

  /** Waits until something is newer than `version`. */
  after(version: number): Effect.Effect<void, ClientClosed> {
    return Effect.async<void, ClientClosed>((resume) => {
      if (this.closed) return resume(Effect.fail(new ClientClosed()))
      if (this.version > version) return resume(Effect.void)
      this.waiting.add(resume)
      return Effect.sync(() => this.waiting.delete(resume))
    })
  }

  close(): void {
    this.closed = true
    for (const resume of this.waiting) resume(Effect.fail(new ClientClosed()))
    this.waiting.clear()
  }

  setNetwork({ delayMs, failing }: Network): void {
    this.network = {
      delayMs: Math.min(historyLimits.delayMsMax, Math.max(0, Math.round(delayMs) || 0)),
      failing
    }
    this.changed()
  }

  begun(request: Protocol.SyncRequest, nowMs: number): void {
    const noting = this.isInspected(nowMs)
    for (const { args, hlc, id, name, version } of request.records)
      this.sent.set(id, { name, version, hlc, args: noting ? { value: args } : null })
    const round = this.addRound("sync", nowMs)
    round.sent = request.records.length
    if (noting) round.bytesUp = Protocol.jsonBytes(JSON.stringify(request))
    this.byRequest.set(request, round)
    this.changed()
  }

  answered(request: Protocol.SyncRequest, response: Protocol.SyncResponse, nowMs: number): void {
    const round = this.byRequest.get(request)
    if (round === undefined) return
    round.answeredMs = nowMs - round.startedAt
    if (this.isInspected(nowMs)) round.bytesDown = bytesOf(response)
    this.changed()
  }

  failed(request: Protocol.SyncRequest, failure: unknown, nowMs: number): void {
    const round = this.byRequest.get(request)
    if (round === undefined) return
    round.answeredMs ??= nowMs - round.startedAt
    round.state = "failed"
    round.error = {
      tag: tagOf(failure),
      message: failure instanceof Error ? failure.message : String(failure)
    }
    this.changed()
  }

  abandoned(request: Protocol.SyncRequest, nowMs: number): void {
    const round = this.byRequest.get(request)
    if (round === undefined) return
    round.answeredMs = nowMs - round.startedAt
    round.state = "abandoned"
    this.changed()
  }

  /** @param patches of the records that were judged, as this client had them; null when nobody looked */
  received(
    request: Protocol.SyncRequest,
    response: Protocol.SyncResponse,
    received: Replica.Received,
    { nowMs, patches, tookMs }: Applied
  ): void {
    const round = this.byRequest.get(request)
    const isApplied = !["stale", "chunk", "restarted"].includes(received.path)
    if (round !== undefined) {
      note(round, received, response, tookMs)
      if (isApplied) for (const { outcome } of response.verdicts) round.verdicts[outcome]++
    }
    if (isApplied) {
      this.replayed(received.order ?? [])
      for (const verdict of response.verdicts) this.judge(verdict, patches, nowMs)
      for (const { id } of response.notices) this.refuse(id, nowMs)
      for (const record of response.later) this.addLater(record, nowMs)
    }
    this.changed()
  }

  /** A message of the live path was applied. */
  followed(
    answer: NonNullable<Live.Message["answer"]>,
    received: Replica.Received,
    applied: Omit<Applied, "patches">
  ) {
    const round = this.addRound("live", applied.nowMs - applied.tookMs)
    round.answeredMs = 0
    note(round, received, answer, applied.tookMs)
    for (const { id } of answer.notices) this.refuse(id, applied.nowMs)
    this.changed()
  }

  replayed(ids: ReadonlyArray<RecordId>): void {
    for (const id of ids) this.replays.set(id, (this.replays.get(id) ?? 0) + 1)
    trim(this.replays, historyLimits.replaysMax)
    for (const id of ids) {
      const known = this.confirmed.get(id)
      if (known !== undefined) this.confirmed.set(id, { ...known, replays: known.replays + 1 })
    }
  }

  private judge(verdict: Protocol.Verdict, patches: Applied["patches"], nowMs: number): void {
    const { id } = verdict
    const sent = this.sent.get(id)
    this.sent.delete(id)
    if ("error" in verdict) this.refuse(id, nowMs)
    if ("error" in verdict || sent === undefined) return
    const own = patches?.get(id) ?? { patches: [], patchesTotal: 0 }
    this.add({
      id,
      name: sent.name,
      version: sent.version,
      hlc: verdict.hlc,
      state: verdict.outcome === "changed" ? "changed" : "confirmed",
      own: true,
      userId: null,
      replays: this.replays.get(id) ?? 0,
      judgedAt: nowMs,
      detail: patches === null ? null : { args: sent.args, ...own }
    })
    this.replays.delete(id)
  }

  /** The database has it, until it is dismissed. */
  private refuse(id: RecordId, nowMs: number): void {
    this.confirmed.delete(id)
    this.refusedAt.set(id, nowMs)
    trim(this.refusedAt, historyLimits.recordsMax)
  }

  private addLater(record: Protocol.LaterRecord, nowMs: number): void {
    const { hlc, id, name, patches, userId, version } = record
    const own = Hlc.parts(hlc).node === this.clientId
    const known = this.confirmed.get(id)
    const detail = !this.isInspected(nowMs)
      ? (known?.detail ?? null)
      : {
          args: record.args === undefined ? null : { value: record.args },
          patches: patches.slice(0, Inspect.limits.patchesMax),
          patchesTotal: patches.length
        }
    if (known !== undefined) this.confirmed.set(id, { ...known, detail: known.detail ?? detail })
    else
      this.add({
        id,
        name,
        version,
        hlc,
        state: "confirmed",
        own,
        userId: own ? null : userId,
        replays: this.replays.get(id) ?? 0,
        judgedAt: nowMs,
        detail
      })
  }

  private add(record: Confirmed): void {
    this.confirmed.set(record.id, record)
    trim(this.confirmed, historyLimits.recordsMax)
  }

  private addRound(kind: Round["kind"], startedAt: number): OpenRound {
    const round = { ...emptyRound, verdicts: { ...noVerdicts }, n: ++this.roundCount, kind, startedAt }
    this.rounds.push(round)
    if (this.rounds.length > historyLimits.roundsMax) this.rounds.shift()
    return round
  }
}

interface Applied {
  readonly nowMs: number
  readonly tookMs: number
  readonly patches: ReadonlyMap<RecordId, Pick<Inspect.Detail, "patches" | "patchesTotal">> | null
}

const noVerdicts: Record<Verdict, number> = { applied: 0, changed: 0, rejected: 0, voided: 0 }

const emptyRound = {
  state: "running" as Round["state"],
  answeredMs: null as number | null,
  appliedMs: null as number | null,
  sent: 0,
  rows: 0,
  later: 0,
  path: null as Round["path"],
  replayed: 0,
  bytesUp: null as number | null,
  bytesDown: null as number | null,
  seq: null as number | null,
  error: null as Round["error"]
}

const note = (
  round: OpenRound,
  { path, replayed, seq }: Replica.Received,
  { later, tables }: Pick<Protocol.SyncResponse, "later" | "tables">,
  tookMs: number
): void => {
  round.state = "done"
  round.appliedMs = tookMs
  round.rows = Protocol.countRows(tables)
  round.later = later.length
  round.path = path
  round.replayed = replayed
  round.seq = seq
}

/** The texts of rows, which are most of a large answer, are not read. */
const bytesOf = ({ tables, ...rest }: Protocol.SyncResponse): number =>
  tables.reduce(
    (sum, { gone, rows }) => sum + rows.length + gone.reduce((bytes, key) => bytes + key.length + 3, 0),
    JSON.stringify(rest).length
  )

const trim = (map: Map<RecordId, unknown>, max: number): void => {
  for (const id of map.keys()) {
    if (map.size <= max) return
    map.delete(id)
  }
}

/** What a client remembers for inspectors, and how much of it. */
import { type ClientId, Hlc, type Protocol, type RecordId, type Replica } from "@synchrotron/sync-core"
import { describe, expect, it } from "vitest"
import { History, historyLimits } from "../src/inspector/History.ts"
import { uuid } from "./fixture.ts"

const me = uuid(1) as ClientId
const bob = uuid(2) as ClientId
const idOf = (n: number) => uuid(1000 + n) as RecordId
const stamp = (n: number, node = me) => Hlc.make({ ms: 1_000_000 + n, counter: 0 }, node)

const requestOf = (...ids: ReadonlyArray<number>) =>
  ({
    records: ids.map((n) => ({ id: idOf(n), name: "todo.add", version: 1, args: { n }, hlc: stamp(n) }))
  }) as unknown as Protocol.SyncRequest
const responseOf = (change: Partial<Protocol.SyncResponse>): Protocol.SyncResponse =>
  ({ verdicts: [], notices: [], tables: [], later: [], next: null, ...change }) as Protocol.SyncResponse
const applied = (...ids: ReadonlyArray<number>): Protocol.SyncResponse["verdicts"] =>
  ids.map((n) => ({ id: idOf(n), outcome: "applied", hlc: stamp(n) }))
const error = { class: "denied", message: "no" } as const

const rows = { path: "rows", rows: 0, replayed: 0, seq: 1, load: null } as Replica.Received
const apply = (
  history: History,
  request: Protocol.SyncRequest,
  change: Partial<Protocol.SyncResponse>,
  received: Partial<Replica.Received> = {}
) => {
  const response = responseOf(change)
  history.begun(request, 1)
  history.answered(request, response, 2)
  history.received(request, response, { ...rows, ...received }, { nowMs: 3, tookMs: 1, patches: null })
}

describe("the history", () => {
  it("I9: keeps the last confirmed records and the last requests, and no more", () => {
    const history = new History(me)
    const { recordsMax, roundsMax } = historyLimits
    for (let n = 0; n < recordsMax + 10; n++) apply(history, requestOf(n), { verdicts: applied(n) })
    expect(history.confirmed.size).toBe(recordsMax)
    expect(history.confirmed.has(idOf(9))).toBe(false)
    expect(history.confirmed.has(idOf(recordsMax + 9))).toBe(true)
    expect(history.rounds.length).toBe(roundsMax)
    expect(history.rounds.at(-1)!.n).toBe(recordsMax + 10)
    for (let n = 0; n < 2 * recordsMax; n++)
      apply(history, requestOf(n), { verdicts: [{ id: idOf(n), outcome: "rejected", error }] })
    expect(history.refusedAt.size).toBe(recordsMax)
    for (let n = 0; n < 11; n++)
      history.replayed(Array.from({ length: 1000 }, (_, i) => idOf(100_000 + n * 1000 + i)))
    expect(history.replays.size).toBe(historyLimits.replaysMax)
  })

  it("forgets that a record was confirmed when it is voided, for the database has it", () => {
    const history = new History(me)
    apply(history, requestOf(1, 2), { verdicts: applied(1, 2) })
    const notice = { id: idOf(1), name: "todo.add", version: 1, args: {}, hlc: stamp(1), error }
    apply(history, requestOf(), { notices: [notice] as unknown as Protocol.SyncResponse["notices"] })
    expect([...history.confirmed.keys()]).toEqual([idOf(2)])
    expect(history.refusedAt.get(idOf(1))).toBe(3)
  })

  it("knows records of others that were crossed, and how often each was replayed", () => {
    const history = new History(me)
    const later = (n: number, node: ClientId) => ({
      id: idOf(n),
      hlc: stamp(n, node),
      userId: node === me ? "ada" : "bob",
      name: "todo.add",
      version: 1,
      patches: []
    })
    const crossing = [later(5, bob), later(6, me)] as unknown as Protocol.SyncResponse["later"]
    const order = [idOf(4), idOf(5), idOf(6)]
    for (let n = 0; n < 3; n++) apply(history, requestOf(), { later: crossing }, { path: "merge", order })
    expect(history.confirmed.get(idOf(5))).toMatchObject({
      own: false,
      userId: "bob",
      replays: 3,
      detail: null
    })
    expect(history.confirmed.get(idOf(6))).toMatchObject({ own: true, userId: null, replays: 3 })
    apply(history, requestOf(4), { verdicts: applied(4) })
    expect(history.confirmed.get(idOf(4))).toMatchObject({ replays: 3, state: "confirmed" })
  })

  it("takes nothing from an answer that was not applied", () => {
    const history = new History(me)
    for (const path of ["stale", "chunk", "restarted"] as const)
      apply(history, requestOf(1), { verdicts: applied(1) }, { path })
    expect(history.confirmed.size).toBe(0)
    expect(history.rounds.map(({ path, verdicts }) => [path, verdicts.applied])).toEqual([
      ["stale", 0],
      ["chunk", 0],
      ["restarted", 0]
    ])
    apply(history, requestOf(1), { verdicts: applied(1) })
    expect(history.confirmed.size).toBe(1)
  })
})

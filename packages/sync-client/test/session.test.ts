/** The session with a clock that the test moves, a replica without a database and a scripted transport. */
import { describe, expect, it } from "@effect/vitest"
import { type Listener, Offline, Session, SessionState, type TransportError } from "@synchrotron/sync-client"
import { type Live, Protocol, type Seq } from "@synchrotron/sync-core"
import { Cause, Deferred, Effect, Exit, Fiber, Option, Scope, TestClock } from "effect"
import * as Observable from "../src/Observable.ts"
import * as Status from "../src/Status.ts"
import { answerTo, FakeReplica } from "./fake-replica.ts"

type Answer = (request: Protocol.SyncRequest) => Effect.Effect<Protocol.SyncResponse, TransportError>

const ok: Answer = (request) => Effect.succeed(answerTo(request))
const fail =
  (error: TransportError): Answer =>
  () =>
    Effect.fail(error)
const offline = fail(new Offline({ message: "no network" }))

const setUp = (
  options: { readonly paused?: boolean; readonly pollMs?: number; readonly pending?: number } = {}
) =>
  Effect.gen(function* () {
    const fake = new FakeReplica()
    for (let i = 0; i < (options.pending ?? 0); i++) fake.execute()
    const status = Status.make()
    const connectivity = Observable.make(true)
    const world = {
      fake,
      status,
      connectivity,
      requests: [] as Array<Protocol.SyncRequest>,
      atOnce: 0,
      atOnceMax: 0,
      answer: ok as Answer,
      listener: null as Listener | null
    }
    const session = yield* Session.make({
      replica: fake.service,
      livePath: {
        run: (listener) =>
          Effect.ensuring(
            Effect.sync(() => {
              world.listener = listener
            }).pipe(Effect.zipRight(Effect.never)),
            Effect.zipRight(
              listener.up(false),
              Effect.sync(() => {
                world.listener = null
              })
            )
          )
      },
      transport: {
        sync: (request) =>
          Effect.acquireUseRelease(
            Effect.sync(() => {
              world.requests.push(request)
              world.atOnceMax = Math.max(world.atOnceMax, ++world.atOnce)
            }),
            () => world.answer(request),
            () =>
              Effect.sync(() => {
                world.atOnce--
              })
          )
      },
      status,
      connectivity,
      settings: { ...SessionState.settings, pollMs: options.pollMs ?? 0 },
      paused: options.paused ?? false,
      onReceived: () => Effect.void
    })
    const execute = Effect.suspend(() => session.executed(fake.execute()))
    return Object.assign(world, { session, execute })
  })

/** Time that passes in steps, because one jump of the test clock wakes a sleeper once. */
const passing = (seconds: number) => Effect.repeatN(TestClock.adjust(5000), seconds / 5 - 1)

/** Lets the session's fiber do what it can do without time passing. */
const settle = TestClock.adjust(0)

describe("Session", () => {
  it.scoped("syncs at the start, after a commit with its company, and by polling", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pollMs: 5000 })
      yield* settle
      expect(world.requests.length).toBe(1)
      expect(world.status.get()).toMatchObject({ phase: "idle", firstSyncDone: true, seq: 1, error: null })
      yield* world.execute
      yield* world.execute
      expect(world.status.get().pending).toBe(2)
      expect(world.requests.length).toBe(1)
      yield* TestClock.adjust(SessionState.settings.commitDebounceMs)
      expect(world.requests.length).toBe(2)
      expect(world.requests[1]!.records.length).toBe(2)
      expect(world.status.get().pending).toBe(0)
      yield* TestClock.adjust(4999)
      expect(world.requests.length).toBe(2)
      yield* TestClock.adjust(1)
      expect(world.requests.length).toBe(3)
    })
  )

  it.scoped("asks again at once when an answer could not be applied, and tells nobody that it was", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pending: 1 })
      world.fake.stale = true
      const synced = yield* Effect.fork(world.session.sync)
      world.answer = (request) => Effect.delay(ok(request), 100)
      yield* TestClock.adjust(100)
      expect(world.fake.received).toBe(1)
      expect(yield* Fiber.poll(synced)).toEqual(Option.none())
      expect(world.status.get()).toMatchObject({ pending: 1, firstSyncDone: false, phase: "syncing" })
      yield* TestClock.adjust(100)
      expect(world.fake.received).toBe(2)
      yield* Fiber.join(synced)
      expect(world.status.get()).toMatchObject({ pending: 0, firstSyncDone: true, phase: "idle" })
    })
  )

  it.scoped("S1: one request at a time; what comes meanwhile goes in the next", () =>
    Effect.gen(function* () {
      const world = yield* setUp()
      yield* settle
      world.requests.length = 0
      world.answer = (request) => Effect.delay(ok(request), 100)
      const first = yield* Effect.fork(world.session.sync)
      yield* settle
      yield* world.execute
      const second = yield* Effect.fork(world.session.sync)
      yield* TestClock.adjust(150)
      expect(yield* Fiber.poll(first)).toMatchObject({ _tag: "Some" })
      // Its answer may be older than the second call, so that one waits for another request.
      expect(yield* Fiber.poll(second)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust(100)
      yield* Fiber.join(second)
      expect(world.requests.map(({ records }) => records.length)).toEqual([0, 1])
      expect(world.atOnceMax).toBe(1)
    })
  )

  it.scoped("sync does not take an answer that may be older than the call", () =>
    Effect.gen(function* () {
      const world = yield* setUp()
      yield* settle
      world.answer = (request) => Effect.delay(ok(request), 100)
      yield* world.session.poke
      yield* TestClock.adjust(SessionState.settings.commitDebounceMs)
      expect(world.requests.length).toBe(2)
      const sync = yield* Effect.fork(world.session.sync)
      yield* TestClock.adjust(100)
      expect(world.requests.length).toBe(3)
      expect(yield* Fiber.poll(sync)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust(100)
      yield* Fiber.join(sync)
    })
  )

  it.scoped("sends a long queue in several requests at once, and sync waits for all of it", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ paused: true, pending: 25 })
      world.fake.recordsMax = 10
      yield* world.session.resume
      yield* world.session.sync
      expect(world.requests.map(({ records }) => records.length)).toEqual([10, 10, 5])
      expect(world.status.get().pending).toBe(0)
    })
  )

  it.scoped("a poke is followed by a sync, many of them by one", () =>
    Effect.gen(function* () {
      const world = yield* setUp()
      yield* settle
      yield* Effect.repeatN(world.session.poke, 9)
      yield* TestClock.adjust(SessionState.settings.commitDebounceMs)
      expect(world.requests.length).toBe(2)
    })
  )

  it.scoped("does not spin when the server judges nothing", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pending: 3, pollMs: 5000 })
      world.answer = (request) => Effect.succeed({ ...answerTo(request), verdicts: [] })
      yield* passing(10)
      expect(world.requests.length).toBe(3)
    })
  )

  it.scoped("settled waits for what is under way, and asks for no more", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pending: 1 })
      world.answer = (request) => Effect.delay(ok(request), 100)
      yield* settle
      const settled = yield* Effect.fork(world.session.settled)
      yield* TestClock.adjust(100)
      yield* Fiber.join(settled)
      yield* TestClock.adjust(1000)
      expect(world.requests.length).toBe(1)

      // What is executed meanwhile goes in the next one.
      yield* Effect.fork(world.session.sync)
      yield* settle
      yield* world.execute
      const next = yield* Effect.fork(world.session.settled)
      yield* TestClock.adjust(1000)
      yield* Fiber.join(next)
      expect(world.requests.map(({ records }) => records.length)).toEqual([1, 0, 1])
    })
  )

  it.scoped("backs off, keeps everything, and recovers; settled waits through it", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pending: 1 })
      world.answer = offline
      const settled = yield* Effect.fork(world.session.settled)
      expect(yield* Effect.flip(world.session.sync)).toMatchObject({ _tag: "Offline" })
      const { error, online, phase, retryAt } = world.status.get()
      expect({ phase, online, error }).toMatchObject({
        phase: "waiting",
        online: false,
        error: { tag: "Offline", retryable: true }
      })
      expect(retryAt).toBeGreaterThanOrEqual(SessionState.settings.retryMsMin)
      yield* passing(900)
      const tries = world.requests.length
      // 30 s at most between two tries, 15 s at least once it is there.
      expect(tries).toBeGreaterThan(30)
      expect(tries).toBeLessThan(75)
      expect(world.status.get().pending).toBe(1)
      world.answer = ok
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(settled)
      expect(world.status.get()).toMatchObject({
        phase: "idle",
        online: true,
        pending: 0,
        error: null,
        retryAt: null
      })
    })
  )

  it.scoped("a commit, sync and coming online cut the wait", () =>
    Effect.gen(function* () {
      const world = yield* setUp()
      world.answer = offline
      yield* passing(120)
      const cut = (trigger: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function* () {
          const before = world.requests.length
          yield* Effect.ignore(trigger)
          yield* TestClock.adjust(SessionState.settings.retryMsMin)
          expect(world.requests.length).toBeGreaterThan(before)
        })
      yield* TestClock.adjust(600)
      yield* cut(world.execute)
      yield* cut(world.session.sync)
      yield* cut(
        Effect.sync(() => world.connectivity.set(false)).pipe(
          Effect.zipRight(settle),
          Effect.zipRight(
            Effect.sync(() => {
              expect(world.status.get().online).toBe(false)
              world.connectivity.set(true)
            })
          )
        )
      )
    })
  )

  it.scoped("keeps the server's retry-after", () =>
    Effect.gen(function* () {
      const world = yield* setUp()
      yield* settle
      world.answer = fail(new Protocol.Unavailable({ message: "restarting", retryAfterMs: 60_000 }))
      yield* Effect.exit(world.session.sync)
      expect(world.status.get()).toMatchObject({ phase: "waiting", online: true })
      const before = world.requests.length
      yield* world.execute
      yield* TestClock.adjust(59_999)
      expect(world.requests.length).toBe(before)
      yield* TestClock.adjust(1)
      expect(world.requests.length).toBe(before + 1)
    })
  )

  it.scoped("stops after a final failure until sync, online or resume", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pollMs: 1000, pending: 1 })
      const mismatch = new Protocol.SchemaMismatch({ message: "update", expected: "a", actual: "b" })
      world.answer = fail(mismatch)
      const settled = yield* Effect.flip(world.session.settled)
      expect(Cause.originalError(settled)).toBe(mismatch)
      expect(world.status.get()).toMatchObject({
        phase: "stopped",
        retryAt: null,
        error: { tag: "SchemaMismatch", message: "update", retryable: false }
      })
      const before = world.requests.length
      yield* world.execute
      yield* TestClock.adjust("1 hour")
      expect(world.requests.length).toBe(before)
      world.answer = ok
      yield* world.session.sync
      expect(world.status.get()).toMatchObject({ phase: "idle", pending: 0 })
    })
  )

  it.scoped("asks for the token once more, then tries slowly", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ paused: true })
      world.answer = (request) =>
        world.requests.length === 1
          ? Effect.fail(new Protocol.Unauthorized({ message: "expired" }))
          : ok(request)
      yield* world.session.resume
      yield* world.session.sync
      expect(world.requests.length).toBe(2)
      expect(world.status.get().phase).toBe("idle")

      world.answer = fail(new Protocol.Unauthorized({ message: "expired" }))
      yield* Effect.flip(world.session.sync)
      expect(world.requests.length).toBe(4)
      expect(world.status.get()).toMatchObject({
        phase: "stopped",
        error: { tag: "Unauthorized", retryable: true }
      })
      yield* passing(1200)
      // Two requests each, five minutes at most between.
      expect(world.requests.length).toBeGreaterThanOrEqual(4 + 2 * 4)
      expect(world.requests.length).toBeLessThan(4 + 2 * 20)
      world.answer = ok
      yield* TestClock.adjust(SessionState.settings.unauthorizedRetryMsMax)
      expect(world.status.get()).toMatchObject({ phase: "idle", error: null })
    })
  )

  it.scoped("stamps the pending records again when the clock is wrong", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pending: 1 })
      const drift = fail(new Protocol.ClockDrift({ message: "ahead", serverTimeMs: 77 }))
      world.answer = (request) => (world.fake.restampedTo === undefined ? drift(request) : ok(request))
      yield* world.session.sync
      expect(world.fake.restampedTo).toBe(77)
      expect(world.requests.length).toBe(2)
      world.answer = drift
      expect(yield* Effect.flip(world.session.sync)).toMatchObject({ _tag: "ClockDrift" })
      expect(world.requests.length).toBe(4)
    })
  )

  /** Three chunks, of which `position` counts. */
  const chunk = (request: Protocol.SyncRequest) => {
    const n = Number(request.position ?? 0) + 1
    return { ...answerTo(request), ...(n < 3 ? { next: n as never, verdicts: [] } : {}) }
  }

  it.scoped("asks for the next chunk of a load while one is kept, and says how far it is", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ paused: true })
      world.fake.requested = () => world.requests.length
      world.answer = (request) => Effect.succeed(chunk(request))
      const loads: Array<Status.Status["load"]> = []
      world.status.subscribe(() => loads.push(world.status.get().load))
      yield* world.session.resume
      yield* settle
      expect(world.requests.map(({ position }) => position)).toEqual([undefined, 1, 2])
      expect(world.fake.receivedAt).toEqual([2, 3, 3])
      expect(loads.filter((load, i) => load !== null && load !== loads[i - 1])).toEqual([
        { rowsDone: 10, rowsTotal: 30, phase: "fetching" },
        { rowsDone: 20, rowsTotal: 30, phase: "fetching" },
        { rowsDone: 20, rowsTotal: 30, phase: "applying" }
      ])
      expect(world.status.get()).toMatchObject({ phase: "idle", load: null, firstSyncDone: true })
      expect(world.atOnceMax).toBe(1)
    })
  )

  it.scoped(
    "keeps what came of a load when the next request fails, and sends a new record before more rows",
    () =>
      Effect.gen(function* () {
        const world = yield* setUp({ paused: true })
        world.answer = (request) =>
          request.position === undefined ? Effect.succeed(chunk(request)) : offline(request)
        yield* world.session.resume
        yield* settle
        expect(world.status.get()).toMatchObject({
          phase: "waiting",
          load: { rowsDone: 10, phase: "fetching" }
        })
        world.answer = (request) => Effect.succeed(chunk(request))
        yield* world.execute
        yield* TestClock.adjust(SessionState.settings.retryMsMin * 2)
        expect(world.requests.slice(2).map(({ records }) => records.length)).toEqual([1, 0])
      })
  )

  it.scoped("I9: fetches rows that do not fit less and less often, whatever else it receives", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ paused: true })
      world.fake.unfit = true
      let loads = 0
      world.answer = (request) => {
        if (request.position === undefined) {
          loads++
          // A new record is sent before more rows, which ends an exchange well.
          world.fake.execute()
        }
        return Effect.succeed(chunk(request))
      }
      yield* world.session.resume
      yield* passing(300)
      expect(world.status.get().error).toMatchObject({ tag: "RowsInvalid", retryable: true })
      expect(loads).toBeGreaterThan(5)
      expect(loads).toBeLessThan(30)
    })
  )

  it.scoped(
    "asks for all rows when its cursors are too old, also after it has stamped its records again",
    () =>
      Effect.gen(function* () {
        const world = yield* setUp({ pending: 1 })
        const old = fail(new Protocol.CursorTooOld({ message: "old" }))
        world.answer = (request) => (world.fake.cursorsForgotten === 0 ? old(request) : ok(request))
        yield* world.session.sync
        expect(world.fake.cursorsForgotten).toBe(1)
        expect(world.fake.queue).toEqual([])
        expect(world.status.get()).toMatchObject({ phase: "idle", error: null, pending: 0 })
        const drift = fail(new Protocol.ClockDrift({ message: "ahead", serverTimeMs: 77 }))
        world.answer = (request) =>
          world.fake.restampedTo === undefined
            ? drift(request)
            : (world.fake.cursorsForgotten === 1 ? old : ok)(request)
        yield* world.session.sync
        expect(world.fake.cursorsForgotten).toBe(2)
        // A server that says so of no cursors at all is asked later.
        world.answer = old
        expect(yield* Effect.flip(world.session.sync)).toMatchObject({ _tag: "CursorTooOld" })
        expect(world.status.get().error).toMatchObject({ tag: "CursorTooOld", retryable: true })
      })
  )

  it.scoped("S2: pause abandons the request, resume goes on", () =>
    Effect.gen(function* () {
      const world = yield* setUp()
      yield* settle
      const answered = yield* Deferred.make<void>()
      world.answer = (request) => Effect.zipRight(Deferred.await(answered), ok(request))
      yield* world.execute
      const sync = yield* Effect.fork(Effect.flip(world.session.sync))
      yield* settle
      expect(world.status.get().phase).toBe("syncing")
      yield* world.session.pause
      expect(world.status.get()).toMatchObject({ phase: "paused", pending: 1, error: null })
      expect(yield* Fiber.join(sync)).toMatchObject({ _tag: "SyncPaused" })
      expect(yield* Effect.flip(world.session.sync)).toMatchObject({ _tag: "SyncPaused" })
      yield* Deferred.succeed(answered, undefined)
      yield* TestClock.adjust("1 hour")
      expect(world.fake.received).toBe(1)
      expect(world.atOnce).toBe(0)

      const settled = yield* Effect.fork(world.session.settled)
      yield* settle
      expect(yield* Fiber.poll(settled)).toMatchObject({ _tag: "None" })
      world.answer = ok
      yield* world.session.resume
      yield* Fiber.join(settled)
      expect(world.status.get()).toMatchObject({ phase: "idle", pending: 0 })
    })
  )

  it.scoped("starts paused when asked to", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ paused: true, pollMs: 1000 })
      yield* TestClock.adjust("1 hour")
      expect(world.requests.length).toBe(0)
      expect(world.status.get().phase).toBe("paused")
    })
  )

  it.scoped("a defect does not end the session", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pollMs: 1000 })
      yield* settle
      world.answer = () => Effect.die(new Error("boom"))
      yield* TestClock.adjust(1000)
      expect(world.status.get()).toMatchObject({
        phase: "waiting",
        error: { tag: "Defect", message: "boom" }
      })
      world.answer = ok
      yield* TestClock.adjust(SessionState.settings.retryMsMax)
      expect(world.status.get()).toMatchObject({ phase: "idle", error: null })
    })
  )

  it.effect("closing ends waiting calls and the request under way", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const world = yield* Scope.extend(setUp({ pending: 1 }), scope)
      world.answer = () => Effect.never
      const sync = yield* Effect.fork(Effect.flip(world.session.sync))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(sync)).toMatchObject({ _tag: "ClientClosed" })
      expect(world.atOnce).toBe(0)
    })
  )

  it.scoped("tells nobody when nothing changed", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pollMs: 0 })
      yield* settle
      let heard = 0
      world.status.subscribe(() => heard++)
      world.status.update({ phase: "idle", error: null })
      world.status.update({ error: { tag: "x", message: "y", retryable: true } })
      world.status.update({ error: { tag: "x", message: "y", retryable: true } })
      expect(heard).toBe(1)
    })
  )
})

const message = (from: number, seq: number): Live.Message => ({
  from: from as Seq,
  seq: seq as Seq,
  answer: { seq, audiences: [], notices: [], verdicts: [], next: null } as unknown as Protocol.SyncResponse
})

describe("Session with a live path", () => {
  it.scoped("applies what comes, and asks when it cannot", () =>
    Effect.gen(function* () {
      const world = yield* setUp()
      yield* settle
      yield* world.listener!.up(true)
      expect(world.status.get()).toMatchObject({ live: true, seq: 1 })
      yield* world.listener!.message(message(1, 2))
      expect(world.status.get()).toMatchObject({ phase: "idle", seq: 2 })
      yield* world.listener!.message(message(1, 2))
      yield* TestClock.adjust(SessionState.settings.commitDebounceMs)
      expect(world.requests.length).toBe(1)
      yield* world.listener!.message(message(3, 4))
      yield* TestClock.adjust(SessionState.settings.commitDebounceMs)
      expect(world.requests.length).toBe(2)
    })
  )

  it.scoped("lets an answer that is on its way be applied first", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pending: 1 })
      world.answer = (request) => Effect.delay(Effect.succeed(answerTo(request, 5)), 100)
      yield* settle
      const told = yield* Effect.fork(world.listener!.message(message(4, 5)))
      yield* TestClock.adjust(99)
      expect(yield* Fiber.poll(told)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust(1)
      yield* Fiber.join(told)
      // The answer had brought it, so nothing is asked for.
      yield* TestClock.adjust(1000)
      expect(world.requests.length).toBe(1)
      expect(world.status.get()).toMatchObject({ seq: 5, pending: 0 })
    })
  )

  it.scoped("S6: polls rarely while it is up, and as usual when it is not", () =>
    Effect.gen(function* () {
      const world = yield* setUp({ pollMs: 5000 })
      yield* settle
      yield* world.listener!.up(true)
      yield* passing(10)
      expect(world.requests.length).toBe(2)
      yield* passing(50)
      expect(world.requests.length).toBe(2)
      yield* passing(5)
      expect(world.requests.length).toBe(3)
      yield* world.listener!.up(false)
      expect(world.status.get().live).toBe(false)
      yield* passing(5)
      expect(world.requests.length).toBe(4)
    })
  )

  it.scoped("is not asked while the session is paused or the device offline", () =>
    Effect.gen(function* () {
      const world = yield* setUp()
      yield* settle
      const listener = world.listener!
      yield* listener.up(true)
      yield* world.session.pause
      expect(world.listener).toBe(null)
      expect(world.status.get().live).toBe(false)
      // What was on its way is no more applied.
      yield* listener.message(message(1, 2))
      expect(world.fake.seq).toBe(1)
      yield* world.session.resume
      yield* settle
      expect(world.listener).not.toBe(null)
      world.connectivity.set(false)
      yield* settle
      expect(world.listener).toBe(null)
      world.connectivity.set(true)
      yield* settle
      expect(world.listener).not.toBe(null)
    })
  )
})

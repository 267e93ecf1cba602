/**
 * The sync session: one fiber that asks {@link SessionState} what to do, exchanges requests with the authority,
 * and hands the answers to the replica. Nothing is lost by stopping it at any moment: records are durable before
 * it hears of them, an answer is applied in one transaction (I5), and a request may be repeated (I4).
 */
import type { SqlError } from "@effect/sql"
import type { Cursors, Live, Protocol, RecordId, Replica } from "@synchrotron/sync-core"
import {
  Cause,
  Clock,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FiberHandle,
  Queue,
  Random,
  Runtime,
  type Scope
} from "effect"
import type { Connectivity } from "./Connectivity.ts"
import { ClientClosed, SyncPaused } from "./Errors.ts"
import { fit } from "./fit.ts"
import type { LivePath } from "./LivePath.ts"
import * as SessionState from "./SessionState.ts"
import type { Load, Phase, Status, StatusStore } from "./Status.ts"
import { kindOf, reachedServer, type SyncFailure, tagOf, toStatusError } from "./SyncFailure.ts"
import type { Transport } from "./Transport.ts"
import { Waiters } from "./Waiters.ts"

export interface Session {
  /** A record was executed: count it and send it soon. */
  readonly executed: (id: RecordId) => Effect.Effect<void>
  readonly isPending: (id: RecordId) => boolean
  /** Something may have changed on the server: sync soon, unless a failure says to wait. */
  readonly poke: Effect.Effect<void>
  /**
   * One full round, now: done when everything that was pending at the call is judged and an answer to a request
   * sent after the call is applied. Fails with what stopped the first attempt; the session goes on trying.
   */
  readonly sync: Effect.Effect<void, SyncFailure>
  /** Waits until nothing is pending, through retries and pauses. Fails only when the session stops or closes. */
  readonly settled: Effect.Effect<void, SyncFailure>
  /** Stops syncing. When it is done nothing more is sent or applied; a request under way is abandoned. */
  readonly pause: Effect.Effect<void>
  /** Goes on syncing, at once. */
  readonly resume: Effect.Effect<void>
}

export interface Options {
  readonly replica: Replica.Replica
  readonly transport: Transport
  /** What tells of commits as they happen, while the session is neither paused nor offline. */
  readonly livePath?: LivePath | undefined
  readonly status: StatusStore
  readonly connectivity: Connectivity
  readonly settings: SessionState.Settings
  readonly paused: boolean
  /** Called after an answer was applied, before its records stop being pending and the waiting are told. */
  readonly onReceived: (
    response: Pick<Protocol.SyncResponse, "notices" | "verdicts">
  ) => Effect.Effect<void, SqlError.SqlError>
}

export const make = (options: Options): Effect.Effect<Session, SqlError.SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const { connectivity, livePath, onReceived, replica, settings, status, transport } = options
    // Their ids are kept here, so that counting them costs no query.
    const pending = new Set<RecordId>()
    const waiters = new Waiters()
    const wake = yield* Queue.sliding<void>(1)
    // Held during a round; pause takes it to know that none is under way.
    const flight = yield* Effect.makeSemaphore(1)
    let abandoned = yield* Deferred.make<never, SyncPaused>()
    let state = SessionState.initial({
      paused: options.paused,
      deviceOnline: connectivity.get(),
      nowMs: yield* Clock.currentTimeMillis
    })

    const publish = (fields: Partial<Status> = {}) =>
      status.update({
        phase: phaseOf(state),
        pending: pending.size,
        retryAt: SessionState.retryAt(state),
        ...fields
      })

    const dispatch = (event: SessionState.Event, fields?: Partial<Status>) =>
      Effect.map(Clock.currentTimeMillis, (nowMs) => {
        state = SessionState.step(state, event, nowMs, settings)
        publish(fields)
        wake.unsafeOffer(undefined)
      })

    // In a row. Each has fetched all rows, so what was received between them is no reason to come back sooner.
    let unfitLoads = 0

    /** Whether the answer was a chunk that was kept, and the next one is on its way. */
    const receive = (
      request: Protocol.SyncRequest,
      response: Protocol.SyncResponse,
      { asked }: { readonly asked: boolean }
    ) =>
      Effect.gen(function* () {
        const before = status.get().load
        if (before !== null && response.next === null) publish({ load: { ...before, phase: "applying" } })
        const received = yield* replica.receive(request, response)
        const { path, seq } = received
        const load = fetching(received.load)
        if (asked && path === "chunk") {
          publish({ online: true, error: null, load })
          return true
        }
        // The next chunk is asked for at once. What was sent is judged, and the verdicts come when all rows are here. When
        // the wall clock went back, what was executed meanwhile has to be sent first.
        if (load !== null || path === "restarted" || (path === "stale" && pending.size > 0)) {
          yield* dispatch({ _tag: "Done", more: true }, { online: true, error: null, load })
          return false
        }
        // Stale: a message of the live path came between, and this answer changed nothing.
        const judged = path === "stale" ? [] : response.verdicts
        if (path !== "stale") {
          unfitLoads = 0
          yield* onReceived(response)
        }
        for (const { id } of judged) pending.delete(id)
        yield* dispatch(
          { _tag: "Done", more: pending.size > 0 && judged.length > 0 },
          {
            online: true,
            error: null,
            load,
            lastSyncedAt: yield* Clock.currentTimeMillis,
            clockOffsetMs: yield* replica.clockOffsetMs,
            seq,
            firstSyncDone: true
          }
        )
        waiters.applied({ judged: judged.length, pending: pending.size })
        return false
      })

    /** Not while an answer is on its way, which may bring the same. */
    const follow = (message: Live.Message) =>
      Effect.gen(function* () {
        if (state.paused) return
        const { decision, received } = yield* replica.follow(message)
        if (decision === "sync") yield* dispatch({ _tag: "Commit" })
        if (received === null || message.answer === null) return
        yield* onReceived(message.answer)
        publish({ lastSyncedAt: yield* Clock.currentTimeMillis, seq: received.seq })
      }).pipe(
        Effect.uninterruptible,
        flight.withPermits(1),
        Effect.catchAllCause((cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.void
            : Effect.zipRight(
                Effect.logError("A message of the live path could not be applied", cause),
                dispatch({ _tag: "Commit" })
              )
        ),
        Effect.withSpan("Session.follow")
      )

    const liveFiber = yield* FiberHandle.make<void>()
    /** Begins or ends the live path, as the state wants it. */
    const enliven = Effect.suspend(() =>
      livePath === undefined
        ? Effect.void
        : SessionState.wantsLive(state)
          ? Effect.asVoid(FiberHandle.run(liveFiber, livePath.run(listener), { onlyIfMissing: true }))
          : FiberHandle.clear(liveFiber)
    )
    const listener = {
      message: follow,
      missed: dispatch({ _tag: "Commit" }),
      up: (live: boolean) =>
        Effect.suspend(() =>
          state.live === live ? Effect.void : dispatch({ _tag: live ? "Live" : "Quiet" }, { live })
        )
    }

    const ask = (request: Protocol.SyncRequest) =>
      Effect.raceFirst(transport.sync(request), Deferred.await(abandoned))

    /** One request and its answer, or those of a load: the next chunk is on its way while one is kept. */
    const exchange = Effect.gen(function* () {
      let request = fit(yield* replica.request)
      let response = yield* ask(request)
      while (true) {
        const next = yield* replica.following(request, response)
        const asked = next === null ? null : yield* Effect.fork(ask(next))
        // A turn of the event loop, in which the request leaves: a local database works without one.
        if (asked !== null) yield* Effect.sleep(0)
        const kept = yield* Effect.uninterruptible(
          receive(request, response, { asked: asked !== null })
        ).pipe(Effect.onError(() => (asked === null ? Effect.void : Fiber.interrupt(asked))))
        if (asked === null) return
        if (!kept) return yield* Effect.asVoid(Fiber.interrupt(asked))
        request = next!
        response = yield* Fiber.join(asked)
      }
    }).pipe(Effect.withSpan("Session.exchange"))

    /** Who was away for too long begins with all rows; without cursors none can be too old. */
    const exchangeAnyhow = exchange.pipe(
      Effect.catchTag("CursorTooOld", () => Effect.zipRight(replica.forgetCursors, exchange))
    )

    /** A wrong clock and a stale token are put right once; the second time they are failures. */
    const attempt = exchangeAnyhow.pipe(
      Effect.catchTag("ClockDrift", ({ serverTimeMs }) =>
        Effect.zipRight(replica.restamp(serverTimeMs), exchangeAnyhow)
      ),
      Effect.catchTag("Unauthorized", () => exchangeAnyhow)
    )

    const failed = (cause: Cause.Cause<SyncFailure>) =>
      Effect.gen(function* () {
        const failure = Cause.squash(cause) as SyncFailure
        if (tagOf(failure) === "SyncPaused") return yield* dispatch({ _tag: "Abandon" })
        if (tagOf(failure) === "Defect") yield* Effect.logError("A sync failed unexpectedly", cause)
        const online = reachedServer(failure)
        const kind = kindOf(failure)
        const jitter = yield* Random.next
        const unfit = tagOf(failure) === "RowsInvalid"
        const retryAfterMs = unfit
          ? SessionState.backoffMs(kind, ++unfitLoads, jitter, settings)
          : "retryAfterMs" in failure
            ? failure.retryAfterMs
            : undefined
        yield* dispatch(
          { _tag: "Failed", kind, retryAfterMs, jitter },
          {
            error: toStatusError(failure),
            load: unfit ? null : fetching(status.get().load),
            ...(online === null ? {} : { online })
          }
        )
        waiters.failed(failure)
      })

    const round = Effect.gen(function* () {
      if (state.paused) return
      abandoned = yield* Deferred.make<never, SyncPaused>()
      waiters.arm()
      yield* dispatch({ _tag: "Begin" })
      const exit = yield* Effect.exit(attempt)
      if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) yield* failed(exit.cause)
    })

    const loop = Effect.gen(function* () {
      const nowMs = yield* Clock.currentTimeMillis
      const decision = SessionState.decide(state, nowMs, settings)
      if (decision._tag === "Run") yield* flight.withPermits(1)(round)
      else if (decision._tag === "Rest") yield* Queue.take(wake)
      else yield* Effect.timeoutOption(Queue.take(wake), decision.untilMs - nowMs)
    })

    for (const { id } of yield* replica.pending) pending.add(id)
    const { load, seq } = yield* replica.cursors
    publish({
      seq,
      load: fetching(load),
      firstSyncDone: seq > 0,
      online: state.deviceOnline,
      clockOffsetMs: yield* replica.clockOffsetMs
    })
    const runFork = Runtime.runFork(yield* Effect.runtime())
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        connectivity.subscribe((online) => {
          runFork(Effect.zipRight(dispatch({ _tag: online ? "Online" : "Offline" }, { online }), enliven))
        })
      ),
      (unsubscribe) =>
        Effect.sync(() => {
          unsubscribe()
          waiters.closed(new ClientClosed())
        })
    )
    yield* Effect.forkScoped(Effect.forever(loop))
    yield* enliven

    return {
      executed: (id) =>
        Effect.suspend(() => {
          pending.add(id)
          return dispatch({ _tag: "Commit" })
        }),
      poke: dispatch({ _tag: "Commit" }),
      isPending: (id) => pending.has(id),
      sync: Effect.suspend(() =>
        state.paused ? Effect.fail(new SyncPaused()) : waiters.sync(pending.size, dispatch({ _tag: "Sync" }))
      ),
      settled: Effect.suspend(() =>
        pending.size === 0
          ? Effect.void
          : // What a request under way does not have is wanted already.
            waiters.settled(state.running ? Effect.void : dispatch({ _tag: "Sync" }))
      ),
      pause: Effect.gen(function* () {
        yield* dispatch({ _tag: "Pause" })
        yield* enliven
        waiters.paused(new SyncPaused())
        yield* Deferred.fail(abandoned, new SyncPaused())
        yield* flight.withPermits(1)(Effect.void)
      }),
      resume: Effect.zipRight(dispatch({ _tag: "Resume" }), enliven)
    }
  })

const fetching = (load: Cursors.Progress | null): Load | null =>
  load === null ? null : { rowsDone: load.rowsDone, rowsTotal: load.rowsTotal, phase: "fetching" }

const phaseOf = ({ deviceOnline, failure, paused, running }: SessionState.State): Phase => {
  if (running) return "syncing"
  if (paused) return "paused"
  if (failure !== null) return failure.kind === "retryable" ? "waiting" : "stopped"
  return deviceOnline ? "idle" : "waiting"
}

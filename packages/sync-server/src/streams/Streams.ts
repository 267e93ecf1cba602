/**
 * Sync in two halves that are usable on their own, whatever carries them:
 *
 * | half                         | takes                            | gives                                               |
 * |------------------------------|----------------------------------|-----------------------------------------------------|
 * | {@link SyncStreams.inbound}  | a client's records, oldest first | a verdict for each, and what changed for the client |
 * | {@link SyncStreams.outbound} | where a client is                | a stream of what changes for it                     |
 *
 * All bookkeeping is in the database: which ids were judged and how, and what changed in which commit. So records may be
 * sent again to this process or to another one and are judged once (I4), and a stream may be broken off at any moment and
 * begun anew from the cursors of the last answer that its consumer has kept.
 */
import { Duplex, type Principal, Protocol } from "@synchrotron/sync-core"
import { Clock, Context, Effect, Layer, Option, Stream } from "effect"
import { Authority } from "../Authority.ts"
import { Hub } from "../live/Hub.ts"

export interface SyncStreams {
  /** One exchange, now: judges the request's records, each once, and reads what changed since its cursors. */
  readonly inbound: (
    principal: Principal,
    request: Protocol.WireRequest
  ) => Effect.Effect<Protocol.SyncResponse, Protocol.SyncError>
  /**
   * What changes for a client that is where the request says; its records are left out. Each answer is read when the
   * consumer asks for it, after it was done with the one before, and so at the latest commit: who is slow gets fewer and
   * larger answers, and nothing waits for it. Fails with `CursorTooOld` when it is not known any more what is gone.
   */
  readonly outbound: (
    principal: Principal,
    request: Protocol.SyncRequest
  ) => Stream.Stream<Protocol.SyncResponse, Protocol.SyncError>
  /** The next answer of `outbound`; after `holdMs` one that may say that nothing has happened. */
  readonly next: (
    principal: Principal,
    request: Protocol.WireRequest,
    holdMs: number
  ) => Effect.Effect<Protocol.SyncResponse, Protocol.SyncError>
}

export const SyncStreams = Context.GenericTag<SyncStreams>("@synchrotron/sync-server/SyncStreams")

export const holdMsDefault = 20_000

export const layer: Layer.Layer<SyncStreams, never, Authority | Hub> = Layer.effect(
  SyncStreams,
  Effect.gen(function* () {
    const authority = yield* Authority
    const hub = yield* Hub

    const next: SyncStreams["next"] = Effect.fn("SyncStreams.next")(function* (principal, request, holdMs) {
      const untilMs = (yield* Clock.currentTimeMillis) + holdMs
      const asked = { ...request, records: [] }
      for (;;) {
        // From the same place each time: a late arrival may belong before commits that brought nothing for this user.
        const response = yield* authority.sync(principal, asked)
        if (Duplex.isNews(asked, response)) return response
        const { audiences, seq } = response
        if (yield* hub.news({ principal, audiences, since: seq, untilMs })) continue
        if ((yield* Clock.currentTimeMillis) >= untilMs) return response
        return yield* new Protocol.Unavailable({ message: "The server is stopping." })
      }
    })

    return {
      inbound: authority.sync,
      next,
      outbound: (principal, request) =>
        Stream.unfoldEffect(request, (at) =>
          Effect.map(next(principal, at, holdMsDefault), (response) =>
            Option.some([{ at, response }, Duplex.next(at, response)] as const)
          )
        ).pipe(
          Stream.filter(({ at, response }) => Duplex.isNews(at, response)),
          Stream.map(({ response }) => response)
        )
    }
  })
)

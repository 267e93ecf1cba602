/** A server process: the real authority on the shared database, with a clock of its own, that crashes at a statement. */
import { SqlClient } from "@effect/sql"
import type { Principal, Protocol, SyncApp } from "@synchrotron/sync-core"
import { Authority, AuthorityLive, type AuthorityService, Feed } from "@synchrotron/sync-server"
import {
  Cause,
  type Clock,
  Context,
  Effect,
  Random as EffectRandom,
  Exit,
  FiberRef,
  Layer,
  Logger,
  LogLevel,
  Option,
  Scope
} from "effect"
import type { Random } from "../Random.ts"
import type { Compaction } from "../Script.ts"
import { role } from "./Arena.ts"
import type { Attachment, ServerSlot } from "./ServerSlot.ts"
import { SimProcess } from "./SimProcess.ts"
import { tamper } from "./tamper.ts"

export type Served =
  | { readonly _tag: "served"; readonly response: Protocol.SyncResponse }
  | { readonly _tag: "failed"; readonly error: Protocol.SyncError }
  | { readonly _tag: "crashed" }

/** Messages, or that the client has to begin anew. */
export type Told = Effect.Effect.Success<
  ReturnType<Effect.Effect.Success<ReturnType<ReturnType<typeof Feed.makeFeed>>>["read"]>
>

interface Options {
  readonly index: number
  readonly app: SyncApp.SyncApp
  readonly slot: ServerSlot
  readonly clock: Clock.Clock
  readonly random: Random
  readonly reorderWindowMs: number | null
  readonly reorderWindowRecords: number | null
  readonly chunkRowsMax: number | null
  /** See the script's. */
  readonly namedAudiencesMax: number | undefined
  readonly canary: ((sql: string) => string) | undefined
  /** Resumes a request between two of its transactions, when other things may have happened. */
  readonly gate: (resume: () => void) => void
  /** Before each transaction of a compaction. */
  readonly onCompacting: Effect.Effect<void>
  readonly onIdle: Effect.Effect<void>
  readonly onCrash: (message: number) => void
}

/** What a request or a compaction waits for before a transaction; null for what is neither. */
const pausing = FiberRef.unsafeMake<(() => Effect.Effect<void>) | null>(null)

export class SimServer extends SimProcess<Attachment> {
  readonly name: string
  /** Commits that took records back, and the records executed again. */
  takenBack = 0
  replayed = 0
  private readonly options: Options
  private authority: AuthorityService | null = null
  private sql: SqlClient.SqlClient | null = null
  private feed: ReturnType<typeof Feed.makeFeed> | null = null

  constructor(options: Options) {
    super()
    this.options = options
    this.name = `s${options.index}`
  }

  async start(): Promise<void> {
    const {
      app,
      canary,
      chunkRowsMax,
      clock,
      namedAudiencesMax,
      reorderWindowMs,
      reorderWindowRecords,
      slot
    } = this.options
    const attachment = slot.attach({
      onIdle: this.options.onIdle,
      onCrash: (message) => {
        this.ended()
        this.options.onCrash(message)
      }
    })
    const scope = this.begin(attachment)
    const self = this
    const context = await Effect.gen(function* () {
      const sql = yield* attachment.connect
      const crossed = (rows: number) => {
        self.takenBack++
        self.replayed += rows
      }
      const gated: SqlClient.SqlClient["withTransaction"] = (effect) =>
        Effect.flatMap(FiberRef.get(pausing), (pause) =>
          pause === null
            ? sql.withTransaction(effect)
            : // Never inside of one, for it holds locks.
              Effect.zipRight(pause(), sql.withTransaction(Effect.locally(effect, pausing, null)))
        )
      const tampered = tamper(sql, canary, gated, crossed)
      self.sql = tampered
      return yield* Layer.build(
        AuthorityLive.layerOnPrepared({
          app,
          role,
          // The script says when.
          compactEveryMs: 0,
          ...(reorderWindowMs === null ? {} : { reorderWindowMs }),
          ...(reorderWindowRecords === null ? {} : { reorderWindowRecords }),
          ...(chunkRowsMax === null ? {} : { chunkRowsMax })
        }).pipe(
          Layer.provideMerge(AuthorityLive.layerPrepared({ app, role })),
          Layer.provide(Layer.succeed(SqlClient.SqlClient, tampered))
        )
      )
    }).pipe(Scope.extend(scope), Effect.withClock(clock), Effect.runPromise)
    this.authority = Context.get(context, Authority)
    const reader = {
      sql: this.sql!,
      setup: Context.get(context, AuthorityLive.Prepared),
      chunk: { rowsMax: chunkRowsMax ?? 1000, bytesMax: 256 * 1024 },
      ...(namedAudiencesMax === undefined ? {} : { namedAudiencesMax })
    }
    this.feed = Feed.makeFeed({
      app,
      ask: (question) => Effect.map(Feed.readAll(reader, [question]), ([answer]) => answer!)
    })
    this.up = true
  }

  /** Serves a request until it is answered, or until it pauses: then the rest comes later. `whole`: without a pause. */
  serve(
    principal: Principal,
    request: Protocol.WireRequest,
    done: (result: Served) => Promise<void>,
    { whole = false }: { readonly whole?: boolean } = {}
  ): Promise<void> {
    const { attachment } = this
    return this.inTurns(
      this.authority!.sync(principal, request),
      (exit) => done(this.resultOf(exit, attachment)),
      { whole }
    )
  }

  /** Reads what a client is told of commits; null when the server crashes, or has no answer. */
  tell(
    principal: Principal,
    request: Parameters<ReturnType<typeof Feed.makeFeed>>[1],
    done: (told: Told | null) => Promise<void>
  ): Promise<void> {
    const { attachment } = this
    return this.inTurns(
      Effect.flatMap(this.feed!(principal, request), ({ read }) => read(request.offset)),
      (exit) =>
        done(Exit.isSuccess(exit) && !this.crashed && this.attachment === attachment ? exit.value : null),
      { whole: true }
    )
  }

  /** Compacts until done, or until it pauses: then the rest comes later. Nothing is told of one that crashes. */
  compact(
    { batchRows, reorderWindowMs, reorderWindowRecords, tombstoneMs }: Compaction,
    done: (compacted: AuthorityLive.Compacted) => Promise<void>
  ): Promise<void> {
    const { attachment } = this
    return this.inTurns(
      AuthorityLive.compact(this.sql!, {
        batchRows,
        argsBytesKept: 0,
        tombstoneMs,
        reorderWindowMs: reorderWindowMs ?? undefined,
        reorderWindowRecords: reorderWindowRecords ?? undefined
      }),
      async (exit) => {
        if (this.crashed || this.attachment !== attachment) return
        if (Exit.isFailure(exit)) throw new Error(`Compaction failed: ${Cause.pretty(exit.cause)}`)
        await done(exit.value)
      },
      { before: this.options.onCompacting }
    )
  }

  /** Runs an effect until it ends, or until it pauses before a transaction that is not its first. */
  private inTurns<A, E>(
    effect: Effect.Effect<A, E>,
    done: (exit: Exit.Exit<A, E>) => Promise<void>,
    {
      before = Effect.void,
      whole = false
    }: { readonly before?: Effect.Effect<void>; readonly whole?: boolean }
  ): Promise<void> {
    let transactions = 0
    let paused: () => void = () => {}
    let wait = new Promise<void>((resolve) => {
      paused = resolve
    })
    const pause = () =>
      whole || ++transactions === 1
        ? Effect.void
        : Effect.async<void>((resume) => {
            this.options.gate(() => {
              wait = new Promise<void>((resolve) => {
                paused = resolve
              })
              resume(Effect.void)
              return Promise.race([finished, wait])
            })
            paused()
          })
    const { clock } = this.options
    /** Who waits before trying again lets others go on meanwhile. */
    const yielding: Clock.Clock = {
      ...clock,
      sleep: (duration) =>
        Effect.zipRight(
          Effect.sync(() => paused()),
          clock.sleep(duration)
        )
    }
    const finished = effect
      .pipe(
        Effect.locally(pausing, () => Effect.zipRight(pause(), before)),
        Effect.withRandom(EffectRandom.make(`${this.name}`)),
        Effect.withClock(yielding),
        Logger.withMinimumLogLevel(LogLevel.None),
        Effect.exit,
        Effect.runPromise
      )
      .then(done)
    return Promise.race([finished, wait])
  }

  private resultOf(
    exit: Exit.Exit<Protocol.SyncResponse, Protocol.SyncError>,
    attachment: Attachment | null
  ): Served {
    if (this.crashed || this.attachment !== attachment) return { _tag: "crashed" }
    if (Exit.isSuccess(exit)) return { _tag: "served", response: exit.value }
    const failure = Option.getOrNull(Cause.failureOption(exit.cause))
    if (failure === null) throw new Error(`The authority crashed: ${Cause.pretty(exit.cause)}`)
    return { _tag: "failed", error: failure }
  }

  protected settle(): Promise<void> {
    return Effect.runPromise(this.options.onIdle)
  }
}

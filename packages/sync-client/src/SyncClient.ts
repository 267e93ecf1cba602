/**
 * The client of an application: a local Postgres that is written by actions, read by SQL, and kept in sync.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const client = yield* SyncClient.SyncClient
 *   yield* client.execute(addTodo({ listId, title: "Milk" }))
 *   const todos = yield* client.query("SELECT * FROM todos WHERE list_id = $1", [listId])
 * })
 * program.pipe(Effect.provide(SyncClient.layer({ app, dataDir: "idb://todo", server: { url, token } })))
 * ```
 */
import { SqlClient, type SqlError } from "@effect/sql"
import type { PgliteClientOptions, PgliteDead, PgliteLocked } from "@synchrotron/sql-pglite"
import {
  type Action,
  type Answers,
  type ClientId,
  type DatabaseOfOther,
  type DatabaseTooNew,
  type MigrationChanged,
  type Outcome,
  type RecordId,
  Replica,
  type SyncApp,
  type TablesUnsupported
} from "@synchrotron/sync-core"
import { Cause, Context, Effect, Layer, type Scope, Stream, type Subscribable } from "effect"
import * as Connectivity from "./Connectivity.ts"
import {
  type ClientClosed,
  type DatabaseInUse,
  OutcomeForgotten,
  type StorageFull,
  type StoreUnusable,
  UserUnknown
} from "./Errors.ts"
import type { Execute, ExecuteError, Execution, Submit } from "./Execute.ts"
import * as Inbox from "./Inbox.ts"
import { History } from "./inspector/History.ts"
import * as Inspection from "./inspector/Inspection.ts"
import * as Observe from "./inspector/observe.ts"
import { isOfDead } from "./isOfDead.ts"
import { claimsOf } from "./Jwt.ts"
import type { LivePath } from "./LivePath.ts"
import type { LiveQueries, LiveQueryError } from "./LiveQuery.ts"
import { runLiveQueries } from "./LiveQueryRuns.ts"
import * as LiveShape from "./LiveShape.ts"
import * as ObservableStream from "./ObservableStream.ts"
import { Outcomes } from "./Outcomes.ts"
import { type Query, query } from "./Reader.ts"
import * as Session from "./Session.ts"
import * as SessionState from "./SessionState.ts"
import type * as Status from "./Status.ts"
import { isFull } from "./store/isFull.ts"
import * as Store from "./store/open.ts"
import type { Room } from "./store/room.ts"
import { Transport } from "./Transport.ts"
import * as TransportHttp from "./TransportHttp.ts"
import { makeViews, type Views } from "./Views.ts"

export interface SyncClient extends Pick<Session.Session, "sync" | "settled" | "pause" | "resume" | "poke"> {
  readonly clientId: ClientId
  readonly userId: string
  readonly execute: Execute
  /** `execute(action(args))`. */
  readonly executeAction: <Args, Encoded, Result, E>(
    action: Action.Action<Args, Encoded, Result, E>,
    args: Args
  ) => Effect.Effect<Result, ExecuteError<E>>
  /** As `execute`, and gives the record's id and its outcome with the value. */
  readonly submit: Submit
  /**
   * The authority's verdict on a record, when it comes. The last 10,000 are remembered, and rejections are kept in the
   * database; older ones fail with `OutcomeForgotten`.
   */
  readonly outcome: (id: RecordId) => Effect.Effect<Outcome, OutcomeForgotten | ClientClosed>
  /** Reads the local database, `$1` … for parameters. A statement that writes fails with `ReadOnlyQuery`. */
  readonly query: Query
  /** The rows of a query now, and again whenever they have changed. */
  readonly liveQuery: (
    sql: string,
    params?: ReadonlyArray<unknown>
    // biome-ignore lint/suspicious/noExplicitAny: rows have the type that the caller declares
  ) => Stream.Stream<ReadonlyArray<any>, LiveQueryError>
  readonly status: Subscribable.Subscribable<Status.Status>
  /** Records that the authority has not judged yet, oldest first. */
  readonly pending: Effect.Effect<ReadonlyArray<Replica.PendingSummary>, SqlError.SqlError>
  readonly rejected: Inbox.Inbox
  /** Answers an inspector, see `@synchrotron/sync-client/inspector`. */
  readonly inspect: Inspection.Ask
}

export const SyncClient = Context.GenericTag<SyncClient>("@synchrotron/sync-client/SyncClient")

export interface SessionOptions {
  /**
   * Milliseconds between two syncs when nothing else asks for one; 5,000 unless given, 0 for never. A minute at least while
   * changes come live.
   */
  readonly pollMs?: number | undefined
  /** What tells of commits as they happen; nothing unless given. */
  readonly livePath?: ((replica: Replica.Replica) => LivePath | undefined) | undefined
  /** Start without syncing, until `resume()`. */
  readonly paused?: boolean | undefined
  /** What tells about the device's network; the browser's events unless given. */
  readonly connectivity?: Connectivity.Connectivity | undefined
  /** Other waits of the session, see `Limits`. */
  readonly settings?: Partial<SessionState.Settings> | undefined
  /** @internal */
  readonly views?: Views | undefined
  /** @internal */
  readonly room?: Room | undefined
}

export interface ReplicaOptions extends Pick<Replica.ReplicaOptions, "app" | "purityCheck"> {
  /** The user whose database this is. The token's `sub` unless given; with it the client starts offline too. */
  readonly userId?: string | undefined
  /** What actions may read in `ctx.principal.claims`; the token's unless given. */
  readonly claims?: Replica.ReplicaOptions["claims"] | undefined
}

export interface Options extends SessionOptions, ReplicaOptions {
  /**
   * A directory in Node. In a browser a name: it is kept where commits are fast, or in IndexedDB; `opfs-ahp://name`, `idb://name`
   * say where. `memory://`: nowhere.
   */
  readonly dataDir: string
  /** Where the server is, and the token that says who the user is. */
  readonly server: TransportHttp.Options
  /**
   * How changes come as they happen: by server-sent events unless given, which fall back to long polls where they do not
   * get through. `false`: they do not, and the client asks every `pollMs`.
   */
  readonly live?: LiveShape.Options["mode"] | false | undefined
  /** Sends the requests instead of the platform's `fetch`: a server in the same process, a proxy. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Carries the requests instead of HTTP: `TransportDuplex.over(...)` over a WebSocket, or one of your own. */
  readonly transport?:
    | ((
        server: TransportHttp.Options
      ) => Effect.Effect<Transport & { readonly livePath?: LivePath | undefined }, never, Scope.Scope>)
    | undefined
  /** A prepared data directory for the first start, see `PgliteClient.prepareImage`: it saves a second or two. */
  readonly image?: PgliteClientOptions["image"]
  /** Further options of the local database. */
  readonly pglite?: Omit<PgliteClientOptions, "dataDir" | "image"> | undefined
}

export type OpenError =
  | UserUnknown
  | DatabaseInUse
  | StoreUnusable
  | StorageFull
  | PgliteLocked
  | TablesUnsupported
  | DatabaseTooNew
  | MigrationChanged
  | DatabaseOfOther
  | SqlError.SqlError

/** A client that has opened its database itself. */
export interface OpenClient extends SyncClient {
  /** Waits until the database is dead and every call fails, see `PgliteDead`. Close the client, and open another one. */
  readonly died: Effect.Effect<PgliteDead>
}

/** A client on a replica that is open already: what the others are made of. */
export const fromReplica = (
  given: Replica.Replica,
  options: SessionOptions & { readonly app: SyncApp.SyncApp; readonly userId: string }
): Effect.Effect<SyncClient, SqlError.SqlError, SqlClient.SqlClient | Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const { live, rejected, status } = options.views ?? makeViews()
    const { room } = options
    const outcomes = new Outcomes()
    const history = new History(given.clientId)
    const replica = Observe.observeReplica(given, sql, history)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        outcomes.close()
        history.close()
      })
    )
    yield* Effect.forkScoped(
      Stream.runForEach(replica.changes, (change) =>
        Effect.sync(() => {
          for (const { id, outcome } of change.outcomes) outcomes.record(id, outcome)
          if (change.tables.size > 0 || change.records) live.changed(change.tables)
          history.changed()
        })
      )
    )
    // The stream listens from here on.
    yield* Effect.yieldNow()
    yield* runLiveQueries(live, { client: sql, synced: new Set(options.app.tables.map(({ name }) => name)) })

    const livePath = options.livePath?.(replica)
    const session: Session.Session = yield* Session.make({
      replica:
        room === undefined
          ? replica
          : {
              ...replica,
              receive: (...answer) =>
                Effect.tapError(replica.receive(...answer), (error) => Effect.promise(() => room.make(error)))
            },
      transport: Observe.observeTransport(yield* Transport, history),
      livePath: livePath && Observe.observeLivePath(livePath, history),
      status,
      connectivity: options.connectivity ?? Connectivity.browser(),
      settings: {
        ...SessionState.settings,
        ...(options.pollMs === undefined ? {} : { pollMs: options.pollMs }),
        ...options.settings
      },
      paused: options.paused ?? false,
      onReceived: ({ notices, verdicts }) =>
        Effect.suspend(() => {
          // As the replica's changes say too, but here before the records stop being pending.
          for (const verdict of verdicts) outcomes.record(verdict.id, toOutcome(verdict))
          const refused = notices.length > 0 || verdicts.some((verdict) => "error" in verdict)
          const told = refused ? inbox.list : Effect.void
          // Who learns that the first sync is done shall not see the rows from before it beside that.
          const isFirst = !status.get().firstSyncDone
          return isFirst
            ? Effect.zipRight(
                told,
                Effect.promise(() => live.refresh())
              )
            : told
        })
    })
    /** What was asked for before may have been executed, and is only answered. */
    const inRoom =
      (call: Answers.Call | undefined) =>
      <A, E>(execution: Effect.Effect<A, E>): Effect.Effect<A, E | StorageFull> =>
        room === undefined
          ? execution
          : Effect.zipRight(
              call?.again ? Effect.void : room.check,
              Effect.catchAll(execution, (error) =>
                isFull(error) && !isOfDead(error)
                  ? Effect.promise(() => room.make(error)).pipe(
                      Effect.zipRight(room.check),
                      Effect.zipRight(Effect.fail(error))
                    )
                  : Effect.fail(error)
              )
            )

    const inbox = Inbox.make({
      replica: { ...replica, retry: (id, call) => inRoom(call)(replica.retry(id, call)) },
      store: rejected,
      status,
      onRetried: session.executed
    })
    yield* inbox.list

    const outcome: SyncClient["outcome"] = (id) =>
      Effect.gen(function* () {
        const known = outcomes.get(id)
        if (known !== undefined) return known
        if (session.isPending(id)) return yield* outcomes.next(id)
        const record = rejected.get().find((record) => record.id === id)
        if (record === undefined) return yield* new OutcomeForgotten({ id })
        return { _tag: record.outcome, error: record.error }
      })

    const submit = (
      operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>,
      call?: Answers.Call
    ) =>
      (Array.isArray(operations)
        ? replica.executeAll(operations, call)
        : replica.execute(operations as Action.AnyOperation, call)
      ).pipe(
        inRoom(call),
        Effect.tap((executed) => (executed.again ? Effect.void : session.executed(executed.id))),
        // A record that exists is counted, even when the caller is interrupted.
        Effect.uninterruptible,
        Effect.map((executed): Execution<unknown> => ({ ...executed, outcome: outcome(executed.id) }))
      )

    const execute = (
      operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>,
      { transaction = true }: { readonly transaction?: boolean } = {}
    ) =>
      transaction || !Array.isArray(operations)
        ? Effect.map(submit(operations), ({ value }) => value)
        : Effect.forEach(operations, (operation) =>
            Effect.match(submit(operation), {
              onFailure: (error) => ({ _tag: "Failure", error: Cause.originalError(error) }),
              onSuccess: ({ id, value }) => ({ _tag: "Success", value, id })
            })
          )

    return {
      clientId: replica.clientId,
      userId: options.userId,
      execute: execute as Execute,
      executeAction: (action, args) => (execute as Execute)(action(args)),
      submit: submit as Submit,
      outcome,
      query: query(sql),
      liveQuery: (text, params) => liveStream(live, text, params),
      status: ObservableStream.toSubscribable(status),
      pending: replica.pending,
      rejected: inbox,
      inspect: Inspection.make({ app: options.app, userId: options.userId, replica, sql, history }),
      sync: session.sync,
      settled: session.settled,
      pause: session.pause,
      resume: session.resume,
      poke: session.poke
    }
  })

/** A client on an existing local database and transport. */
export const make = (
  options: SessionOptions & ReplicaOptions & { readonly userId: string }
): Effect.Effect<
  SyncClient,
  Exclude<OpenError, UserUnknown | DatabaseInUse | StoreUnusable | StorageFull | PgliteLocked>,
  SqlClient.SqlClient | Transport | Scope.Scope
> =>
  Effect.gen(function* () {
    const { app, claims, purityCheck, userId } = options
    const replica = yield* Replica.make({
      app,
      userId,
      ...(claims === undefined ? {} : { claims }),
      ...(purityCheck === undefined ? {} : { purityCheck })
    })
    return yield* fromReplica(replica, options)
  })

/** Opens the local database and connects it to the server, for the life of the scope. */
export const open = (options: Options): Effect.Effect<OpenClient, OpenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { app, dataDir, fetch, image, live: mode = "sse", pglite, server } = options
    const user = yield* userOf(options)
    const views = options.views ?? makeViews()
    const { explain, room, sql } = yield* Store.open({ ...pglite, dataDir, image, status: views.status })
    const given = yield* options.transport?.(server) ?? Effect.succeed(undefined)
    const livePath = ({ clientId }: Replica.Replica) =>
      mode === false
        ? undefined
        : given === undefined
          ? LiveShape.make({ ...server, fetch, clientId, schema: app.schemaHash, mode })
          : given.livePath
    const client = yield* make({ livePath, ...options, ...user, views, room }).pipe(
      Effect.catchAll(explain),
      Effect.provideService(SqlClient.SqlClient, sql),
      Effect.provideServiceEffect(
        Transport,
        given === undefined ? TransportHttp.makeFetch({ ...server, fetch }) : Effect.succeed(given)
      )
    )
    return { ...client, died: sql.died }
  })

export const layer = (options: Options): Layer.Layer<SyncClient, OpenError> =>
  Layer.scoped(SyncClient, open(options))

/** Whose database this is. A token function is asked only when nothing else says it. */
const userOf = (options: Options) =>
  Effect.gen(function* () {
    const { token } = options.server
    const given = options.userId
    const needsToken = given === undefined || typeof token === "string"
    const text = needsToken ? yield* Effect.either(TransportHttp.tokenOf(token)) : undefined
    const found = text?._tag === "Right" ? claimsOf(text.right) : undefined
    const userId = given ?? found?.sub
    if (userId === undefined) {
      const reason = text?._tag === "Left" ? text.left.message : "the token is not a JWT with a sub"
      return yield* new UserUnknown({ reason })
    }
    const claims = options.claims ?? found
    return claims === undefined ? { userId } : { userId, claims }
  })

const toOutcome = (verdict: Parameters<Session.Options["onReceived"]>[0]["verdicts"][number]): Outcome =>
  "error" in verdict ? { _tag: verdict.outcome, error: verdict.error } : { _tag: verdict.outcome }

const liveStream = (
  live: LiveQueries,
  sql: string,
  params?: ReadonlyArray<unknown>
): ReturnType<SyncClient["liveQuery"]> =>
  ObservableStream.toStream(live.open(sql, params)).pipe(
    Stream.filter(({ state }) => state !== "loading"),
    Stream.mapEffect(({ error, rows }) => (error === null ? Effect.succeed(rows) : Effect.fail(error)))
  )

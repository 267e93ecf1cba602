/** The tab that has the database: answers the others, and tells them what they watch. */
import {
  type Action,
  type Answers,
  DatabaseOfOther,
  Execution,
  type RecordId,
  type SyncApp
} from "@synchrotron/sync-core"
import { Cause, Effect, Exit, Schema, Scope } from "effect"
import * as Connectivity from "../Connectivity.ts"
import { TabsDiffer } from "../Errors.ts"
import { isOfDead } from "../isOfDead.ts"
import type { Due, LiveQueryState } from "../LiveQuery.ts"
import * as SyncClient from "../SyncClient.ts"
import { makeViews, type Views } from "../Views.ts"
import { type Delta, delta, type Row } from "./Delta.ts"
import { encode } from "./errors.ts"
import {
  type Common,
  channelName,
  type EncodedOperation,
  type OneAnswer,
  type Question,
  type Shown,
  type ToLeader,
  type ToTab,
  tabChannelName,
  tabLockName
} from "./Messages.ts"
import type { Surroundings } from "./Surroundings.ts"
import { versionOf } from "./version.ts"

/** Why a leader leads no longer. */
export type Ending =
  /** It was told to. */
  | { readonly _tag: "Closed" }
  /** The database could not be opened. Another tab may be able to. */
  | { readonly _tag: "Failed"; readonly error: unknown }
  /** The database is dead, and can be opened again by a new worker. */
  | { readonly _tag: "Died"; readonly reason: string }

/**
 * Opens the database and leads, until `ended` says so or it cannot. The lock of the leader is the caller's.
 *
 * @param store names the database among the tabs
 */
export const lead = async (
  options: SyncClient.Options & { readonly store: string },
  surroundings: Surroundings,
  ended: Promise<void>
): Promise<Ending> => {
  const views = makeViews()
  const scope = Effect.runSync(Scope.make())
  const connectivity = Connectivity.withOthers(options.connectivity ?? surroundings.connectivity)
  const opened = Effect.runPromiseExit(
    Scope.extend(SyncClient.open({ ...options, views, connectivity }), scope)
  )
  const leader = crypto.randomUUID()
  const { app, store } = options
  const version = versionOf(app)
  const followers = new Map<string, Follower>()

  const leave = (tab: string) => {
    followers.get(tab)?.close()
    followers.delete(tab)
  }
  const join = (hello: Extract<Common, { _tag: "Hello" }>) => {
    const { tab } = hello
    if (followers.has(tab)) return
    const follower = new Follower({
      leader,
      tab,
      store,
      app,
      views,
      surroundings,
      opened,
      online: connectivity.tellOnline,
      leave: () => leave(tab)
    })
    followers.set(tab, follower)
    surroundings.lock(tabLockName(tab), async () => leave(tab)).catch(() => {})
    if (hello.version !== version) return follower.refuse(new TabsDiffer())
    if (options.userId !== undefined && hello.userId !== undefined && hello.userId !== options.userId)
      return follower.refuse(
        new DatabaseOfOther({
          owner: `${options.userId} of ${app.name}`,
          requested: `${hello.userId} of ${app.name}`
        })
      )
    void follower.begin()
  }
  const channel = surroundings.channel(channelName(store), (message) => {
    const common = message as Common
    if (common._tag === "Who") channel.send({ _tag: "Leads", leader } satisfies Common)
    else if (common._tag === "Hello" && common.leader === leader) join(common)
  })
  const unwatch = [
    views.status.subscribe((status) => {
      for (const follower of followers.values()) follower.tell({ _tag: "Status", leader, status })
    }),
    views.rejected.subscribe((rejected) => {
      for (const follower of followers.values()) follower.tell({ _tag: "Rejected", leader, rejected })
    })
  ]
  views.live.onRound = () => {
    for (const follower of followers.values()) follower.flush()
  }
  channel.send({ _tag: "Leads", leader } satisfies Common)
  const ending = opened.then((exit): Promise<Ending> | Ending =>
    Exit.isSuccess(exit)
      ? Effect.runPromise(exit.value.died).then(({ reason }) => ({ _tag: "Died", reason }))
      : { _tag: "Failed", error: Cause.originalError(Cause.squash(exit.cause)) }
  )
  try {
    const why = await Promise.race([ending, ended.then((): Ending => ({ _tag: "Closed" }))])
    if (why._tag === "Died")
      for (const follower of followers.values()) follower.tell({ _tag: "Died", leader, reason: why.reason })
    return why
  } finally {
    channel.close()
    for (const end of unwatch) end()
    for (const tab of [...followers.keys()]) leave(tab)
    await opened
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

interface FollowerOptions {
  readonly leader: string
  readonly tab: string
  readonly store: string
  readonly app: SyncApp.SyncApp
  readonly views: Views
  readonly surroundings: Surroundings
  readonly opened: Promise<Exit.Exit<SyncClient.OpenClient, unknown>>
  readonly online: () => void
  readonly leave: () => void
}

/** One tab, as the leader sees it. */
class Follower {
  private readonly options: FollowerOptions
  private readonly channel: ReturnType<Surroundings["channel"]>
  private welcome = false
  /** Watched queries: the rows that the tab has, and what ends the watching. */
  private readonly watched = new Map<string, { rows: ReadonlyArray<Row> | null; readonly end: () => void }>()
  private readonly changed = new Map<string, LiveQueryState<Row>>()

  constructor(options: FollowerOptions) {
    this.options = options
    this.channel = options.surroundings.channel(tabChannelName(options.store, options.tab), (message) =>
      this.hear(message as ToLeader)
    )
  }

  async begin(): Promise<void> {
    // When it fails, another tab leads.
    if (Exit.isFailure(await this.options.opened)) return
    const { leader, views } = this.options
    this.welcome = true
    this.tell({ _tag: "Welcome", leader, status: views.status.get(), rejected: views.rejected.get() })
  }

  refuse(error: unknown): void {
    this.channel.send({ _tag: "Refused", leader: this.options.leader, error: encode(error) } satisfies ToTab)
  }

  tell(message: ToTab): void {
    if (this.welcome) this.channel.send(message)
  }

  close(): void {
    this.channel.close()
    this.welcome = false
    for (const { end } of this.watched.values()) end()
    this.watched.clear()
  }

  /** Tells what watched queries show since the last time, all at once. */
  flush(): void {
    if (this.changed.size === 0) return
    const queries = [...this.changed].flatMap(([key, state]): ReadonlyArray<Shown> => {
      const query = this.watched.get(key)
      if (query === undefined || state.state === "loading") return []
      if (state.error !== null) return isOfDead(state.error) ? [] : [{ key, error: encode(state.error) }]
      const first = query.rows === null
      const change: Delta<Row> = delta(query.rows ?? [], state.rows)
      query.rows = state.rows
      return [{ key, first, delta: change }]
    })
    this.changed.clear()
    this.tell({ _tag: "Shown", leader: this.options.leader, queries })
  }

  private hear(message: ToLeader): void {
    if (message.leader !== this.options.leader) return
    switch (message._tag) {
      case "Bye":
        this.options.leave()
        break
      case "Online":
        this.options.online()
        break
      case "Ask":
        void this.answer(message)
        break
      case "Watch":
        for (const query of message.queries) this.watch(query)
        break
      case "Unwatch":
        this.watched.get(message.key)?.end()
        this.watched.delete(message.key)
    }
  }

  private watch(query: Due): void {
    const { key } = query
    const { live } = this.options.views
    const running = live.open(query.sql, query.params)
    const note = (state: LiveQueryState<Row>) => {
      this.changed.set(key, state)
      if (!live.running) this.flush()
    }
    if (!this.watched.has(key)) {
      this.watched.set(key, { rows: null, end: running.subscribe(note) })
      if (running.get().state !== "loading") note(running.get())
    }
    // Its rows may be as they were, and somebody waits to hear so.
    if (query.refresh) void running.refresh().then(() => note(running.get()))
  }

  private async answer({ again, ask, heard, what }: Extract<ToLeader, { _tag: "Ask" }>): Promise<void> {
    const { leader, opened } = this.options
    const client = await opened
    if (Exit.isFailure(client)) return
    const exit = await Effect.runPromiseExit(this.perform(client.value, what, { again, heard }))
    const common = { _tag: "Answer", leader, ask } as const
    if (Exit.isFailure(exit)) {
      const error = Cause.originalError(Cause.squash(exit.cause))
      // The next leader is asked again.
      if (isOfDead(error)) return
      return this.tell({ ...common, error: encode(error) })
    }
    try {
      this.tell({ ...common, value: exit.value })
    } catch (error) {
      // What the action gave cannot be cloned. It was executed.
      this.tell({ ...common, error: encode(error) })
    }
  }

  private perform(
    client: SyncClient.SyncClient,
    what: Question,
    asked: Pick<Answers.Call, "again" | "heard">
  ): Effect.Effect<unknown, unknown> {
    const call = (id: RecordId): Answers.Call => ({ id, ...asked })
    const valueOf = Effect.map(({ value }: { readonly value: unknown }) => value)
    switch (what._tag) {
      case "Execute":
        return Effect.flatMap(this.operation(what.operation), (operation) =>
          valueOf(client.submit(operation, call(what.id)))
        )
      case "ExecuteAll":
        return Effect.flatMap(
          Effect.forEach(what.operations, (one) => this.operation(one)),
          (operations) => valueOf(client.submit(operations, call(what.id)))
        )
      case "ExecuteEach":
        return Effect.forEach(what.each, ({ id, operation }, i) =>
          Effect.flatMap(this.operation(operation), (operation) =>
            // What was heard is forgotten once.
            client.submit(operation, { id, again: asked.again, heard: i === 0 ? asked.heard : [] })
          ).pipe(
            Effect.matchCauseEffect({
              onFailure: (cause): Effect.Effect<OneAnswer, unknown> => {
                const error = Cause.originalError(Cause.squash(cause))
                // All of it is asked of the next leader then.
                return isOfDead(error) ? Effect.fail(error) : Effect.succeed({ error: encode(error) })
              },
              onSuccess: ({ value }) => Effect.succeed(cloned(value))
            })
          )
        )
      case "Retry":
        return valueOf(client.rejected.retry(what.rejected, call(what.id)))
      case "Dismiss":
        return asked.again
          ? Effect.ignore(client.rejected.dismiss(what.rejected))
          : client.rejected.dismiss(what.rejected)
      case "Query":
        return client.query(what.sql, what.params)
      case "Outcome":
        return client.outcome(what.id)
      case "Sync":
        return client.sync
      case "Settled":
        return client.settled
      case "Pause":
        return client.pause
      case "Resume":
        return client.resume
      case "Pending":
        return client.pending
      case "Rejected":
        return client.rejected.list
      case "Inspect":
        return client.inspect(what.question)
    }
  }

  private operation({ args, name, version }: EncodedOperation): Effect.Effect<Action.AnyOperation, unknown> {
    const action = Execution.findAction(this.options.app, name, version)
    return action === undefined
      ? new Execution.UnknownAction({ name, version })
      : Effect.map(Schema.decodeUnknown(action.args)(args), (decoded) => ({
          action,
          args: decoded as unknown
        }))
  }
}

/** A value that cannot be cloned is an answer's own failure, and not that of the message. */
const cloned = (value: unknown): OneAnswer => {
  try {
    return { value: structuredClone(value) }
  } catch (error) {
    return { error: encode(error) }
  }
}

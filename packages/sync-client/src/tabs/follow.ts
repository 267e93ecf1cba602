/** A tab's client: whatever it is asked, the tab that leads does, and the next one when that is gone. */
import { Action, type RecordId, type Replica, type SyncApp } from "@synchrotron/sync-core"
import { Effect } from "effect"
import { ClientClosed, DatabaseCrashed, DatabaseNotOpen, StorageFull } from "../Errors.ts"
import { executionOf } from "../executionOf.ts"
import { liveHandle } from "../liveHandle.ts"
import type { ExecutionPromise, OpeningClient, PromiseClient } from "../PromiseClient.ts"
import { shareRows } from "../share.ts"
import { isFull } from "../store/isFull.ts"
import { decoder as rowDecoder } from "../typedRows.ts"
import { makeViews } from "../Views.ts"
import { patch } from "./Delta.ts"
import { decoder, type ErrorClass, encode } from "./errors.ts"
import {
  type Common,
  channelName,
  type EncodedOperation,
  type OneAnswer,
  type Question,
  type ToLeader,
  type ToTab,
  tabChannelName,
  tabLockName
} from "./Messages.ts"
import type { Surroundings } from "./Surroundings.ts"
import { versionOf } from "./version.ts"

export interface FollowOptions {
  readonly app: SyncApp.SyncApp
  /** Names the database among the tabs. */
  readonly store: string
  readonly userId?: string | undefined
  readonly errors?: ReadonlyArray<ErrorClass> | undefined
}

interface Asked {
  readonly what: Question
  /** The leader that was asked last. */
  of: string | null
  /** How many leaders' databases died over it. */
  deaths: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** So often may a leader's database die over a question until it is not asked again. */
const deathsMax = 2

type Each = Extract<Question, { readonly _tag: "ExecuteEach" }>["each"][number]

interface Own {
  /** Why this tab cannot take part. */
  readonly failed: Promise<Error>
  /** Ends what ends with the client. */
  readonly close: () => Promise<void>
}

/** @param worker the tab's own */
export const follow = (options: FollowOptions, surroundings: Surroundings, worker: Own): OpeningClient => {
  const { app, store, userId } = options
  const tab = crypto.randomUUID()
  const version = versionOf(app)
  const decodeError = decoder(options.errors ?? [])
  const views = makeViews()
  const asked = new Map<number, Asked>()
  let asks = 0
  let heard: Array<RecordId> = []
  /** Whom this tab follows, and whether it was welcomed. */
  let leader: string | null = null
  let welcome = false
  /** Nothing new is begun; what was begun before is waited for, and then `closed`. */
  let closing: Promise<void> | undefined
  let closed = false
  let failure: Error | undefined
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  let open: () => void
  let refuse: (error: Error) => void
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve
    refuse = reject
  })
  opened.catch(() => {})

  const tell = (message: Distribute<ToLeader>) => {
    if (leader !== null) own.send({ ...message, leader })
  }
  /**
   * What was asked of a leader whose database died over it, or over one of the others. They are asked again one at a time, and
   * nothing that comes after them before, so that it shows which one it dies of.
   */
  const suspects = new Set<number>()
  const send = (ask: number, one: Asked) => {
    if (!welcome || one.of === leader) return
    if (suspects.size > 0 && isOfDatabase(one.what) && suspects.values().next().value !== ask) return
    tell({ _tag: "Ask", ask, again: one.of !== null, what: one.what, heard })
    // Only who executes forgets the answers that were heard.
    if (executed(one.what).length > 0) heard = []
    one.of = leader
  }
  const sendAll = () => {
    for (const [number, one] of asked) send(number, one)
  }
  const died = (reason: string) => {
    welcome = false
    for (const [number, one] of asked) {
      if (one.of !== leader || !isOfDatabase(one.what)) continue
      if (one.what._tag === "ExecuteEach" && one.what.each.length > 1) {
        splitUp(number, one, one.what.each)
        continue
      }
      suspects.add(number)
      if (++one.deaths < deathsMax) continue
      suspects.delete(number)
      asked.delete(number)
      one.reject(
        isFull(reason)
          ? new StorageFull({ usedBytes: null, quotaBytes: null })
          : new DatabaseCrashed({ reason })
      )
    }
  }
  /** Some of these were executed, and one of them is what it died of, so that each is asked for alone. */
  const splitUp = (number: number, { of, reject, resolve }: Asked, each: ReadonlyArray<Each>) => {
    asked.delete(number)
    const answers = each.map((one) =>
      new Promise<ReadonlyArray<OneAnswer>>((resolve, reject) => {
        asked.set(++asks, {
          what: { _tag: "ExecuteEach", each: [one] },
          of,
          deaths: 0,
          resolve: resolve as (value: unknown) => void,
          reject
        })
      }).catch((error: unknown): ReadonlyArray<OneAnswer> => {
        if (error instanceof DatabaseCrashed || error instanceof StorageFull)
          return [{ error: encode(error) }]
        throw error
      })
    )
    Promise.all(answers).then((answers) => resolve(answers.flat()), reject)
  }
  const ask = <A>(what: Question): Promise<A> =>
    new Promise<A>((resolve, reject) => {
      const reason = closed ? new ClientClosed() : failure
      if (reason !== undefined) return reject(reason)
      const one: Asked = { what, of: null, deaths: 0, resolve: resolve as (value: unknown) => void, reject }
      asked.set(++asks, one)
      send(asks, one)
    })

  /** For good: who can mend it reloads the tab. */
  const fail = (error: Error) => {
    failure = error
    refuse(error)
    views.live.close(
      new DatabaseNotOpen({
        message: `The local database could not be opened. ${error.message}`,
        cause: error
      })
    )
    for (const { reject } of asked.values()) reject(error)
    asked.clear()
  }

  void worker.failed.then(fail)

  const hear = (message: ToTab) => {
    if (message.leader !== leader || closed || failure !== undefined) return
    switch (message._tag) {
      case "Welcome":
        welcome = true
        views.status.set(message.status)
        views.rejected.set(message.rejected)
        sendAll()
        views.live.restart()
        return open()
      case "Refused":
        return fail(decodeError(message.error))
      case "Died":
        return died(message.reason)
      case "Status":
        return views.status.set(message.status)
      case "Rejected":
        return views.rejected.set(message.rejected)
      case "Shown":
        for (const query of message.queries)
          views.live.show(
            query.key,
            "error" in query
              ? { error: decodeError(query.error) as never }
              : {
                  rows: (before) =>
                    // After another leader's rows, those that stay are told by their values.
                    query.first ? shareRows(before, patch([], query.delta)) : patch(before, query.delta)
                }
          )
        return
      case "Answer": {
        const one = asked.get(message.ask)
        if (one === undefined) return
        asked.delete(message.ask)
        heard.push(...executed(one.what))
        if ("error" in message) one.reject(decodeError(message.error))
        else one.resolve(message.value)
        if (suspects.delete(message.ask)) sendAll()
      }
    }
  }

  const own = surroundings.channel(tabChannelName(store, tab), (message) => hear(message as ToTab))
  const common = surroundings.channel(channelName(store), (message) => {
    const heard = message as Common
    if (heard._tag !== "Leads" || heard.leader === leader || closed || failure !== undefined) return
    leader = heard.leader
    welcome = false
    common.send({ _tag: "Hello", leader, tab, userId, version } satisfies Common)
  })
  // The leader hears by this lock that the tab is gone, so it is there before the leader is asked for anything.
  surroundings
    .lock(tabLockName(tab), () => {
      common.send({ _tag: "Who" } satisfies Common)
      return ended
    })
    .catch(() => {})
  const unsubscribe = surroundings.connectivity.subscribe((online) => {
    if (online && welcome) tell({ _tag: "Online" })
  })
  views.live.delegate({
    run: (queries) => {
      // When there is a leader, it is asked for all of them.
      if (welcome) tell({ _tag: "Watch", queries })
    },
    end: (key) => {
      if (welcome) tell({ _tag: "Unwatch", key })
    }
  })

  const encoded = (operation: Action.AnyOperation): Promise<EncodedOperation> =>
    Effect.runPromise(Effect.either(Action.encode(operation))).then((args) => {
      if (args._tag === "Left") throw args.left
      return { name: operation.action.name, version: operation.action.version, args: args.right }
    })
  /** Calls are sent in the order in which they were made, though encoding takes a moment. */
  let last: Promise<unknown> = Promise.resolve()
  const running = new Set<Promise<unknown>>()
  const local = <A>(promise: Promise<A>): Promise<A> => {
    running.add(promise)
    const done = () => void running.delete(promise)
    promise.then(done, done)
    return promise
  }
  const use = <A>(f: () => Promise<A>): Promise<A> =>
    closing === undefined ? f() : Promise.reject(new ClientClosed())
  const inTurn = <A, B>(prepare: () => Promise<A>, then: (prepared: A) => Promise<B>): Promise<B> => {
    const before = last
    const sent = use(prepare).then(async (value) => {
      await before
      return { answer: then(value) }
    })
    last = sent.then(
      () => {},
      () => before
    )
    return local(sent.then(({ answer }) => answer))
  }
  const now = <A>(question: Question): Promise<A> => use(() => ask<A>(question))
  const afterLocal = <A>(question: Question): Promise<A> =>
    use(() => Promise.allSettled(running).then(() => ask<A>(question)))

  const executing = <Result>(id: RecordId, executed: Promise<Result>): ExecutionPromise<Result> =>
    executionOf(executed, {
      outcome: () => executed.then(() => ask<never>({ _tag: "Outcome", id })),
      recordId: () => executed.then(() => id)
    })
  const execute = (
    operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>,
    { transaction = true }: { readonly transaction?: boolean } = {}
  ): unknown => {
    const id = crypto.randomUUID() as RecordId
    if (!isList(operations))
      return executing(
        id,
        inTurn(
          () => encoded(operations),
          (operation) => ask({ _tag: "Execute", operation, id })
        )
      )
    if (transaction)
      return executing(
        id,
        inTurn(
          () => Promise.all(operations.map(encoded)),
          (operations) => ask({ _tag: "ExecuteAll", operations, id })
        )
      )
    return inTurn(() => Promise.all(operations.map(encodedWithId)), executeEach)
  }
  const encodedWithId = (operation: Action.AnyOperation) =>
    encoded(operation).then(
      (operation) => ({ operation, id: crypto.randomUUID() as RecordId }),
      (error: unknown) => ({ error })
    )
  const executeEach = async (prepared: ReadonlyArray<Awaited<ReturnType<typeof encodedWithId>>>) => {
    const each = prepared.filter((one) => "id" in one)
    const answers = await ask<ReadonlyArray<OneAnswer>>({ _tag: "ExecuteEach", each })
    let next = 0
    return prepared.map((one) => {
      if ("error" in one) return { _tag: "Failure", error: one.error }
      const answer = answers[next++]!
      return "error" in answer
        ? { _tag: "Failure", error: decodeError(answer.error) }
        : { _tag: "Success", value: answer.value, id: one.id }
    })
  }

  const client: PromiseClient = {
    ready: opened,
    execute: execute as PromiseClient["execute"],
    executeAction: (action, args) => (execute as PromiseClient["execute"])(action(args)),
    query: (sql, params = [], decode) => {
      const rows = local(now<ReadonlyArray<unknown>>({ _tag: "Query", sql, params }))
      const either = rowDecoder(decode?.schema)
      return rows.then((rows) => {
        const decoded = either(rows)
        if (decoded._tag === "Left") throw decoded.left
        return decoded.right
      })
    },
    liveQuery: (sql, params, { lazy = false, schema } = {}) =>
      liveHandle(views, { sql, params, schema, lazy }),
    status: views.status,
    sync: () => afterLocal({ _tag: "Sync" }),
    settled: () => afterLocal({ _tag: "Settled" }),
    pause: () => now({ _tag: "Pause" }),
    resume: () => now({ _tag: "Resume" }),
    pending: () => afterLocal<ReadonlyArray<Replica.PendingSummary>>({ _tag: "Pending" }),
    outcome: (id) => now({ _tag: "Outcome", id }),
    rejected: {
      get: views.rejected.get,
      subscribe: views.rejected.subscribe,
      list: () => now({ _tag: "Rejected" }),
      retry: (rejected) => {
        const id = crypto.randomUUID() as RecordId
        return executing(id, local(now({ _tag: "Retry", rejected, id })))
      },
      dismiss: (rejected) => local(now({ _tag: "Dismiss", rejected }))
    },
    inspect: (question) => now({ _tag: "Inspect", question }),
    close: () => {
      closing ??= Promise.allSettled(running).then(async () => {
        closed = true
        tell({ _tag: "Bye" })
        for (const { reject } of asked.values()) reject(new ClientClosed())
        asked.clear()
        views.live.close()
        refuse(new ClientClosed())
        unsubscribe()
        own.close()
        common.close()
        end()
        await worker.close()
      })
      return closing
    }
  }
  return {
    ...client,
    // biome-ignore lint/suspicious/noThenProperty: awaiting the client waits for the database; it gives the client without `then`
    then: (onOpen, onError) => opened.then(() => client).then(onOpen, onError)
  }
}

/** Whether the database alone answers it, so that it ends soon. */
const isOfDatabase = ({ _tag }: Question): boolean =>
  _tag === "Execute" ||
  _tag === "ExecuteAll" ||
  _tag === "ExecuteEach" ||
  _tag === "Query" ||
  _tag === "Retry" ||
  _tag === "Dismiss"

type Distribute<Message> = Message extends { readonly leader: string } ? Omit<Message, "leader"> : never

/** The records that a question makes. */
const executed = (question: Question): ReadonlyArray<RecordId> =>
  question._tag === "ExecuteEach"
    ? question.each.map(({ id }) => id)
    : "id" in question && question._tag !== "Outcome"
      ? [question.id]
      : []

const isList = (
  operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>
): operations is ReadonlyArray<Action.AnyOperation> => Array.isArray(operations)

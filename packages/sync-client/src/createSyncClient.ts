/** A client with a database of its own, in this process. */
import type { Action, Replica } from "@synchrotron/sync-core"
import { Cause, Effect, Exit, Scope } from "effect"
import { ClientClosed, DatabaseNotOpen } from "./Errors.ts"
import { executionOf } from "./executionOf.ts"
import { liveHandle } from "./liveHandle.ts"
import type { ExecutionPromise, OpeningClient, PromiseClient } from "./PromiseClient.ts"
import * as SyncClient from "./SyncClient.ts"
import { decoder } from "./typedRows.ts"
import { makeViews } from "./Views.ts"

/**
 * Opens the local database and connects it to the server.
 *
 * ```ts
 * const client = createSyncClient({ app, dataDir: "idb://todo", server: { url: "/", token } })
 * await client.execute(addTodo({ listId, title: "Milk" }))
 * ```
 *
 * The client works at once: what is asked of it waits for the database. `await createSyncClient(...)` waits for
 * it here, and rejects with the reason when it cannot be opened (see `SyncClient.OpenError`).
 */
export const createSyncClient = (options: SyncClient.Options): OpeningClient => {
  const views = makeViews()
  const scope = Effect.runSync(Scope.make())
  let closing: Promise<void> | undefined
  const opened = run(
    Scope.extend(SyncClient.open({ ...options, views }), scope).pipe(
      // What could not be opened is not held, so that it can be deleted, or opened in another way.
      Effect.tapErrorCause(() => Scope.close(scope, Exit.void))
    )
  )
  // Whoever uses the client hears of it; nobody is to be told by an unhandled rejection besides.
  opened.catch((cause: Error) => {
    views.live.close(
      new DatabaseNotOpen({ message: `The local database could not be opened. ${cause.message}`, cause })
    )
  })

  const running = new Set<Promise<unknown>>()
  const use = async <A, E>(f: (client: SyncClient.SyncClient) => Effect.Effect<A, E>): Promise<A> => {
    if (closing !== undefined) throw new ClientClosed()
    const client = await opened
    return run(f(client))
  }
  /** What the database does; closing waits for it. */
  const local = <A, E>(f: (client: SyncClient.SyncClient) => Effect.Effect<A, E>): Promise<A> => {
    const promise = use(f)
    running.add(promise)
    const done = () => void running.delete(promise)
    promise.then(done, done)
    return promise
  }
  /** What comes after the operations that were begun before it, though nobody awaited them. */
  const afterLocal: typeof use = (f) => Promise.allSettled(running).then(() => use(f))
  const executing = <Result>(
    submit: (client: SyncClient.SyncClient) => Effect.Effect<Replica.Executed<Result>, unknown>
  ): ExecutionPromise<Result> => {
    const executed = local(submit)
    return executionOf(
      executed.then(({ value }) => value),
      {
        outcome: () => executed.then(({ id }) => use((client) => client.outcome(id))),
        recordId: () => executed.then(({ id }) => id)
      }
    )
  }
  // biome-ignore lint/suspicious/noExplicitAny: the overloads of PromiseClient.execute say what goes in and out
  const execute: any = (
    operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>,
    { transaction = true }: { readonly transaction?: boolean } = {}
  ) =>
    isList(operations) && !transaction
      ? local((client) => client.execute(operations, { transaction: false }))
      : executing<unknown>((client) =>
          isList(operations) ? client.submit(operations) : client.submit(operations)
        )

  const client: PromiseClient = {
    ready: opened.then(() => {}),
    execute,
    executeAction: (action, args) => execute(action(args)),
    query: (sql, params, options) =>
      local((client) => Effect.flatMap(client.query(sql, params), decoder(options?.schema))),
    liveQuery: (sql, params, { lazy = false, schema } = {}) =>
      liveHandle(views, { sql, params, schema, lazy }),
    status: views.status,
    sync: () => afterLocal((client) => client.sync),
    settled: () => afterLocal((client) => client.settled),
    pause: () => use((client) => client.pause),
    resume: () => use((client) => client.resume),
    pending: () => afterLocal((client) => client.pending),
    outcome: (id) => use((client) => client.outcome(id)),
    rejected: {
      get: views.rejected.get,
      subscribe: views.rejected.subscribe,
      list: () => use((client) => client.rejected.list),
      retry: (id) => executing((client) => client.rejected.retry(id)),
      dismiss: (id) => use((client) => client.rejected.dismiss(id))
    },
    inspect: (question) => use((client) => client.inspect(question)),
    close: () => {
      closing ??= Promise.allSettled([opened, ...running]).then(() => run(Scope.close(scope, Exit.void)))
      return closing
    }
  }
  client.ready.catch(() => {})
  return {
    ...client,
    // biome-ignore lint/suspicious/noThenProperty: awaiting the client waits for the database; it gives the client without `then`
    then: (onOpen, onError) => opened.then(() => client).then(onOpen, onError)
  }
}

const isList = (
  operations: Action.AnyOperation | ReadonlyArray<Action.AnyOperation>
): operations is ReadonlyArray<Action.AnyOperation> => Array.isArray(operations)

const run = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  // Effect hands errors on behind a proxy that knows where they came from; callers get the error itself.
  throw Cause.isInterruptedOnly(exit.cause)
    ? new ClientClosed()
    : Cause.originalError(Cause.squash(exit.cause))
}

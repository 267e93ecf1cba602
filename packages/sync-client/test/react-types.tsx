/** What the hooks and the client infer: checked with the types of everything, never run. */
import type {
  ClientClosed,
  ExecutionError,
  LiveQueryError,
  PromiseClient,
  Status
} from "@synchrotron/sync-client"
import {
  useAction,
  useLiveQuery,
  usePending,
  useSuspenseQuery,
  useSyncStatus
} from "@synchrotron/sync-client/react"
import type { ArgsInvalid, Outcome } from "@synchrotron/sync-core"
import { Schema } from "effect"
import { expectTypeOf } from "vitest"
import { addTag, addTodo, renameTodo, type TitleTaken } from "./fixture.ts"

const Row = Schema.Struct({ id: Schema.UUID, at: Schema.Date })

export const Queries = () => {
  const plain = useLiveQuery("SELECT 1")
  expectTypeOf(plain.rows).toEqualTypeOf<ReadonlyArray<Record<string, unknown>>>()
  expectTypeOf(plain.error).toEqualTypeOf<LiveQueryError | null>()
  expectTypeOf(useLiveQuery<{ n: number }>("SELECT 1").rows).toEqualTypeOf<ReadonlyArray<{ n: number }>>()
  expectTypeOf(useLiveQuery("SELECT 1", [], { schema: Row }).rows).toEqualTypeOf<
    ReadonlyArray<{ readonly id: string; readonly at: Date }>
  >()
  expectTypeOf(useSuspenseQuery("SELECT 1", [], { schema: Row })).toEqualTypeOf<
    ReadonlyArray<{ readonly id: string; readonly at: Date }>
  >()
  expectTypeOf(useSyncStatus()).toEqualTypeOf<Status>()
  expectTypeOf(useSyncStatus((status) => status.pending)).toEqualTypeOf<number>()
  expectTypeOf(usePending()).toEqualTypeOf<ReadonlySet<string>>()
  return null
}

const both = (title: string) => [addTodo({ id: "", title }), addTag({ id: "", name: title })]
const either = (done: boolean, title: string) => (done ? renameTodo : addTodo)({ id: "", title })

export const Actions = () => {
  const { run, runs, state } = useAction(addTodo)
  expectTypeOf(run).parameters.toEqualTypeOf<[{ readonly id: string; readonly title: string }]>()
  expectTypeOf(run({ id: "", title: "" }).then).toEqualTypeOf<Promise<number>["then"]>()
  if (state.state === "confirmed") {
    expectTypeOf(state.value).toEqualTypeOf<number>()
    expectTypeOf(state.outcome).toEqualTypeOf<Outcome | { readonly _tag: "forgotten" }>()
  }
  if (state.state === "error") {
    expectTypeOf(state.error).toEqualTypeOf<ExecutionError<TitleTaken>>()
    expectTypeOf(state.error).extract<TitleTaken>().toEqualTypeOf<TitleTaken>()
    expectTypeOf(state.error).extract<ArgsInvalid>().toEqualTypeOf<ArgsInvalid>()
    expectTypeOf(state.error).extract<ClientClosed>().toEqualTypeOf<ClientClosed>()
    if (state.error._tag === "TitleTaken") expectTypeOf(state.error.title).toEqualTypeOf<string>()
  }
  expectTypeOf(runs[0]!.args[0].title).toEqualTypeOf<string>()

  const batch = useAction(both)
  expectTypeOf(batch.run).parameters.toEqualTypeOf<[title: string]>()
  if (batch.state.state === "error")
    expectTypeOf(batch.state.error).toEqualTypeOf<ExecutionError<TitleTaken>>()
  const pair = useAction((id: string) => [addTodo({ id, title: "" }), addTag({ id, name: "" })])
  if (pair.state.state === "confirmed") expectTypeOf(pair.state.value[0]).toEqualTypeOf<number>()
  const one = useAction(either)
  expectTypeOf(one.run).parameters.toEqualTypeOf<[done: boolean, title: string]>()
  if (one.state.state === "error") expectTypeOf(one.state.error).toEqualTypeOf<ExecutionError<TitleTaken>>()
  return null
}

export const promises = async (client: PromiseClient) => {
  const result = await client.execute(addTodo({ id: "", title: "" })).result()
  if (result._tag === "Success") expectTypeOf(result.value).toEqualTypeOf<number>()
  else expectTypeOf(result.error).toEqualTypeOf<ExecutionError<TitleTaken>>()
  const batch = await client.execute([addTodo({ id: "", title: "" }), addTag({ id: "", name: "" })]).result()
  if (batch._tag === "Failure") expectTypeOf(batch.error).toEqualTypeOf<ExecutionError<TitleTaken>>()
  else expectTypeOf(batch.value[0]).toEqualTypeOf<number>()
  const rows = await client.query("SELECT 1", [], { schema: Row })
  expectTypeOf(rows).toEqualTypeOf<ReadonlyArray<{ readonly id: string; readonly at: Date }>>()
  // @ts-expect-error the arguments of another action
  await client.executeAction(addTodo, { id: "", name: "" })
}

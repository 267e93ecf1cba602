import type { ExecutionPromise } from "./PromiseClient.ts"

/** What a client gives for an operation that is running. */
export const executionOf = <Result>(
  value: Promise<Result>,
  record: Pick<ExecutionPromise<Result>, "outcome" | "recordId">
): ExecutionPromise<Result> =>
  Object.assign(value, {
    ...record,
    result: () =>
      value.then(
        async (value) => ({ _tag: "Success", value, id: await record.recordId() }) as const,
        (error: unknown) => ({ _tag: "Failure", error }) as const
      )
  })

/** Turns the failure of a record into the reason that its client gets. */
import { Execution, type Protocol } from "@synchrotron/sync-core"
import { Cause, Option, ParseResult, Schema } from "effect"

const byState: ReadonlyArray<readonly [RegExp, Protocol.RejectionClass]> = [
  [/^(42501|44000)$/, "denied"],
  [/^23/, "constraint"],
  [/^22/, "invalid"],
  [/^(P0001|25P02|57014)$/, "failed"]
]

export const rejectionOf = (cause: Cause.Cause<unknown>): typeof Protocol.Rejection.Type => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (failure === undefined) {
    return { class: "defect", message: `The action crashed: ${messageOf(Cause.squash(cause))}` }
  }
  if (failure instanceof Execution.UnknownAction) return { class: "unknown_action", message: failure.message }
  if (ParseResult.isParseError(failure)) return { class: "invalid", message: failure.message }
  const state = Execution.sqlState(failure)
  if (isTagged(failure) && failure._tag === "SqlError") {
    const found = byState.find(([pattern]) => pattern.test(state ?? ""))
    return {
      class: found?.[1] ?? "defect",
      message:
        state === "25P02"
          ? "A statement failed and the action went on as if it had not."
          : messageOf(failure.cause ?? failure)
    }
  }
  return { class: "failed", message: messageOf(failure), ...detailOf(failure) }
}

const isTagged = (value: unknown): value is { readonly _tag: string; readonly cause?: unknown } =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value._tag === "string"

const messageOf = (error: unknown): string => {
  if (error instanceof Error && error.message !== "") return error.message.slice(0, 2000)
  if (isTagged(error)) return error._tag
  return String(error).slice(0, 2000)
}

// An error that is a Schema class says itself how it encodes; others are given as far as JSON can hold them.
const detailOf = (error: unknown): { readonly detail?: unknown } => {
  try {
    const encoded =
      typeof error === "object" && error !== null && Schema.isSchema(error.constructor)
        ? Schema.encodeUnknownSync(error.constructor as unknown as Schema.Schema<unknown>)(error)
        : (JSON.parse(JSON.stringify(error)) as unknown)
    return { detail: encoded }
  } catch {
    return {}
  }
}

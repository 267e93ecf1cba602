/** Why a command could not do its work, as a sentence for whoever typed it. */
import { Data } from "effect"

export class CommandFailed extends Data.TaggedError("CommandFailed")<{ readonly message: string }> {}

/** The sentence for any error: its own message, with the innermost cause when there is one. */
export const sentence = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const inner = innermost(error)
  if (inner === error || error.message.includes(inner.message)) return error.message
  return `${error.message}: ${inner.message}`
}

const innermost = (error: Error): Error => {
  let current = error
  for (let depth = 0; depth < 8 && current.cause instanceof Error; depth++) current = current.cause
  return current
}

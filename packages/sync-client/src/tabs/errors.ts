/** Errors on their way between tabs: structured cloning keeps neither their class nor their fields. */
import { SqlError } from "@effect/sql/SqlError"
import {
  ActionCrashed,
  AnswerLost,
  ArgsInvalid,
  DatabaseOfOther,
  DatabaseTooNew,
  Impure,
  MigrationChanged,
  NotInJournal,
  RecordNotFound,
  RowsInvalid,
  TablesUnsupported
} from "@synchrotron/sync-core"
import * as Client from "../Errors.ts"

/** An error that can be cloned. */
export interface ErrorText {
  readonly tag: string | undefined
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly fields: Readonly<Record<string, unknown>>
}

/** A class of tagged errors, such as `Schema.TaggedError` makes. */
// biome-ignore lint/suspicious/noExplicitAny: each class takes fields of its own
export type ErrorClass = new (fields: any) => Error & { readonly _tag: string }

const isError = (value: unknown): value is Error & Readonly<Record<string, unknown>> => value instanceof Error

export const encode = (error: unknown): ErrorText => {
  if (!isError(error)) {
    const tag = (error as { _tag?: unknown } | null)?._tag
    return {
      tag: typeof tag === "string" ? tag : undefined,
      name: "Error",
      message: typeof error === "string" ? error : "",
      stack: undefined,
      fields: typeof error === "object" && error !== null ? cloneable(error) : {}
    }
  }
  return {
    tag: typeof error._tag === "string" ? error._tag : undefined,
    name: error.name,
    message: error.message,
    stack: error.stack,
    fields: cloneable(error)
  }
}

/** Its own fields: errors among them, such as a cause, as texts; what cannot be cloned is left out. */
const cloneable = (value: object): Readonly<Record<string, unknown>> => {
  const fields: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(value), ...("cause" in value ? ["cause"] : [])])) {
    if (key === "_tag" || key === "name" || key === "stack") continue
    const field = (value as Readonly<Record<string, unknown>>)[key]
    if (isError(field)) fields[key] = { [nested]: encode(field) }
    else {
      try {
        fields[key] = structuredClone(field)
      } catch {
        // A function, or something that has one.
      }
    }
  }
  return fields
}

const nested = "synchrotron.error"

/** One by one: who iterates over the package's exports has the whole engine on the page. */
const core = [
  ActionCrashed,
  AnswerLost,
  ArgsInvalid,
  DatabaseOfOther,
  DatabaseTooNew,
  Impure,
  MigrationChanged,
  NotInJournal,
  RecordNotFound,
  RowsInvalid,
  TablesUnsupported
]

/**
 * Turns texts into errors of these classes and the engine's own. One of another class is an `Error` with the same fields,
 * `_tag` included.
 */
export const decoder = (classes: ReadonlyArray<ErrorClass>): ((text: ErrorText) => Error) => {
  const byTag = new Map<string, ErrorClass>()
  for (const one of [...Object.values(Client), ...core, ...classes])
    byTag.set(String((one as unknown as { _tag: unknown })._tag), one as unknown as ErrorClass)
  byTag.set("SqlError", SqlError as unknown as ErrorClass)
  const decode = (text: ErrorText): Error => {
    const fields = Object.fromEntries(
      Object.entries(text.fields).map(([key, value]) => [
        key,
        typeof value === "object" && value !== null && nested in value
          ? decode((value as { [nested]: ErrorText })[nested])
          : value
      ])
    )
    const Class = text.tag === undefined ? undefined : byTag.get(text.tag)
    if (Class !== undefined) {
      try {
        return Object.assign(new Class({ ...fields, message: text.message }), { stack: text.stack })
      } catch {
        // A field that could not be cloned is missing.
      }
    }
    const { tag: _tag } = text
    return Object.assign(new Error(text.message), fields, {
      name: text.name,
      stack: text.stack,
      ...(_tag === undefined ? {} : { _tag })
    })
  }
  return decode
}

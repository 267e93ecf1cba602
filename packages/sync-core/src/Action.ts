/**
 * Actions: the mutations of an application, as deterministic functions of a database and validated arguments.
 *
 * The same function runs on the author's PGlite at once, on the authority as the author, and on any replica that
 * replays it. So it may use only its arguments, its context and SQL; what else it needs (a file's hash, a price
 * from a service) goes into the arguments.
 */
import type { SqlClient } from "@effect/sql"
import { Effect, Schema } from "effect"
import { ArgsInvalid } from "./Errors.ts"
import { ActionName, ActionVersion, type RecordId } from "./Ids.ts"
import type { Principal } from "./Principal.ts"

/** What an action may know besides its arguments. The same on every replica that executes the record. */
export interface ActionContext {
  /** The record's id. */
  readonly id: RecordId
  /** The record's time: the milliseconds of its HLC. SQL's `now()` gives the same. */
  readonly now: Date
  /** A UUID that depends on the record and on `key` only. Use one key per thing that the action creates. */
  readonly uuid: (key: string) => string
  /** The next number in [0, 1) of a sequence that depends on the record only. */
  readonly random: () => number
  /** The author. */
  readonly principal: Principal
}

export interface ActionInput<Args> {
  readonly args: Args
  readonly sql: SqlClient.SqlClient
  readonly ctx: ActionContext
}

/** An action with its types erased, as a registry holds it. */
export interface AnyAction {
  readonly name: string
  readonly version: number
  // biome-ignore lint/suspicious/noExplicitAny: a registry holds actions of every argument type
  readonly args: Schema.Schema<any, any, never>
  // biome-ignore lint/suspicious/noExplicitAny: as above; the executor decodes `args` before it calls `run`
  readonly run: (input: ActionInput<any>) => Effect.Effect<any, any, SqlClient.SqlClient>
}

/** A named, versioned action. Call it to build an {@link Operation}; `client.execute` runs the operation. */
export interface Action<Args, Encoded, Result, E> {
  (args: Args): Operation<Result, E>
  readonly actionName: string
  readonly definition: AnyAction
  /** Only for types: the arguments as the application writes them and as they travel. */
  readonly Args: Args
  readonly Encoded: Encoded
}

/** An action with its arguments, that nothing has run yet. */
export interface Operation<out Result, out E> {
  readonly action: AnyAction
  readonly args: unknown
  readonly _result?: () => Result
  readonly _error?: () => E
}

export type AnyOperation = Operation<unknown, unknown>

/**
 * Defines an action.
 *
 * @param name unique in the application, such as `todo.add`; it is stored in records, so it never changes. 1 to 200
 *   characters without control characters; the wire refuses others, so this throws
 * @param options.version raise it when the meaning of stored records would change; 1 unless given
 * @param options.args Schema of the arguments; they are encoded to JSON in the record
 * @param options.run the business logic. A failure of any kind undoes everything that it wrote. Results are read whole:
 *   `.stream` of a statement does not work on the authority's connections.
 */
export const make = <Args, Encoded, Result, E>(
  name: string,
  options: {
    readonly version?: number
    readonly args: Schema.Schema<Args, Encoded, never>
    readonly run: (input: ActionInput<Args>) => Effect.Effect<Result, E, SqlClient.SqlClient>
  }
): Action<Args, Encoded, Result, E> => {
  const version = options.version ?? 1
  if (!isName(name))
    throw new Error(
      `Action.make: the name ${JSON.stringify(name)} cannot travel in a record. Use 1 to 200 characters, none of them a control character (such as a line break) or a lone surrogate.`
    )
  if (!isVersion(version))
    throw new Error(
      `Action.make: the version ${version} of ${name} cannot travel in a record. Use a whole number from 1 to 2147483647.`
    )
  const definition: AnyAction = { name, version, args: options.args, run: options.run }
  const build = (args: Args): Operation<Result, E> => ({ action: definition, args })
  return Object.assign(build, { actionName: name, definition }) as unknown as Action<Args, Encoded, Result, E>
}

const isName = Schema.is(ActionName)
const isVersion = Schema.is(ActionVersion)

/** The arguments as records and messages have them. What JSON does not hold (NaN, bigint) is refused here, not on the server. */
export const encode = ({ action, args }: AnyOperation): Effect.Effect<unknown, ArgsInvalid> =>
  Schema.encode(action.args)(args).pipe(
    Effect.flatMap((encoded) =>
      Effect.try({
        try: () => JSON.parse(JSON.stringify(encoded ?? null)) as unknown,
        catch: (error) =>
          new Error(`JSON cannot hold them (${error instanceof Error ? error.message : error})`)
      })
    ),
    Effect.mapError((error) => misfit(action, error))
  )

/** @internal */
export const misfit = ({ name }: AnyAction, error: Error): ArgsInvalid =>
  new ArgsInvalid({
    action: name,
    message: `The arguments of ${name} do not fit its schema: ${error.message}`
  })

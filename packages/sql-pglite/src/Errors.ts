/**
 * What can go wrong with a PGlite connection, one class per distinct recovery.
 *
 * | class | where it appears | what to do |
 * |---|---|---|
 * | `PgliteError` | `SqlError.cause` | the server refused a statement: read `code` (SQLSTATE) |
 * | `PgliteDead` | `SqlError.cause` | the instance is unusable: close the scope and open the store again |
 * | `PgliteLocked` | error channel of `PgliteClient.make` | another opener owns the directory: close it first |
 */
import { SqlError } from "@effect/sql/SqlError"
import * as Data from "effect/Data"

/** The fields of a Postgres ErrorResponse, under the names that node-pg's `DatabaseError` gives them. */
export interface ErrorFields {
  readonly message: string
  readonly severity?: string | undefined
  /** SQLSTATE, five characters. */
  readonly code?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** 1-based character offset into the statement, as a decimal string. */
  readonly position?: string | undefined
  readonly internalPosition?: string | undefined
  readonly internalQuery?: string | undefined
  readonly where?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly dataType?: string | undefined
  readonly constraint?: string | undefined
  readonly file?: string | undefined
  readonly line?: string | undefined
  readonly routine?: string | undefined
}

/**
 * An error reported by the server. It has the property names of node-pg's `DatabaseError`, so that
 * `sqlState` and code that reads `cause.constraint` work alike on PGlite and on Postgres.
 */
export class PgliteError extends Error implements ErrorFields {
  override readonly name = "PgliteError"
  declare readonly severity: string | undefined
  declare readonly code: string | undefined
  declare readonly detail: string | undefined
  declare readonly hint: string | undefined
  declare readonly position: string | undefined
  declare readonly internalPosition: string | undefined
  declare readonly internalQuery: string | undefined
  declare readonly where: string | undefined
  declare readonly schema: string | undefined
  declare readonly table: string | undefined
  declare readonly column: string | undefined
  declare readonly dataType: string | undefined
  declare readonly constraint: string | undefined
  declare readonly file: string | undefined
  declare readonly line: string | undefined
  declare readonly routine: string | undefined

  constructor({ message, ...fields }: ErrorFields, options?: ErrorOptions) {
    super(message, options)
    Object.assign(this, fields)
  }
}

/**
 * The instance can no longer be trusted: it broke off in the middle of a reply, was closed, or could not
 * write its store. Everything committed and flushed before is still in the store. Close this client's scope
 * and make a new client on the same `dataDir`.
 */
export class PgliteDead extends Data.TaggedError("PgliteDead")<{ readonly reason: string }> {
  override get message(): string {
    return `The PGlite instance is dead (${this.reason}). Close this client and reopen the store.`
  }
}

/**
 * Another opener owns the data directory. Two PGlite instances on one directory would diverge and corrupt
 * it. Close the other one (its process id is `pid`, on `host`) and try again.
 */
export class PgliteLocked extends Data.TaggedError("PgliteLocked")<{
  readonly dataDir: string
  readonly lockFile: string
  readonly pid: number
  readonly host: string
}> {
  override get message(): string {
    return (
      `The data directory ${this.dataDir} is in use by process ${this.pid} on ${this.host}. ` +
      `Close that process or client, or, when it certainly is gone, delete ${this.lockFile}.`
    )
  }
}

/**
 * The SQLSTATE of an error of either driver, given the `SqlError` or its cause, or `undefined` when the error
 * did not come from the server.
 */
export const sqlState = (error: unknown): string | undefined => {
  let current = error
  for (let depth = 0; depth < 4 && typeof current === "object" && current !== null; depth++) {
    const { code, severity, cause } = current as { code?: unknown; severity?: unknown; cause?: unknown }
    // Node's own errors carry `code` too (ECONNREFUSED, EPIPE): a server error also has a severity.
    if (typeof code === "string" && severity !== undefined && /^[0-9A-Z]{5}$/.test(code)) return code
    current = cause
  }
  return undefined
}

/** @internal */
export const sqlError = (cause: PgliteError | PgliteDead): SqlError =>
  new SqlError({
    cause,
    message: cause instanceof PgliteDead ? cause.message : `Failed to execute statement: ${cause.message}`
  })

/** @internal */
export const clientError = (code: string, message: string, cause?: unknown): PgliteError =>
  new PgliteError({ severity: "ERROR", code, message }, cause === undefined ? undefined : { cause })

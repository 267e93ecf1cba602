/** What clients are told when the database fails. They keep everything and try again. */
import type { SqlError } from "@effect/sql"
import { Execution, Protocol } from "@synchrotron/sync-core"
import { schemaChanged } from "./schema.ts"

export const databaseUnavailable = (error: SqlError.SqlError): Protocol.Unavailable =>
  new Protocol.Unavailable({
    message:
      Execution.sqlState(error) === schemaChanged
        ? "The database was prepared for another version of the application than this server's. Replace the server; clients keep everything and try again."
        : "The server's database does not answer. Nothing is lost; the client tries again."
  })

/** Reading the local database: in a read-only transaction, so that no write goes around actions. */
import type { SqlClient, SqlConnection, SqlError } from "@effect/sql"
import { type PgliteConnection, type Row, sqlState } from "@synchrotron/sql-pglite"
import { Effect } from "effect"
import { ReadOnlyQuery } from "./Errors.ts"

/** Runs one statement, with `$1`, `$2` … for the parameters. */
export type Query = (
  sql: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, ReadOnlyQuery | SqlError.SqlError>

/** One query in a transaction of its own. */
export const query =
  (client: SqlClient.SqlClient): Query =>
  (sql, params = []) =>
    snapshot(client, (run) => run(sql, params))

/**
 * Several queries on one state of the database: nothing commits between them. The transaction is rolled back at
 * its end, which also takes back what a `SET` did; after a query that failed a new one begins.
 */
export const snapshot = <A, E>(
  client: SqlClient.SqlClient,
  body: (query: Query) => Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError.SqlError> =>
  Effect.scoped(
    Effect.gen(function* () {
      // The driver rolls back when the reservation ends.
      const connection = yield* client.reserve
      const begin = connection.executeUnprepared("BEGIN READ ONLY", [], undefined)
      const restart = Effect.zipRight(connection.executeUnprepared("ROLLBACK", [], undefined), begin)
      yield* begin
      return yield* body((sql, params = []) =>
        Effect.catchAll(one(connection, sql, params), (error) =>
          Effect.zipRight(
            restart,
            Effect.fail(sqlState(error) === readOnlySqlTransaction ? new ReadOnlyQuery({ sql }) : error)
          )
        )
      )
    })
  )

const readOnlySqlTransaction = "25006"

/** By the extended protocol, which takes one statement: `COMMIT; INSERT …` cannot leave the transaction. */
const one = (connection: SqlConnection.Connection, sql: string, params: ReadonlyArray<unknown>) =>
  "pipeline" in connection
    ? Effect.map((connection as PgliteConnection).pipeline([{ sql, params }]), ([rows]) => rows ?? [])
    : connection.execute(sql, params, undefined)

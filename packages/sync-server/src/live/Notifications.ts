/** LISTEN on the server's database: on a connection of its own where there are several, and heard in the process otherwise. */
import { SqlClient, SqlError } from "@effect/sql"
import type { PgliteClient } from "@synchrotron/sql-pglite"
import { identifier } from "@synchrotron/sync-core"
import { Context, Deferred, Effect, Layer, type Scope } from "effect"
import pg from "pg"

export interface NotificationsService {
  /**
   * Calls the function with each payload, from when the effect succeeds until the scope is closed or `lost` fails, after
   * which nothing more is heard.
   */
  readonly listen: (
    channel: string,
    onPayload: (payload: string) => void
  ) => Effect.Effect<
    { readonly lost: Effect.Effect<never, SqlError.SqlError> },
    SqlError.SqlError,
    Scope.Scope
  >
}

export class Notifications extends Context.Tag("@synchrotron/sync-server/Notifications")<
  Notifications,
  NotificationsService
>() {}

/** Of the one session that an embedded database has. */
export const layerPglite: Layer.Layer<Notifications, never, SqlClient.SqlClient> = Layer.effect(
  Notifications,
  Effect.map(SqlClient.SqlClient, (sql) => ({
    listen: (channel, onPayload) =>
      Effect.as((sql as PgliteClient["Type"]).subscribe(channel, onPayload), { lost: Effect.never })
  }))
)

/** How often the connection is tried, and how long an answer may take before it counts as broken. */
const beatMs = 15_000
const answerMsMax = 10_000
const closeMsMax = 1000

/**
 * On a connection of its own, which must reach Postgres itself or a pooler in session mode: LISTEN belongs to a session.
 * `listen` of `@effect/sql-pg` does not say when its connection breaks.
 */
export const layerPostgres = (config: pg.ClientConfig): Layer.Layer<Notifications> =>
  Layer.succeed(Notifications, {
    listen: (channel, onPayload) =>
      Effect.gen(function* () {
        const lost = yield* Deferred.make<never, SqlError.SqlError>()
        const lose = (cause: unknown) => Deferred.unsafeDone(lost, Effect.fail(failed(cause)))
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new pg.Client(config)),
          // A broken connection does not answer to its end.
          (client) =>
            Effect.promise(() => client.end()).pipe(Effect.interruptible, Effect.timeoutOption(closeMsMax))
        )
        client.on("error", lose)
        client.on("end", () => lose(new Error("The connection has ended.")))
        client.on("notification", (notification) => {
          if (notification.channel === channel) onPayload(notification.payload ?? "")
        })
        yield* attempt(() => client.connect())
        yield* attempt(() => client.query(`LISTEN ${identifier(channel)}`))
        const beat = attempt(() => client.query("SELECT 1")).pipe(
          Effect.timeoutFail({
            duration: answerMsMax,
            onTimeout: () => failed(new Error(`No answer within ${answerMsMax} ms.`))
          }),
          Effect.delay(beatMs),
          Effect.forever
        )
        return { lost: Effect.raceFirst(Deferred.await(lost), beat) }
      })
  })

const attempt = (run: () => Promise<unknown>) => Effect.tryPromise({ try: run, catch: failed })

const failed = (cause: unknown) =>
  new SqlError.SqlError({ cause, message: "The connection that listens for commits broke" })

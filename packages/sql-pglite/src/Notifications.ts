/** LISTEN and NOTIFY. The server hears its own notifications with the reply of the commit that sends them. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { PgliteConnection } from "./Connection.ts"
import type { Session } from "./Session.ts"

type OnConnection = <A>(
  f: (connection: PgliteConnection) => Effect.Effect<A, SqlError>
) => Effect.Effect<A, SqlError>

export const makeNotifications = (session: Session, onConnection: OnConnection) => {
  const listenersByChannel = new Map<string, Set<(payload: string) => void>>()
  session.onNotification = (channel, payload) => {
    for (const listener of listenersByChannel.get(channel) ?? []) listener(payload)
  }
  const run = (sql: string) =>
    onConnection((connection) => Effect.asVoid(connection.executeUnprepared(sql, [], undefined)))

  const listen = (channel: string): Stream.Stream<string, SqlError> =>
    Stream.asyncPush<string, SqlError>((emit) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          const listener = (payload: string) => void emit.single(payload)
          const listeners = listenersByChannel.get(channel) ?? new Set()
          listenersByChannel.set(channel, listeners.add(listener))
          return Effect.as(run(`LISTEN ${quoteIdentifier(channel)}`), listener)
        }),
        (listener) =>
          Effect.suspend(() => {
            const listeners = listenersByChannel.get(channel)!
            listeners.delete(listener)
            if (listeners.size > 0) return Effect.void
            listenersByChannel.delete(channel)
            return Effect.ignore(run(`UNLISTEN ${quoteIdentifier(channel)}`))
          })
      )
    )

  const notify = (channel: string, payload: string): Effect.Effect<void, SqlError> =>
    onConnection((connection) =>
      Effect.asVoid(connection.execute("SELECT pg_notify($1, $2)", [channel, payload], undefined))
    )

  return { listen, notify }
}

const quoteIdentifier = (name: string): string => `"${name.replace(/"/g, '""')}"`

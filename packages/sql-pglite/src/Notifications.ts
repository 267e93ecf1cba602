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

  /** Hears the channel while the scope is open, from when the effect succeeds. */
  const subscribe = (channel: string, listener: (payload: string) => void) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.suspend(() => {
          const listeners = listenersByChannel.get(channel) ?? new Set()
          listenersByChannel.set(channel, listeners.add(listener))
          return run(`LISTEN ${quoteIdentifier(channel)}`)
        }),
        () =>
          Effect.suspend(() => {
            const listeners = listenersByChannel.get(channel)!
            listeners.delete(listener)
            if (listeners.size > 0) return Effect.void
            listenersByChannel.delete(channel)
            return Effect.ignore(run(`UNLISTEN ${quoteIdentifier(channel)}`))
          })
      )
    )

  const listen = (channel: string): Stream.Stream<string, SqlError> =>
    Stream.asyncPush<string, SqlError>((emit) => subscribe(channel, (payload) => void emit.single(payload)))

  const notify = (channel: string, payload: string): Effect.Effect<void, SqlError> =>
    onConnection((connection) =>
      Effect.asVoid(connection.execute("SELECT pg_notify($1, $2)", [channel, payload], undefined))
    )

  return { subscribe, listen, notify }
}

const quoteIdentifier = (name: string): string => `"${name.replace(/"/g, '""')}"`

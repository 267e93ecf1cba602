/**
 * Wakes whoever waits for commits. One LISTEN for each server process says that there was a commit, one reading of the
 * log says whom it touches; waiting costs an entry in a map, and no connection.
 *
 *     NOTIFY ──► read row_versions after the last reading ──► Registry.tell ──► waiters of these audiences
 *                       └── a table was touched on which audiences depend ──► ask for the waiters' audiences ──► regard
 *
 * Notifications may get lost with the connection: when it is back everybody is woken once. Until then, and in case of a
 * doubt, the log is read every `pollMs`.
 */
import { SqlClient, type SqlError } from "@effect/sql"
import { type Audience, type Principal, Protocol, type Seq, type SyncApp } from "@synchrotron/sync-core"
import { Clock, Context, Deferred, Effect, Layer, Queue, Schedule, type Scope } from "effect"
import { asPrincipal, audiencesIn, audiencesSql } from "../authority/principal.ts"
import { Prepared, type Setup } from "../authority/setup.ts"
import { Notifications } from "./Notifications.ts"
import { Registry, type Waiting } from "./Registry.ts"
import { rightsTables } from "./rights.ts"

export type { Waiting } from "./Registry.ts"

export interface HubService {
  /** True when there may be something new for who has read up to `since`; false when the time is over first. */
  readonly news: (waiting: Waiting) => Effect.Effect<boolean>
  /** The same as a call, perhaps at once; returns how to wait no longer. */
  readonly watch: (waiting: Waiting, wake: (isNews: boolean) => void) => () => void
  /** Ends all waiting, and lets nobody wait any more. */
  readonly close: Effect.Effect<void>
  /** Counts a session until what it gives is called, or refuses it when there are `sessionsMax`. */
  readonly enter: Effect.Effect<() => void, Protocol.Unavailable>
  /** The same while the scope is open. */
  readonly open: Effect.Effect<void, Protocol.Unavailable, Scope.Scope>
  /** Sessions that are open now. */
  readonly sessions: () => number
}

export class Hub extends Context.Tag("@synchrotron/sync-server/Hub")<Hub, HubService>() {}

export interface HubOptions {
  readonly app: SyncApp.SyncApp
  /** Sessions that are open at the same time; 10,000 unless given. More are told to come back. */
  readonly sessionsMax?: number | undefined
}

export const sessionsMaxDefault = 10_000
/** How long the log is not looked at while nothing is heard. */
const pollMs = 10_000
/** Principals whose audiences are read in one round trip. */
const principalsMax = 100
/** By how much a waiter may wait too long. */
const expireMs = 100
const refusedRetryMs = 5000
const failedRetryMs = 1000

const channel = "synchrotron_commits"

const reconnects = Schedule.jittered(
  Schedule.union(Schedule.exponential("100 millis"), Schedule.spaced("5 seconds"))
)

export const layer = (
  options: HubOptions
): Layer.Layer<Hub, SqlError.SqlError, SqlClient.SqlClient | Notifications | Prepared> =>
  Layer.scoped(
    Hub,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const notifications = yield* Notifications
      const setup = yield* Prepared
      const rights = yield* rightsTables(sql, options.app)
      const sessionsMax = options.sessionsMax ?? sessionsMaxDefault
      const registry = new Registry()
      const heard = yield* Queue.sliding<Seq>(1)
      let last = 0 as Seq
      let sessions = 0

      /** Reads the log from where it was read last, at least up to `seq`. */
      const advance = (seq: Seq) =>
        Effect.gen(function* () {
          if (registry.size === 0) {
            last = Math.max(last, seq) as Seq
            registry.wakeAll(last)
            return
          }
          const rows = yield* sql.unsafe<TouchedAudience>(touchedSql, [last])
          const upTo = rows.reduce((max, row) => Math.max(max, row.seq), Math.max(last, seq)) as Seq
          if (upTo === last) return
          last = upTo
          const news = {
            upTo,
            seqByAudience: new Map(rows.map((row) => [row.audience, row.seq])),
            rights: rows.some((row) => row.tables.some((table) => rights.has(table)))
          }
          registry.tell(news)
          if (news.rights)
            yield* Effect.tapErrorCause(askAgain(upTo), () => Effect.sync(() => registry.wakeAll(upTo)))
        }).pipe(
          Effect.catchAllCause((cause) =>
            Effect.logError("The log could not be read for those who wait for commits", cause).pipe(
              Effect.zipRight(Effect.sleep(failedRetryMs)),
              Effect.zipRight(Queue.offer(heard, seq))
            )
          )
        )

      const askAgain = (upTo: Seq) =>
        Effect.gen(function* () {
          const principals = registry.before(upTo)
          for (let i = 0; i < principals.length; i += principalsMax) {
            const some = principals.slice(i, i + principalsMax)
            const audiences = yield* audiencesOf(sql, setup, options.app, some)
            for (const [j, principal] of some.entries()) registry.regard(principal, audiences[j]!)
          }
        })

      yield* Queue.take(heard).pipe(
        Effect.timeoutTo({ duration: pollMs, onTimeout: () => last, onSuccess: (seq) => seq }),
        Effect.flatMap(advance),
        Effect.forever,
        Effect.forkScoped
      )

      const tried = yield* Deferred.make<void>()
      yield* Effect.gen(function* () {
        const { lost } = yield* notifications.listen(channel, (payload) => {
          heard.unsafeOffer(Number(payload) as Seq)
        })
        const [realm] = yield* sql.unsafe<{ seq: Seq }>("SELECT seq FROM synchrotron.realm")
        last = realm!.seq
        registry.wakeAll(last)
        yield* Deferred.succeed(tried, undefined)
        return yield* lost
      }).pipe(
        Effect.scoped,
        Effect.ensuring(Deferred.succeed(tried, undefined)),
        Effect.tapError((error) => Effect.logWarning("Commits cannot be heard for now; trying again", error)),
        Effect.retry(reconnects),
        Effect.forkScoped
      )
      // A server that cannot listen serves all the same.
      yield* Deferred.await(tried)

      // One clock for all of them: a waiter is an entry and one suspended fiber.
      yield* Effect.map(Clock.currentTimeMillis, (nowMs) => registry.expire(nowMs)).pipe(
        Effect.delay(expireMs),
        Effect.forever,
        Effect.forkScoped
      )

      const close = Effect.sync(() => registry.close())
      yield* Effect.addFinalizer(() => close)

      const enter = Effect.suspend(() => {
        if (sessions >= sessionsMax)
          return new Protocol.Unavailable({
            message: `${sessionsMax} clients wait for changes already. Come back later.`,
            retryAfterMs: refusedRetryMs
          })
        sessions++
        return Effect.succeed(() => void sessions--)
      })
      return {
        watch: (waiting, wake) => registry.add(waiting, wake),
        enter,
        news: (waiting) =>
          Effect.async<boolean>((resume) =>
            Effect.sync(registry.add(waiting, (isNews) => resume(Effect.succeed(isNews))))
          ),
        close,
        open: Effect.acquireRelease(enter, (leave) => Effect.sync(leave)),
        sessions: () => sessions
      }
    })
  )

interface TouchedAudience {
  readonly audience: Audience
  readonly seq: Seq
  readonly tables: ReadonlyArray<string>
}

/** $1: the last commit that is known. Costs O(rows of the commits after it), by an index on `seq`. */
const touchedSql = `
SELECT audience, max(seq) AS seq, array_agg(DISTINCT tbl) AS tables
FROM synchrotron.row_versions WHERE seq > $1 GROUP BY audience`

/** The audiences of each principal, in one round trip and one snapshot. */
const audiencesOf = (
  sql: SqlClient.SqlClient,
  setup: Setup,
  app: SyncApp.SyncApp,
  principals: ReadonlyArray<Principal>
) =>
  Effect.map(
    sql.withTransaction(
      sql.unsafe(
        `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;${setup.prepare}${principals
          .map((principal) => `${asPrincipal(setup, principal)};${audiencesSql(app)};SET LOCAL ROLE NONE`)
          .join(";")}`
      )
    ),
    (results) => {
      const last = (results as unknown as ReadonlyArray<ReadonlyArray<Record<string, unknown>>>).slice(
        -4 * principals.length
      )
      return principals.map((_, i) => audiencesIn(last[4 * i + 2]!))
    }
  )

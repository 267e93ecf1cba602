/**
 * The gatekeeper of an Electric: the live feed, `GET /v1/shape?table=synchrotron.feed`, is answered by forwarding.
 *
 *     client ──► token ──► audiences, read as the user ──► Electric: the feed, where audience is one of these
 *       ▲                        │ others than before
 *       └── 409 must-refetch ◄───┘ also while the client waits
 *
 * Electric evaluates no policies, so it reads no application's table (I6). What it tells is which audience has a new
 * commit; the rows come by `POST /v1/sync`. Who has too many audiences for a URL is answered without Electric.
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { SqlClient } from "@effect/sql"
import { type Audience, type Principal, Protocol, type Seq, type SyncApp } from "@synchrotron/sync-core"
import { Clock, Context, Effect, Layer, Random, Redacted, type Scope, Stream } from "effect"
import { asPrincipal, audiencesIn, audiencesSql } from "../authority/principal.ts"
import { AuthoritySetupError, Prepared, type Setup } from "../authority/setup.ts"
import { databaseUnavailable } from "../authority/unavailable.ts"
import { Hub } from "../live/Hub.ts"
import { mustRefetch } from "../shape/protocol.ts"
import type { Gate } from "../shape/respond.ts"
import { begins, digestOf, isFeed, unwrapHandle, urlOf, wrapHandle } from "./request.ts"
import { setupElectric } from "./setup.ts"

export interface ElectricOptions {
  /** Where Electric listens for this server, such as `http://electric:3000`; `/v1/shape` is appended. */
  readonly url: string
  /** Electric's `ELECTRIC_SECRET`; clients never see it. */
  readonly secret?: Redacted.Redacted | string | undefined
  /** How long an answer of Electric may take to begin, in milliseconds; 30,000 unless given. It holds long polls for 20,000. */
  readonly answerMsMax?: number | undefined
  /** How long a stream lasts, in milliseconds, until the client has to show its token again; 60,000 unless given. */
  readonly streamMs?: number | undefined
}

export interface ElectricService {
  /** The answer to the current request; undefined when it is not for Electric. */
  readonly forward: (
    requests: Gate,
    principal: Principal
  ) => Effect.Effect<
    HttpServerResponse.HttpServerResponse | undefined,
    Protocol.Unavailable,
    HttpServerRequest.HttpServerRequest | Scope.Scope
  >
}

export class Electric extends Context.Tag("@synchrotron/sync-server/Electric")<Electric, ElectricService>() {}

const retryMs = 1000

/** Prepares the database for an Electric, and forwards to it. */
export const layer = (app: SyncApp.SyncApp, options: ElectricOptions) =>
  Layer.effect(
    Electric,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const setup = yield* Prepared
      const hub = yield* Hub
      const url = yield* Effect.try({
        try: () => new URL(options.url),
        catch: () =>
          new AuthoritySetupError({
            message: "ELECTRIC_URL is no URL. Write for example http://electric:3000."
          })
      })
      const secret = Redacted.isRedacted(options.secret) ? Redacted.value(options.secret) : options.secret
      const { answerMsMax = 30_000, streamMs = 60_000 } = options
      yield* setupElectric(sql)

      let isDown = false
      /** Once for each time that it is away: all who wait try again and again. */
      const report: Report = (...message) =>
        Effect.suspend(() => {
          if (isDown) return Effect.logDebug(...message)
          isDown = true
          return Effect.logWarning(...message)
        })

      const held = (principal: Principal) => heldBy(sql, setup, app, principal)

      /** Done when the principal holds other audiences, the server stops, or the time is over. */
      const watch = (principal: Principal, first: Held, untilMs: number) =>
        Effect.gen(function* () {
          for (let now = first; ; now = yield* held(principal)) {
            if (now.digest !== first.digest) return "changed"
            const { audiences, seq } = now
            if (!(yield* hub.news({ principal, audiences, since: seq, untilMs, only: "rights" })))
              return "over"
          }
        })

      return {
        forward: (requests, principal) =>
          Effect.gen(function* () {
            const request = yield* HttpServerRequest.HttpServerRequest
            const search = new URL(request.url, "http://server").searchParams
            if (!isFeed(search)) return undefined
            const first = yield* requests.admit(held(principal))
            const target = urlOf({ url, secret }, search, first.audiences)
            if (target === undefined) return undefined
            if (!begins(search) && unwrapHandle(search.get("handle"))?.digest !== first.digest)
              return yield* refetch(first.digest)
            yield* hub.open
            const beginMs = yield* Clock.currentTimeMillis
            const answer = yield* Effect.raceFirst(
              ask(target, report),
              watch(principal, first, beginMs + answerMsMax)
            )
            if (answer === "over") return yield* unavailable("Electric does not answer.")
            if (answer === "changed") return yield* refetch(first.digest)
            const { body, headers, status } = answer
            // An offset that Electric never gave, or has lost.
            if (status === 409 || (status === 400 && !begins(search))) return yield* refetch(first.digest)
            if (status !== 200) return yield* refused(answer, report)
            isDown = false
            const passed = passedOf(headers, first.digest)
            if (typeof body === "string")
              return HttpServerResponse.text(body, { contentType: "application/json", headers: passed })
            const untilMs = beginMs + streamMs
            return HttpServerResponse.stream(
              Stream.interruptWhen(body, Effect.ignore(watch(principal, first, untilMs))),
              { contentType: eventStream, headers: { ...passed, "x-accel-buffering": "no" } }
            )
          }).pipe(
            Effect.tapErrorTag("SqlError", (error) =>
              Effect.logError("The audiences of a user could not be read", error)
            ),
            Effect.catchTag("SqlError", databaseUnavailable)
          )
      } satisfies ElectricService
    })
  )

/** What a principal holds as of a commit. */
interface Held {
  readonly seq: Seq
  readonly audiences: ReadonlyArray<Audience>
  readonly digest: string
}

/** One snapshot, in one round trip. */
const heldBy = (sql: SqlClient.SqlClient, setup: Setup, app: SyncApp.SyncApp, principal: Principal) =>
  Effect.map(
    sql.withTransaction(
      sql.unsafe(
        `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;${setup.prepare}
         SELECT seq FROM synchrotron.realm;
         ${asPrincipal(setup, principal)};
         ${audiencesSql(app)};
         SET LOCAL ROLE NONE`
      )
    ),
    (rows): Held => {
      const results = rows as unknown as ReadonlyArray<ReadonlyArray<Record<string, unknown>>>
      const audiences = audiencesIn(results.at(-2)!)
      return { seq: results.at(-5)![0]!.seq as Seq, audiences, digest: digestOf(audiences) }
    }
  )

interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Events as they come; anything else as a whole, so that what breaks off is not taken for an answer. */
  readonly body: string | Stream.Stream<Uint8Array, unknown>
}

const eventStream = "text/event-stream"

type Report = (...message: ReadonlyArray<unknown>) => Effect.Effect<void>

/** Asks Electric. The request ends with the scope: when the client hangs up, and when its answer is sent. */
const ask = (url: URL, report: Report): Effect.Effect<Answer, Protocol.Unavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const { signal } = yield* Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (controller) => Effect.sync(() => controller.abort())
    )
    return yield* Effect.tryPromise({
      try: async () => {
        // Unpacked by `fetch` the body would not be what its headers say; and a redirect would carry the secret elsewhere.
        const answer = await fetch(url, {
          signal,
          redirect: "error",
          headers: { "accept-encoding": "identity" }
        })
        const { headers, status } = answer
        const events = status === 200 && headers.get("content-type")?.startsWith(eventStream) === true
        return { status, headers, body: events ? streamOf(answer) : await answer.text() }
      },
      catch: (error) => error
    })
  }).pipe(
    Effect.catchAll((error) =>
      // The message of the error itself may have the URL, and so the secret.
      Effect.zipRight(
        report("Electric cannot be reached", (error as { cause?: unknown }).cause),
        unavailable("Electric cannot be reached.")
      )
    )
  )

const streamOf = (answer: Response) =>
  Stream.fromReadableStream({
    evaluate: () => answer.body as ReadableStream<Uint8Array>,
    onError: (cause) => cause
  })

const refused = ({ body, headers, status }: Answer, report: Report) =>
  Effect.gen(function* () {
    // Who answers may repeat the URL.
    const text = String(body).replaceAll(/secret=[^&\s"]*/g, "secret=…")
    yield* report(`Electric answered ${status}: ${text.slice(0, 500)}`)
    const seconds = Number(headers.get("retry-after") ?? Number.NaN)
    return yield* unavailable("Electric does not serve now.", seconds > 0 ? seconds * 1000 : retryMs)
  })

const unavailable = (message: string, retryAfterMs = retryMs) =>
  Effect.fail(
    new Protocol.Unavailable({ message: `${message} POST /v1/sync goes on without it.`, retryAfterMs })
  )

const refetch = (digest: string) =>
  Effect.map(Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER), (nonce) =>
    HttpServerResponse.text(mustRefetch, {
      status: 409,
      contentType: "application/json",
      headers: { ...private_, "electric-handle": wrapHandle(digest, `new${nonce.toString(16)}`) }
    })
  )

/** One user's audiences are for no cache. */
const private_ = { "cache-control": "no-store" }

/** Electric's own headers. Those of the connection do not pass on. */
const passedOf = (headers: Headers, digest: string): Record<string, string> => {
  const handle = headers.get("electric-handle")
  return {
    ...private_,
    ...Object.fromEntries([...headers].filter(([name]) => name.startsWith("electric-"))),
    ...(handle !== null && { "electric-handle": wrapHandle(digest, handle) })
  }
}

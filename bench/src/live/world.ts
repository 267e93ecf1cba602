/** Servers in processes of their own, and sessions that follow one without a database. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { Agent, get, type IncomingMessage } from "node:http"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { tokens } from "@synchrotron/sync-server"
import { Effect, type Scope } from "effect"
import { app } from "../workload.ts"
import { jwtSecret } from "./secret.ts"

export interface ServerProcess {
  readonly url: string
  /** Bytes in use. */
  readonly memory: Effect.Effect<number>
  /** What a bare server is to write to all. */
  readonly write: (text: string) => void
}

const tsx = pathToFileURL(join(import.meta.dirname, "../../../node_modules/tsx/dist/loader.mjs")).href

/** A server on the database, or a bare one that only holds streams. */
export const serve = (databaseUrl?: string): Effect.Effect<ServerProcess, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { DATABASE_URL: _, ...env } = process.env
    const child: ChildProcess = yield* Effect.acquireRelease(
      Effect.sync(() =>
        fork(join(import.meta.dirname, "serve.ts"), {
          execArgv: ["--import", tsx, "--expose-gc"],
          env: databaseUrl === undefined ? env : { ...env, DATABASE_URL: databaseUrl }
        })
      ),
      (child) =>
        Effect.promise(async () => {
          const exit = once(child, "exit")
          child.disconnect()
          await exit
        })
    )
    const { port } = (yield* heard(child)) as { readonly port: number }
    return {
      url: `http://127.0.0.1:${port}`,
      memory: Effect.map(
        Effect.zipRight(
          Effect.sync(() => child.send({ memory: true })),
          heard(child)
        ),
        (message) => (message as { readonly bytes: number }).bytes
      ),
      write: (text) => child.send({ write: text })
    }
  })

const heard = (child: ChildProcess) =>
  Effect.promise(async () => (await once(child, "message"))[0] as unknown)

export interface Follower {
  /** Milliseconds of `performance.now()` when the text was there. */
  readonly hears: (text: string) => Promise<number>
  readonly close: () => void
}

/** Opens streams of the feed, one after the other for each of `width` openers. */
export const followAll = (
  url: string,
  count: number,
  open: (url: string, i: number) => Promise<Follower>
): Effect.Effect<ReadonlyArray<Follower>, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.forEach(
      Array.from({ length: count }, (_, i) => i),
      (i) => Effect.promise(() => open(url, i)),
      { concurrency: 16 }
    ),
    (followers) =>
      Effect.sync(() => {
        for (const { close } of followers) close()
      })
  )

const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY })

/** A session of a user of its own, which begins with what comes from now on. */
export const followFeed = async (url: string, i: number): Promise<Follower> => {
  const token = await tokens.signDevelopmentToken({ secret: jwtSecret, userId: `user-${i}` })
  const headers = { authorization: `Bearer ${token}` }
  const feed = `${url}/v1/shape?table=synchrotron.feed&client=${crypto.randomUUID()}&schema=${app.schemaHash}`
  const now = await request(`${feed}&offset=now`, headers)
  now.resume()
  const { "electric-handle": handle, "electric-offset": offset } = now.headers
  return reading(await request(`${feed}&offset=${offset}&handle=${handle}&live=true&live_sse=true`, headers))
}

export const followBare = async (url: string): Promise<Follower> => reading(await request(url, {}))

const request = (url: string, headers: Record<string, string>) =>
  new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers, agent }, (response) =>
      response.statusCode === 200 ? resolve(response) : reject(new Error(`${url}: ${response.statusCode}`))
    ).on("error", reject)
  })

const reading = async (response: IncomingMessage): Promise<Follower> => {
  let text = ""
  let waiting: { readonly for: string; readonly resolve: (ms: number) => void } | undefined
  const first = new Promise<void>((resolve) => response.once("data", () => resolve()))
  response.setEncoding("utf8")
  response.on("data", (chunk: string) => {
    text = (text + chunk).slice(-4096)
    if (waiting === undefined || !text.includes(waiting.for)) return
    waiting.resolve(performance.now())
    waiting = undefined
  })
  response.on("error", () => {})
  await first
  return {
    hears: (wanted) =>
      new Promise((resolve) => {
        text = ""
        waiting = { for: wanted, resolve }
      }),
    close: () => response.destroy()
  }
}

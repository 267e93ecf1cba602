/** The whole server over HTTP on a free port, and Electric's own client before it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpServer } from "@effect/platform"
import { Shape, ShapeStream, type ShapeStreamInterface, type ShapeStreamOptions } from "@electric-sql/client"
import { type ServerDatabase, SyncServer } from "@synchrotron/sync-server"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { expect, inject, vi } from "vitest"
import { testImage } from "../../../../test/image.ts"
import { createDatabase } from "../../../../test/postgres.ts"
import { record, request, secret, token } from "../http/support.ts"
import { app } from "./fixture.ts"

export const databases = ["embedded", "postgres"] as const

export interface Place {
  readonly database: ServerDatabase.Database
  readonly remove: () => Promise<void>
}

/** A database that outlives the servers on it, unless it is embedded and in memory. */
export const makePlace = async (
  kind: (typeof databases)[number],
  kept: "kept" | "in memory" = "in memory"
): Promise<Place> => {
  if (kind === "postgres") {
    const { drop, url } = await createDatabase(inject("postgresUrl"), "shape")
    return { database: { _tag: "postgres", url }, remove: drop }
  }
  if (kept === "in memory")
    return { database: { _tag: "embedded", dataDir: "memory://", image: testImage }, remove: async () => {} }
  const directory = mkdtempSync(join(tmpdir(), "synchrotron-shape-"))
  return {
    database: { _tag: "embedded", dataDir: join(directory, "store") },
    remove: async () => rmSync(directory, { recursive: true, force: true })
  }
}

export interface Server {
  readonly url: string
  readonly port: number
  readonly close: () => Promise<void>
  /** Asks the endpoint as a user; `null`: without a token. */
  readonly get: (
    parameters: Record<string, string>,
    user?: string | null,
    signal?: AbortSignal
  ) => Promise<Response>
}

export const serve = async (
  { database }: Place,
  live: SyncServer.LiveOptions = {},
  port = 0,
  electric?: SyncServer.ElectricOptions
): Promise<Server> => {
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(
    Scope.extend(
      Layer.build(SyncServer.layer({ app, database, jwtSecret: secret, port, live, electric })),
      scope
    )
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  const bound = address._tag === "TcpAddress" ? address.port : 0
  const url = `http://127.0.0.1:${bound}/v1/shape`
  return {
    url,
    port: bound,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void)),
    get: async (parameters, user = "ann", signal) =>
      fetch(`${url}?${new URLSearchParams(parameters)}`, {
        headers: user === null ? {} : { authorization: `Bearer ${await token(user)}` },
        ...(signal === undefined ? {} : { signal })
      })
  }
}

let records = 0

/** Executes statements as root, in one record, through the server's own `POST /v1/sync`. Gives the commit. */
export const write = async (server: Server, ...statements: ReadonlyArray<string>): Promise<number> => {
  records++
  const answer = await fetch(server.url.replace("/shape", "/sync"), {
    method: "POST",
    headers: { authorization: `Bearer ${await token("root")}` },
    body: JSON.stringify(
      request({
        app: app.name,
        schema: app.schemaHash,
        clientTimeMs: Date.now(),
        records: [
          record(records, {
            id: crypto.randomUUID(),
            name: "sql.write",
            args: { statements },
            hlc: `${Date.now().toString(16).padStart(12, "0")}-${records.toString(16).padStart(4, "0")}-${clientId}`
          })
        ]
      })
    )
  })
  const { seq, verdicts } = (await answer.json()) as {
    seq: number
    verdicts: ReadonlyArray<{ outcome: string }>
  }
  expect(verdicts).toMatchObject([{ outcome: expect.stringMatching(/applied|changed/) }])
  return seq
}

const clientId = "6f1c0000-0000-4000-8000-0000000000e2"

export const insert = (
  id: string,
  values: { readonly team?: string; readonly text?: string; readonly hidden?: boolean } = {}
) =>
  `INSERT INTO notes (id, team, text, hidden) VALUES ('${id}', '${values.team ?? "red"}', '${values.text ?? id}', ${values.hidden ?? false})`

export const join_ = (user: string, team = "red") => `INSERT INTO members VALUES ('${team}', '${user}')`
export const leave = (user: string, team = "red") =>
  `DELETE FROM members WHERE team = '${team}' AND user_id = '${user}'`

export interface Follower {
  readonly shape: Shape
  readonly stream: ShapeStream
  /** Everything that came over the wire. */
  readonly bodies: () => string
  /** Queries that were sent, with their status. */
  readonly requests: ReadonlyArray<{ readonly search: URLSearchParams; readonly status: number }>
  readonly operations: ReadonlyArray<string>
  /** Ids of the rows that the shape has, sorted, when they are these. */
  readonly has: (...ids: ReadonlyArray<string>) => Promise<void>
  readonly stop: () => void
}

/** Electric's `ShapeStream` and `Shape` on a table. */
export const follow = async (
  server: Pick<Server, "url">,
  options: {
    readonly user?: string
    readonly sse?: boolean
    readonly table?: string
  } & Partial<ShapeStreamOptions> = {}
): Promise<Follower> => {
  const { user = "ann", sse = false, table = "notes", ...more } = options
  const controller = new AbortController()
  const texts: Array<string> = []
  const requests: Array<{ search: URLSearchParams; status: number }> = []
  const operations: Array<string> = []
  const stream = new ShapeStream({
    url: server.url,
    params: { table },
    liveSse: sse,
    headers: { authorization: async () => `Bearer ${await token(user)}` },
    signal: controller.signal,
    backoffOptions: { initialDelay: 20, maxDelay: 200, multiplier: 1.5 },
    fetchClient: async (input, init) => {
      const response = await fetch(input, init)
      requests.push({ search: new URL(String(input)).searchParams, status: response.status })
      if (response.body === null) return response
      const [mine, theirs] = response.body.tee()
      void drain(mine, texts)
      return new Response(theirs, response)
    },
    ...more
  })
  stream.subscribe((messages) => {
    for (const { headers } of messages) operations.push(String(headers.operation ?? headers.control))
  })
  // Its types are not made for exactOptionalPropertyTypes.
  const shape = new Shape(stream as ShapeStreamInterface)
  const ids = () => shape.currentRows.map((row) => String(row.id)).sort()
  return {
    shape,
    stream,
    bodies: () => texts.join(""),
    requests,
    operations,
    has: (...expected) =>
      vi.waitFor(
        () => {
          expect(ids()).toEqual([...expected].sort())
          expect(shape.isUpToDate).toBe(true)
        },
        { timeout: 20_000, interval: 10 }
      ),
    stop: () => controller.abort()
  }
}

const drain = async (body: ReadableStream<Uint8Array>, texts: Array<string>) => {
  const decoder = new TextDecoder()
  try {
    for await (const bytes of body as unknown as AsyncIterable<Uint8Array>)
      texts.push(decoder.decode(bytes, { stream: true }))
  } catch {
    // The client hung up.
  }
}

/**
 * A stand-in for Electric: it speaks the part of its protocol that a live feed uses, and remembers what it was asked. It
 * connects as Electric's role, and lets Postgres evaluate the `where` that it was given. What only a real Electric can
 * show, it cannot: replication, its cache, its limits.
 */
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import pg from "pg"

export interface Asked {
  readonly search: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Whether the other side hung up before the answer's end. */
  aborted: boolean
}

/** What the next requests get: `serve` the protocol, a status, nothing at all, or half an answer and then nothing. */
export type Mode = "serve" | number | "silent" | "half"

export interface StandIn {
  readonly url: string
  readonly asked: ReadonlyArray<Asked>
  /** Requests that are not answered to their end. */
  readonly waiting: () => number
  mode: Mode
  /** Breaks off all answers. */
  readonly hangUp: () => void
  readonly close: () => Promise<void>
}

interface Row {
  readonly audience: string
  readonly seq: number
}

const schema = JSON.stringify({
  audience: { type: "text", not_null: true, pk_index: 0 },
  seq: { type: "int8", not_null: true }
})

export const startStandIn = async (options: {
  readonly databaseUrl: string
  readonly secret: string
  readonly holdMs: number
}): Promise<StandIn> => {
  const pool = new pg.Pool({ connectionString: options.databaseUrl, max: 2 })
  pool.on("error", () => {})
  const listener = new pg.Client({ connectionString: options.databaseUrl })
  listener.on("error", () => {})
  await listener.connect()
  await listener.query("LISTEN synchrotron_commits")
  const asked: Array<Asked> = []
  const open = new Set<ServerResponse>()

  const rowsAfter = async (search: URLSearchParams, seq: number): Promise<ReadonlyArray<Row>> => {
    const params: Array<string> = []
    for (let i = 1; search.has(`params[${i}]`); i++) params.push(search.get(`params[${i}]`)!)
    const { rows } = await pool.query(
      `SELECT ${search.get("columns")} FROM ${search.get("table")} WHERE (${search.get("where")}) ORDER BY seq`,
      params
    )
    return rows
      .map(({ audience, seq }: { audience: string; seq: string }) => ({ audience, seq: Number(seq) }))
      .filter((row) => row.seq > seq)
  }

  const messages = (rows: ReadonlyArray<Row>, last: number) => [
    ...rows.map(({ audience, seq }) => ({
      key: `"synchrotron"."feed"/"${audience}"`,
      value: { audience, seq: String(seq) },
      headers: { operation: "update", relation: ["synchrotron", "feed"], lsn: String(seq) }
    })),
    { headers: { control: "up-to-date", global_last_seen_lsn: String(last) } }
  ]

  const commit = (response: ServerResponse, ms: number) =>
    new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        listener.off("notification", done)
        response.off("close", done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      listener.on("notification", done)
      response.on("close", done)
    })

  /** The next rows of the shape, when there are some; none when the time is over. */
  const rowsFrom = async (search: URLSearchParams, seq: number, response: ServerResponse) => {
    const untilMs = Date.now() + options.holdMs
    while (Date.now() < untilMs && !response.destroyed) {
      // A commit may have come since the last look.
      await commit(response, Math.min(100, untilMs - Date.now()))
      const rows = await rowsAfter(search, seq)
      if (rows.length > 0) return rows
    }
    return []
  }

  const answer = async (search: URLSearchParams, response: ServerResponse): Promise<void> => {
    if (search.get("secret") !== options.secret) return void response.writeHead(401).end("Unauthorized")
    const shape = ["table", "columns", "where"].map((name) => search.get(name))
    const params = [...search].filter(([name]) => name.startsWith("params["))
    const handle = `${Number.parseInt(
      createHash("md5")
        .update(JSON.stringify([shape, params]))
        .digest("hex")
        .slice(0, 8),
      16
    )}-1700000000000000`
    const offset = search.get("offset")!
    const live = search.get("live") === "true"
    const head = (last: number, more: Record<string, string> = {}) => ({
      "content-type": "application/json",
      "cache-control": "public, max-age=60",
      "electric-handle": handle,
      "electric-offset": `${last}_0`,
      "electric-schema": schema,
      ...(live && { "electric-cursor": String(asked.length) }),
      ...more
    })
    if (search.has("handle") && search.get("handle") !== handle)
      return void response
        .writeHead(409, { "content-type": "application/json", "electric-handle": handle })
        .end(JSON.stringify([{ headers: { control: "must-refetch" } }]))
    let seq = /^\d/.test(offset) ? Number.parseInt(offset, 10) : 0
    let rows = await rowsAfter(search, seq)
    const advance = () => {
      seq = rows.at(-1)?.seq ?? seq
    }
    if (!live) {
      advance()
      if (offset === "now") rows = []
      return void response
        .writeHead(200, head(seq, { "electric-up-to-date": "" }))
        .end(JSON.stringify(messages(rows, seq)))
    }
    if (search.get("live_sse") === "true") {
      response.writeHead(200, head(seq, { "content-type": "text/event-stream" }))
      response.flushHeaders()
      do {
        advance()
        for (const message of messages(rows, seq)) response.write(`data: ${JSON.stringify(message)}\n\n`)
        rows = await rowsFrom(search, seq, response)
      } while (rows.length > 0)
      return void response.end()
    }
    if (rows.length === 0) rows = await rowsFrom(search, seq, response)
    advance()
    response.writeHead(200, head(seq, { "electric-up-to-date": "" })).end(JSON.stringify(messages(rows, seq)))
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url!, "http://electric")
    const one: Asked = { search: url.searchParams, headers: request.headers, aborted: false }
    asked.push(one)
    open.add(response)
    response.on("close", () => {
      one.aborted = !response.writableFinished
      open.delete(response)
    })
    const { mode } = standIn
    if (url.pathname !== "/v1/shape") response.writeHead(404).end()
    else if (typeof mode === "number")
      response.writeHead(mode, { "retry-after": "7", location: "/v1/shape" }).end(`no: ${url.search}`)
    else if (mode === "half") {
      response.writeHead(200, { "content-type": "application/json", "electric-handle": "1-1" })
      response.write("[")
    } else if (mode === "serve")
      answer(url.searchParams, response).catch((error) => {
        if (response.headersSent) response.destroy()
        else response.writeHead(500).end(String(error))
      })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")

  const standIn: StandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    waiting: () => open.size,
    mode: "serve",
    hangUp: () => server.closeAllConnections(),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await listener.end()
      await pool.end()
    }
  }
  return standIn
}

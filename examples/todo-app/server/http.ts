/** Between Node's HTTP server and web-standard handlers. */
import type { IncomingMessage, ServerResponse } from "node:http"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { ReadableStream } from "node:stream/web"

export type Handler = (request: Request) => Promise<Response>

/** Answers with the handler's response; a client that hangs up aborts the request's signal. */
export const answer = async (
  handler: Handler,
  message: IncomingMessage,
  out: ServerResponse
): Promise<void> => {
  try {
    const response = await handler(toRequest(message, out))
    out.writeHead(response.status, Object.fromEntries(response.headers))
    if (response.body === null) out.end()
    else await pipeline(Readable.fromWeb(response.body as ReadableStream), out)
  } catch (error) {
    // Nobody is there to read an answer when the client hung up in the middle of one.
    if (out.destroyed) return
    console.error(error)
    if (!out.headersSent) out.writeHead(500)
    out.end()
  }
}

const toRequest = (message: IncomingMessage, out: ServerResponse): Request => {
  const aborter = new AbortController()
  out.once("close", () => aborter.abort())
  const headers = new Headers()
  for (const [name, value] of Object.entries(message.headers)) {
    for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one)
  }
  const bodyless = message.method === "GET" || message.method === "HEAD"
  return new Request(new URL(message.url ?? "/", "http://localhost"), {
    method: message.method ?? "GET",
    headers,
    signal: aborter.signal,
    ...(bodyless ? {} : { body: Readable.toWeb(message) as unknown as BodyInit, duplex: "half" })
  })
}

/**
 * Whether the request names this machine. A page elsewhere can point its own name at 127.0.0.1 and so reach a
 * local server; the name in `Host` gives it away.
 */
export const namesThisMachine = (message: IncomingMessage): boolean =>
  /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(message.headers.host ?? "")

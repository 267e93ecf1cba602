/** Compresses responses for clients that accept it. */
import { promisify } from "node:util"
import { gzip as gzipCallback, type ZlibOptions } from "node:zlib"
import { type HttpApp, HttpBody, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"

const gzip = promisify(gzipCallback) as (bytes: Uint8Array, options: ZlibOptions) => Promise<Buffer>

/** Rows as JSON become hardly smaller at the default level of 6, and take three times as long. */
const level = 3

/** Smaller bodies fit into one packet anyway. */
export const gzipBytesMin = 1024

/** Middleware: bodies of more than {@link gzipBytesMin} bytes go out as gzip when the request allows it. */
export const compress = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.flatMap(app, (response) => {
      const { body } = response
      if (
        body._tag !== "Uint8Array" ||
        body.body.length <= gzipBytesMin ||
        response.headers["content-encoding"] !== undefined ||
        !acceptsGzip(request.headers["accept-encoding"])
      )
        return Effect.succeed(response)
      return Effect.map(
        Effect.promise(() => gzip(body.body, { level })),
        (bytes) =>
          HttpServerResponse.setHeader(
            HttpServerResponse.setBody(response, HttpBody.uint8Array(bytes, body.contentType)),
            "content-encoding",
            "gzip"
          )
      )
    })
  )

/** Whether an `Accept-Encoding` names gzip, or anything, and not with the weight 0 (RFC 9110, 12.5.3). */
export const acceptsGzip = (header: string | undefined): boolean => {
  const weight = new Map<string, number>()
  for (const item of header?.toLowerCase().split(",") ?? []) {
    const [name, ...parameters] = item.split(";").map((part) => part.trim())
    const q = parameters.find((parameter) => parameter.startsWith("q="))
    weight.set(name!, q === undefined ? 1 : Number(q.slice(2)))
  }
  return (weight.get("gzip") ?? weight.get("*") ?? 0) > 0
}

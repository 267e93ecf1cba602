/** A request's body: bounded while it is read and while it is inflated, then parsed, then decoded. */
import { Readable } from "node:stream"
import { promisify } from "node:util"
import { gunzip as gunzipCallback } from "node:zlib"
import type { HttpServerRequest } from "@effect/platform"
import { Protocol } from "@synchrotron/sync-core"
import { Effect, ParseResult, Schema } from "effect"
import { BodyRefused, clip } from "./errors.ts"

const gunzip = promisify(gunzipCallback)
const decodeRequest = Schema.decodeUnknown(Protocol.WireRequest)

/** Reads the body as a sync request. The message of an error names the field, and the record by its index. */
export const readSyncRequest = Effect.fn("http.readSyncRequest")(function* (
  request: HttpServerRequest.HttpServerRequest,
  bytesMax: number
) {
  const bytes = yield* inflate(request.headers["content-encoding"], yield* read(request, bytesMax), bytesMax)
  return yield* parseSyncRequest(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes))
})

/** The same of a text that is here. */
export const parseSyncRequest = (text: () => string) =>
  Effect.gen(function* () {
    const json = yield* parse(text)
    yield* checkProtocol(json)
    const decoded = yield* Effect.mapError(decodeRequest(json), describe)
    yield* checkArgs(decoded.records)
    return decoded
  })

const invalid = (message: string) => new Protocol.InvalidRequest({ message })
const tooLarge = (bytesMax: number) =>
  new BodyRefused(413, `The body is larger than ${bytesMax} bytes. Send fewer records in one request.`)

/**
 * Reads at most `bytesMax` bytes. A client that sends more reads the answer only when it got rid of the rest, so Node
 * goes on receiving, and forgets what it receives, until the client is done or the request's time is up.
 */
const read = (request: HttpServerRequest.HttpServerRequest, bytesMax: number) =>
  Effect.gen(function* () {
    if (Number(request.headers["content-length"] ?? 0) > bytesMax)
      return yield* Effect.fail(tooLarge(bytesMax))
    const source = request.source as Readable | Request
    const bytes = yield* Effect.tryPromise({
      try: () => collect(source, bytesMax),
      catch: () => invalid("The body broke off before its end.")
    })
    if (bytes !== undefined) return bytes
    if (source instanceof Readable) source.resume()
    return yield* Effect.fail(tooLarge(bytesMax))
  })

/** All bytes, or undefined as soon as there are too many. */
const collect = async (source: Readable | Request, bytesMax: number) => {
  const chunks: Array<Uint8Array> = []
  let length = 0
  for await (const chunk of chunksOf(source)) {
    length += chunk.length
    if (length > bytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

const chunksOf = (source: Readable | Request): AsyncIterable<Uint8Array> | Iterable<Uint8Array> =>
  source instanceof Readable
    ? (source.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>)
    : source.body === null
      ? []
      : (source.body as unknown as WebStream).values({ preventCancel: true })

/** `ReadableStream` as every server runtime has it; the DOM's types lack its iterator. */
interface WebStream {
  readonly values: (options: { readonly preventCancel: boolean }) => AsyncIterable<Uint8Array>
}

const inflate = (encoding: string | undefined, bytes: Uint8Array, bytesMax: number) => {
  switch (encoding?.trim().toLowerCase()) {
    case undefined:
    case "":
    case "identity":
      return Effect.succeed(bytes)
    case "gzip":
    case "x-gzip":
      return Effect.tryPromise({
        try: () => gunzip(bytes, { maxOutputLength: bytesMax }),
        catch: (cause) =>
          (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
            ? tooLarge(bytesMax)
            : invalid("The body is not gzip, as its content-encoding says.")
      })
    default:
      return Effect.fail(
        new BodyRefused(
          415,
          `The content-encoding "${clip(encoding!, 40)}" is not known here; use gzip or none.`
        )
      )
  }
}

const parse = (text: () => string) =>
  Effect.try({
    try: (): unknown => JSON.parse(text()),
    catch: (cause) =>
      invalid(
        cause instanceof SyntaxError
          ? `The body is not JSON: ${clip(cause.message)}.`
          : "The body is not JSON in UTF-8."
      )
  })

/** Before anything else, for the rest of another protocol's request may look different. */
const checkProtocol = (json: unknown) => {
  const protocol = (json as { readonly protocol?: unknown } | null)?.protocol
  return typeof protocol !== "number" || protocol === Protocol.protocolVersion
    ? Effect.void
    : Effect.fail(
        new Protocol.SchemaMismatch({
          message: `The server speaks protocol ${Protocol.protocolVersion}, not ${protocol}. Update the ${protocol < Protocol.protocolVersion ? "client" : "server"}.`,
          expected: `protocol ${Protocol.protocolVersion}`,
          actual: `protocol ${protocol}`
        })
      )
}

const describe = (error: ParseResult.ParseError) => {
  const issue = ParseResult.ArrayFormatter.formatErrorSync(error)[0]!
  return invalid(`${path(issue.path)}: ${clip(issue.message)}`)
}

const path = (keys: ReadonlyArray<PropertyKey>) =>
  keys.length === 0
    ? "body"
    : keys
        .map((key, i) =>
          typeof key === "number" ? `[${key}]` : `${i === 0 ? "" : "."}${clip(String(key), 60)}`
        )
        .join("")

/** Args of records in bounds, and such that they can be written as JSON again. */
const checkArgs = (records: ReadonlyArray<Protocol.PendingRecord>) =>
  Effect.suspend((): Effect.Effect<void, Protocol.InvalidRequest | BodyRefused> => {
    for (const [i, { args }] of records.entries()) {
      const bytes = bytesOf(args)
      if (bytes === undefined) return Effect.fail(invalid(`records[${i}].args: nested too deeply.`))
      if (bytes > Protocol.limits.argsBytesMax) {
        const message = `records[${i}].args: ${bytes} bytes of JSON, and at most ${Protocol.limits.argsBytesMax} are allowed.`
        return Effect.fail(new BodyRefused(413, message))
      }
    }
    return Effect.void
  })

/** Bytes of the value as JSON; undefined when it is nested more deeply than the stack allows, which parsing does not mind. */
const bytesOf = (args: unknown): number | undefined => {
  try {
    return Buffer.byteLength(JSON.stringify(args) ?? "")
  } catch {
    return undefined
  }
}

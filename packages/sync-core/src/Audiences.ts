/**
 * A user may hold thousands of audiences, and they rarely change: so their names travel when one side does not know them,
 * and else a digest of them.
 *
 * | what               | leaves the names out when                                                                     |
 * |--------------------|-----------------------------------------------------------------------------------------------|
 * | a request          | each audience of the last answer that named them is at `seq`, and no load is on its way        |
 * | its answer         | the user still holds those that the request has the digest of                                 |
 * | a live message     | there are more than `limits.namedAudiencesMax`; the client compares it with what it holds      |
 *
 * This is between transport and server alone. Replicas and applications see requests and answers with names.
 */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import { Effect } from "effect"
import {
  AudiencesChanged,
  limits,
  type SyncRequest,
  type SyncResponse,
  Unavailable,
  type WireRequest,
  type WireResponse
} from "./Protocol.ts"

/** SHA-256 over the names in the order of UTF-16 code units, each followed by NUL, which no name has. Costs O(n log n). */
export const digestOf = (audiences: ReadonlyArray<string>): string =>
  bytesToHex(
    sha256(
      utf8ToBytes(
        audiences
          .map((audience) => `${audience}\0`)
          .sort()
          .join("")
      )
    )
  )

/** The answer to a request, without the names if the request says that they are known. */
export const shorten = ({ cursors, held }: WireRequest, response: SyncResponse): WireResponse =>
  // To a request without cursors the authority has an answer only when they are the same.
  held !== undefined && (cursors === null || held === digestOf(response.audiences))
    ? { ...response, audiences: null, held }
    : response

/** The answer with names: its own, or those known if it leaves out just these. Null when it leaves out others. */
export const named = (
  { held, ...response }: WireResponse,
  known: { readonly digest: string; readonly names: SyncResponse["audiences"] } | null
): SyncResponse | null => {
  const { audiences } = response
  if (audiences !== null) return { ...response, audiences }
  return known !== null && held === known.digest ? { ...response, audiences: known.names } : null
}

interface Known {
  readonly names: SyncResponse["audiences"]
  readonly set: ReadonlySet<string>
  readonly digest: string
}

/**
 * An exchange of whole requests and answers over one of short ones. What it remembers are the names of the last answer
 * that had them, so the first request of a process is always whole.
 *
 * @param exchange also gets the whole request; `AudiencesChanged` is answered by another exchange, other errors pass
 * @param namedMax `limits.namedAudiencesMax` unless given
 */
export const over = <E>(
  exchange: (request: WireRequest, whole: SyncRequest) => Effect.Effect<WireResponse, E>,
  namedMax: number = limits.namedAudiencesMax
): ((request: SyncRequest) => Effect.Effect<SyncResponse, Exclude<E, AudiencesChanged> | Unavailable>) => {
  let known: Known | null = null
  const ask = (request: SyncRequest, mayBeShort: boolean) =>
    Effect.gen(function* () {
      const told = known
      const response = yield* exchange(
        told === null
          ? request
          : {
              ...request,
              cursors: mayBeShort && isAt(request, told.set) ? null : request.cursors,
              held: told.digest
            },
        request
      )
      const whole = named(response, told)
      if (whole === null)
        return yield* new Unavailable({ message: "The answer leaves out audiences that were never named." })
      const { audiences } = whole
      if (audiences !== told?.names)
        known =
          audiences.length <= namedMax
            ? null
            : { names: audiences, set: new Set<string>(audiences), digest: digestOf(audiences) }
      return whole
    })
  return (request) =>
    ask(request, true).pipe(
      Effect.catchIf(
        (error): error is E & AudiencesChanged => error instanceof AudiencesChanged,
        () => ask(request, false)
      )
    ) as Effect.Effect<SyncResponse, Exclude<E, AudiencesChanged> | Unavailable>
}

/** Whether the client is at one commit in all of these audiences, and in no other. */
const isAt = ({ cursors, position, seq }: SyncRequest, names: ReadonlySet<string>): boolean => {
  if (position !== undefined || seq === undefined) return false
  const entries = Object.entries(cursors)
  return entries.length === names.size && entries.every(([name, cursor]) => cursor === seq && names.has(name))
}

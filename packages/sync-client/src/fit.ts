/** Keeps a request within the protocol's size limit by sending fewer records; the rest follow in the next one. */
import { Protocol } from "@synchrotron/sync-core"

const { argsBytesMax, bodyBytesMax } = Protocol.limits
/** Room for what is not a record: the ids, the cursors of some ten thousand audiences. */
const envelopeBytes = 1024 * 1024
/** What a record may need besides its args. */
const recordBytes = 1024
/** So few records always fit. */
const recordsAlwaysFit = Math.floor((bodyBytesMax - envelopeBytes) / (argsBytesMax + recordBytes))

/**
 * The request with as many of its records as fit; always at least one, so that the queue moves. `after` moves to
 * the first record that stays behind, for what is canonical after it will cross it.
 */
export const fit = (request: Protocol.SyncRequest): Protocol.SyncRequest => {
  if (request.records.length <= recordsAlwaysFit) return request
  let bytes = envelopeBytes
  let count = 0
  for (const record of request.records) {
    bytes += recordBytes + utf8Bytes(JSON.stringify(record.args ?? null))
    if (bytes > bodyBytesMax && count > 0) break
    count++
  }
  const unsent = request.records[count]
  return unsent === undefined
    ? request
    : { ...request, records: request.records.slice(0, count), after: unsent.hlc }
}

const encoder = new TextEncoder()
const utf8Bytes = (text: string): number => encoder.encode(text).length

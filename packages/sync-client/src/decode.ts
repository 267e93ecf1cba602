/**
 * Reads a sync response. The same as `Protocol.SyncResponse` says, but the rows, of which a first sync brings all
 * there are, are checked by a loop: half the time of the schema's, and no copy.
 */
import { Protocol } from "@synchrotron/sync-core"
import { Schema } from "effect"

type Tables = Protocol.SyncResponse["tables"]

/** Whether the value is a list of tables with their rows, as the protocol has them. */
export const isTables = (value: unknown): value is Tables =>
  Array.isArray(value) &&
  value.every(
    (entry) =>
      isObject(entry) &&
      typeof entry.table === "string" &&
      entry.table.length <= 256 &&
      Array.isArray(entry.rows) &&
      entry.rows.every(isRow)
  )

const isRow = (row: unknown): boolean =>
  Array.isArray(row) && row.length === 2 && typeof row[0] === "string" && (row[1] === null || isImage(row[1]))

const isImage = (image: unknown): boolean => {
  if (!isObject(image)) return false
  for (const column in image) {
    const value = image[column]
    if (value !== null && typeof value !== "string") return false
  }
  return true
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const Response = Schema.parseJson(
  Schema.Struct({
    ...Protocol.SyncResponse.fields,
    tables: Schema.declare(isTables, { identifier: "Tables" })
  })
)

export const decodeResponse = Schema.decodeUnknown(Response)

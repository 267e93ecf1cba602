/** Reads a sync response, as an answer over HTTP and a message of the live path hold it. */
import { Protocol } from "@synchrotron/sync-core"
import { Schema } from "effect"

export const decodeResponse = Schema.decodeUnknown(Schema.parseJson(Protocol.SyncResponse))

/**
 * A script says everything that happens to a simulated world and when. It is made from a seed, holds no code, survives
 * JSON, and gives the same run each time; a smaller script of the same failure is found by leaving steps out.
 */
import { Schema } from "effect"

const client = Schema.Int
const random = Schema.Int

/** `at` is in milliseconds since the beginning; `random` seeds what the step chooses; `after` counts messages to a database. */
export const Step = Schema.Union(
  /** The client executes the scenario's next operation. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("act"), client, random }),
  /** Somebody asks the client to sync now. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("sync"), client }),
  /** Another fiber reads the client's tables while the next change is applied. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("read"), client, random }),
  /** The user retries or dismisses a refused record. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("inbox"), client, random }),
  /** The device says that it is offline. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("offline"), client, forMs: Schema.Int }),
  /** Nothing gets through, and the device does not know. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("partition"), client, forMs: Schema.Int }),
  /** The client's process ends at its `after`-th message to its database from now on, and starts again. */
  Schema.Struct({
    at: Schema.Int,
    kind: Schema.Literal("client-crash"),
    client,
    after: Schema.Int,
    downMs: Schema.Int
  }),
  Schema.Struct({
    at: Schema.Int,
    kind: Schema.Literal("server-crash"),
    server: Schema.Int,
    after: Schema.Int,
    downMs: Schema.Int
  }),
  /** The server compacts its log, with the script's `compaction`. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("compaction"), server: Schema.Int }),
  /** The client's clock is set. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("clock"), client, jumpMs: Schema.Int }),
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("membership"), random }),
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("external"), random }),
  /** The client executes an operation together with one that throws on the server. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("throw"), client, random }),
  /** The client executes an action that the server does not know. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("novelty"), client }),
  /** Somebody with the client's token sends what no client would. */
  Schema.Struct({ at: Schema.Int, kind: Schema.Literal("forgery"), client, random })
)
export type Step = typeof Step.Type

export const Device = Schema.Struct({
  user: Schema.String,
  /** How far the device's clock is ahead at the beginning. */
  skewMs: Schema.Int,
  /** Key of the action that the device's version of the application lacks, such as `todo.add@1`. */
  lacks: Schema.NullOr(Schema.String),
  /** Whether it hears of commits live, in a script that has a feed; it does unless this is false. */
  follows: Schema.optional(Schema.Boolean)
})
export type Device = typeof Device.Type

export const Network = Schema.Struct({
  latencyMsMax: Schema.Int,
  /** Probabilities, per message. */
  loss: Schema.Number,
  duplication: Schema.Number,
  lostResponse: Schema.Number,
  slow: Schema.Number
})
export type Network = typeof Network.Type

/** What compaction leaves; null for the default. */
export const Compaction = Schema.Struct({
  reorderWindowMs: Schema.NullOr(Schema.Int),
  reorderWindowRecords: Schema.NullOr(Schema.Int),
  tombstoneMs: Schema.Int,
  /** What one transaction removes at most. */
  batchRows: Schema.Int
})
export type Compaction = typeof Compaction.Type

/** The live path: probabilities per message. */
export const Feed = Schema.Struct({
  loss: Schema.Number,
  duplication: Schema.Number,
  slow: Schema.Number
})
export type Feed = typeof Feed.Type

export const Script = Schema.Struct({
  /** Name of the scenario that it was made for. */
  scenario: Schema.String,
  seed: Schema.Int,
  devices: Schema.Array(Device),
  /** How far each server's clock is ahead. */
  serverSkewsMs: Schema.Array(Schema.Int),
  network: Network,
  /** Clocks tick in steps of this many milliseconds, so that stamps tie. */
  tickMs: Schema.Int,
  reorderWindowMs: Schema.NullOr(Schema.Int),
  reorderWindowRecords: Schema.NullOr(Schema.Int),
  /** When servers compact. */
  compaction: Schema.optional(Compaction),
  /** Rows in one answer; null for what servers have by default. */
  chunkRowsMax: Schema.optionalWith(Schema.NullOr(Schema.Int), { default: () => null }),
  /** How clients hear of commits; they do not when it is absent. */
  feed: Schema.optional(Feed),
  /** Names of audiences are left out when there are more of them; the protocol's limit when it is absent. */
  namedAudiencesMax: Schema.optional(Schema.Int),
  /** In the order of `at`. */
  steps: Schema.Array(Step)
})
export type Script = typeof Script.Type

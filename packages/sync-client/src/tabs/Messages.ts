/**
 * What the tabs of one browser say to each other. All share one local database: the worker of one tab **leads**, and has
 * the database and the sync session; every tab, its own included, asks it by messages.
 *
 * | channel                      | from      | message                                                              |
 * |------------------------------|-----------|----------------------------------------------------------------------|
 * | `synchrotron:<store>`        | leader    | `Leads`: from now on, and to whoever asks                            |
 * |                              | tab       | `Who`: asks; `Hello`: follows this leader                            |
 * | `synchrotron:<store>:<tab>`  | leader    | `Welcome` or `Refused`, then `Answer`, `Shown`, `Status`, `Rejected`; |
 * |                              |           | `Died`: its database is unusable, and was so before it could answer  |
 * |                              | tab       | `Ask`, `Watch`, `Unwatch`, `Online`, `Bye`                           |
 *
 * | lock                         | held by                                                                          |
 * |------------------------------|----------------------------------------------------------------------------------|
 * | `synchrotron:leader:<store>` | the leader: the browser frees it when its tab is gone, and another one leads     |
 * | `synchrotron:tab:<tab>`      | the tab: the leader asks for it to hear that the tab is gone                     |
 * | `synchrotron:worker:<id>`    | a worker: its tab asks for it to hear that the worker is gone                    |
 *
 * Every message to a leader names it, so that none is taken for its successor's. A tab keeps what it asked for until the
 * answer is there, and asks the next leader again. What is executed has an id of its own (`Answers.Call`), so it is executed
 * once; everything else does no harm when it is done twice.
 */
import type { RecordId, Replica } from "@synchrotron/sync-core"
import type * as Inspector from "../inspector/Snapshot.ts"
import type { Due } from "../LiveQuery.ts"
import type { Status } from "../Status.ts"
import type { Delta, Row } from "./Delta.ts"
import type { ErrorText } from "./errors.ts"

export const channelName = (store: string): string => `synchrotron:${store}`
export const tabChannelName = (store: string, tab: string): string => `synchrotron:${store}:${tab}`
export const leaderLockName = (store: string): string => `synchrotron:leader:${store}`
export const workerLockName = (worker: string): string => `synchrotron:worker:${worker}`
export const tabLockName = (tab: string): string => `synchrotron:tab:${tab}`

/** An operation with its args as the action's schema encodes them. */
export interface EncodedOperation {
  readonly name: string
  readonly version: number
  readonly args: unknown
}

/** What one of several operations gave. */
export type OneAnswer = { readonly value: unknown } | { readonly error: ErrorText }

/** What a tab can ask for. Records that are made have the ids that come with it. */
export type Question =
  | { readonly _tag: "Execute"; readonly operation: EncodedOperation; readonly id: RecordId }
  | {
      readonly _tag: "ExecuteAll"
      readonly operations: ReadonlyArray<EncodedOperation>
      readonly id: RecordId
    }
  /** Operations that are records of their own; the answer has a {@link OneAnswer} for each. */
  | {
      readonly _tag: "ExecuteEach"
      readonly each: ReadonlyArray<{ readonly operation: EncodedOperation; readonly id: RecordId }>
    }
  | { readonly _tag: "Retry"; readonly rejected: RecordId; readonly id: RecordId }
  | { readonly _tag: "Dismiss"; readonly rejected: RecordId }
  | { readonly _tag: "Query"; readonly sql: string; readonly params: ReadonlyArray<unknown> }
  | { readonly _tag: "Outcome"; readonly id: RecordId }
  | { readonly _tag: "Inspect"; readonly question: Inspector.Question }
  | { readonly _tag: "Sync" | "Settled" | "Pause" | "Resume" | "Pending" | "Rejected" }

export type Common =
  | { readonly _tag: "Leads"; readonly leader: string }
  | { readonly _tag: "Who" }
  | {
      readonly _tag: "Hello"
      readonly leader: string
      readonly tab: string
      readonly userId: string | undefined
      /** Of the application, see `versionOf`. */
      readonly version: string
    }

export type ToTab = { readonly leader: string } & (
  | {
      readonly _tag: "Welcome"
      readonly status: Status
      readonly rejected: ReadonlyArray<Replica.RejectedRecord>
    }
  | { readonly _tag: "Refused"; readonly error: ErrorText }
  | { readonly _tag: "Died"; readonly reason: string }
  | { readonly _tag: "Answer"; readonly ask: number; readonly value: unknown }
  | { readonly _tag: "Answer"; readonly ask: number; readonly error: ErrorText }
  /** All that one commit has changed comes at once. `delta`: from the rows that came before, if any. */
  | { readonly _tag: "Shown"; readonly queries: ReadonlyArray<Shown> }
  | { readonly _tag: "Status"; readonly status: Status }
  | { readonly _tag: "Rejected"; readonly rejected: ReadonlyArray<Replica.RejectedRecord> }
)

export type Shown = { readonly key: string } & (
  | { readonly first: boolean; readonly delta: Delta<Row> }
  | { readonly error: ErrorText }
)

export type ToLeader = { readonly leader: string } & (
  | {
      readonly _tag: "Ask"
      readonly ask: number
      /** Whether a leader was asked before. */
      readonly again: boolean
      readonly what: Question
      /** Records of which the tab has heard the answers. */
      readonly heard: ReadonlyArray<RecordId>
    }
  | { readonly _tag: "Watch"; readonly queries: ReadonlyArray<Due> }
  | { readonly _tag: "Unwatch"; readonly key: string }
  /** Its network is back, or somebody came back to it. A worker does not hear of the one everywhere, and never of the other. */
  | { readonly _tag: "Online" }
  | { readonly _tag: "Bye" }
)

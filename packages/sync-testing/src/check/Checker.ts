/**
 * Checkers watch a run and judge it, each about one invariant. A checker that saw nothing to which its invariant applies
 * says `unknown`, never `pass`.
 */
import type { SqlClient } from "@effect/sql"
import type { Hlc, Principal, Protocol, RecordId, SyncApp } from "@synchrotron/sync-core"
import type { Effect } from "effect"
import type { Removed } from "./log.ts"

export const invariants = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9"] as const
export type InvariantName = (typeof invariants)[number]

export type Verdict = "pass" | "fail" | "unknown"

// biome-ignore lint/suspicious/noExplicitAny: rows have the type that the checker declares
export type Rows<Row = any> = ReadonlyArray<Row>

/** Reads a database past the engine, in a session of its own. Parameters are `$1` …. */
export type Read = <Row extends object>(
  sql: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<Rows<Row>>

export interface ClientView {
  /** `c0`, `c1`, … */
  readonly name: string
  readonly principal: Principal
  /** The node of its stamps. */
  readonly clientId: string
  /** Whether its version of the application has every action that the server has. */
  readonly current: boolean
  /** Its local database. */
  readonly read: Read
}

export interface ServerView {
  /** The authority's database, as its owner. */
  readonly read: Read
  /** Runs a statement as a user under row-level security. */
  readonly readAs: <Row extends object = object>(
    principal: Principal,
    sql: string,
    params?: ReadonlyArray<unknown>
  ) => Effect.Effect<Rows<Row>>
  /**
   * Which of the images the user would be shown now, were they rows of the table: each is put into the table and
   * looked for as the user, in a transaction that is rolled back. By position.
   */
  readonly visible: (
    principal: Principal,
    images: ReadonlyArray<{ readonly table: string; readonly key: string; readonly image: Protocol.Image }>
  ) => Effect.Effect<ReadonlyArray<boolean>>
  /** The rows of each synced table that the user sees by audience and by row-level security: text forms in order. */
  readonly viewOf: (principal: Principal) => Effect.Effect<Tables>
  /** All rows of each synced table. */
  readonly tables: Effect.Effect<Tables>
  /** What compaction may have removed from the log; nothing when it never ran. */
  readonly removed?: () => Removed
}

/** Rows in their text forms, sorted, by table. */
export type Tables = Readonly<Record<string, ReadonlyArray<string>>>

/** Where the canonical log is executed alone, to see what the server's database has to be. */
export interface Reference {
  /**
   * A PGlite of its own on which an authority of the application has been set up and nothing has happened since:
   * no rows but those of the migrations, no patches. The session is prepared as the authority's.
   */
  readonly sql: SqlClient.SqlClient
  /** The principals' role there. */
  readonly role: string
}

export interface World {
  readonly app: SyncApp.SyncApp
  readonly clients: ReadonlyArray<ClientView>
  readonly server: ServerView
  readonly settings: {
    readonly reorderWindowMs: number
    readonly reorderWindowRecords: number
    readonly chunkRowsMax: number
    readonly driftMsMax: number
    /** Largest difference between a server's clock and virtual time. */
    readonly serverSkewMsMax: number
    /** What compaction leaves open at least; absent when there is none. */
    readonly compaction?: {
      readonly reorderWindowMs: number
      readonly reorderWindowRecords: number
    }
  }
  /** Asked for once at most, when the run is finished; this world's alone from then on. */
  readonly reference: Effect.Effect<Reference>
  /** The tables of a client, as `ServerView.tables`. */
  readonly tablesOf: (client: ClientView) => Effect.Effect<Tables>
  /** Virtual time in milliseconds since 1970. */
  readonly now: () => number
  /** `c2#5` for a record that a client executed, `x3` for an external one. */
  readonly label: (id: string) => string
}

export interface Executed {
  readonly id: RecordId
  readonly hlc: Hlc.Hlc
  readonly name: string
  readonly version: number
}

/** One exchange of a client with the authority. */
export interface Exchange {
  readonly number: number
  readonly client: ClientView
  readonly request: Protocol.SyncRequest
}

/** What a run tells its checkers. Each is called at once, before anything else happens in the world. */
export interface Hooks {
  /** `execute` resolved: from now on the record is the user's. */
  readonly executed?: (client: ClientView, record: Executed) => Effect.Effect<void>
  /** A client sends this. `bytes`: size of the body. */
  readonly sent?: (exchange: Exchange, bytes: number) => Effect.Effect<void>
  /** The authority has computed this answer; the database is as the answer was read from. */
  readonly served?: (exchange: Exchange, response: Protocol.SyncResponse) => Effect.Effect<void>
  /** The client has applied the answer, in a process that lives. `replayed`: records executed again. */
  readonly applied?: (
    exchange: Exchange,
    response: Protocol.SyncResponse,
    received: { readonly path: string; readonly rows: number; readonly replayed: number }
  ) => Effect.Effect<void>
  /** The client stamped its pending records again, after its clock was refused. */
  readonly restamped?: (client: ClientView) => Effect.Effect<void>
  /** The client forgot its cursors, which were refused as too old. */
  readonly forgotCursors?: (client: ClientView) => Effect.Effect<void>
  /** A server begins with a transaction of a compaction. */
  readonly compacting?: () => Effect.Effect<void>
  /** A transaction that changed something was committed in the client's database. */
  readonly clientCommitted?: (client: ClientView) => Effect.Effect<void>
  readonly serverCommitted?: () => Effect.Effect<void>
  /** What a concurrent reader of the client saw, through the client's own `query`. */
  readonly observed?: (client: ClientView, tables: Tables) => Effect.Effect<void>
  /** The client's process ended and has started again on what was committed. */
  readonly restarted?: (client: ClientView) => Effect.Effect<void>
  /** The user is about to dismiss or retry a refused record: from now on a crash may find it gone. */
  readonly settling?: (client: ClientView, id: RecordId) => Effect.Effect<void>
  /** The user dismissed a refused record, or retried it as the record `as`. */
  readonly settledByUser?: (client: ClientView, id: RecordId, as: Executed | null) => Effect.Effect<void>
  /** A forged request was answered: `error` is the tag of the refusal, or null for an ordinary answer. */
  readonly forged?: (what: string, error: string | null) => Effect.Effect<void>
  /** The faults are over and every client has synced as often as convergence may take. */
  readonly finished?: Effect.Effect<void>
}

export interface Reporter {
  /** Something to which the invariant applies was seen and holds. */
  readonly observed: () => void
  /** The invariant is broken. Say what was expected, what is, and where. */
  readonly violated: (message: string) => void
}

export interface Checker {
  readonly invariant: InvariantName
  /** One sentence: what is verified, and when it is `unknown`. */
  readonly about: string
  readonly hooks: (world: World, reporter: Reporter) => Hooks
}

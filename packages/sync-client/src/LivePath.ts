/** What tells a session of commits as they happen. {@link LiveShape} is the usual one. */
import type { Live } from "@synchrotron/sync-core"
import type { Effect } from "effect"

export interface Listener {
  /** Tells of a commit, one after the other; does not fail. */
  readonly message: (message: Live.Message) => Effect.Effect<void>
  /** Something may have happened that no message tells of. */
  readonly missed: Effect.Effect<void>
  /** Whether messages come. */
  readonly up: (live: boolean) => Effect.Effect<void>
}

export interface LivePath {
  /** Tells the listener of everything until it is interrupted. */
  readonly run: (listener: Listener) => Effect.Effect<void>
}

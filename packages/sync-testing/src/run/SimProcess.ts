/** A process that crashes at a message, and comes back after its time to what it had committed. */
import { Effect, Exit, Scope } from "effect"

/** Its way to its database. */
interface Attached {
  readonly crashAfter: (after: number | null) => void
  readonly kill: () => void
}

export abstract class SimProcess<Attachment extends Attached = Attached> {
  abstract readonly name: string
  up = false
  protected attachment: Attachment | null = null
  protected crashed = false
  private scope: Scope.CloseableScope | null = null
  private downMs = 0

  abstract start(): Promise<void>

  /** Looks at what was committed when it ended. */
  protected abstract settle(): Promise<void>

  /** What lasts as long as the process. */
  protected begin(attachment: Attachment): Scope.CloseableScope {
    this.attachment = attachment
    this.scope = Effect.runSync(Scope.make())
    return this.scope
  }

  protected ended(): void {
    this.crashed = true
    this.up = false
  }

  /** Crashes at the `after`-th message from now on, and stays down for so long. */
  crashAfter(after: number, downMs: number): void {
    if (!this.up) return
    this.downMs = downMs
    this.attachment?.crashAfter(after)
  }

  /** Puts away what has crashed; gives how long it stays down, or null when it has not. */
  async bury(): Promise<number | null> {
    if (!this.crashed) return null
    this.crashed = false
    await this.close()
    await this.settle()
    return this.downMs
  }

  /** No fault happens from now on. */
  heal(): void {
    this.attachment?.crashAfter(null)
  }

  async close(): Promise<void> {
    this.up = false
    this.attachment?.kill()
    this.attachment = null
    const { scope } = this
    this.scope = null
    if (scope !== null) await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

/**
 * Server-sent events of one session. While nothing happens it is an entry in the hub and this object, without a fiber, so
 * that a server can hold thousands:
 *
 *     begin ──► write ──► waiting ──┬── news ──► read ──► write
 *                 ▲                 ├── silent for long ──► keep-alive
 *                 └─────────────────┴── time is over, or the server stops ──► end
 *
 * A client that does not take what it is sent holds one text, and is not read for; when it goes on like that it is hung up
 * on (I9). It comes back, and begins with a sync.
 */
import { type Clock, Effect, Fiber } from "effect"
import type { Waiting } from "./Registry.ts"

/** Where the text goes. */
export interface Sink {
  /** False when it has to wait: `drained` is called when it can go on. */
  readonly write: (text: string) => boolean
  readonly end: () => void
  /** Hangs up. */
  readonly destroy: () => void
}

/** What was read, and where to wait from; null when the stream is to end. */
export interface Piece {
  /** Events; none when there was nothing to tell. */
  readonly text: string
  /** Whether more is there already. */
  readonly more: boolean
  readonly waiting: Omit<Waiting, "untilMs">
}

export interface EventStreamOptions {
  readonly clock: Clock.Clock
  readonly runFork: <A>(effect: Effect.Effect<A>) => Fiber.RuntimeFiber<A>
  readonly watch: (waiting: Waiting, wake: (isNews: boolean) => void) => () => void
  /** Reads what came after the last piece. */
  readonly read: Effect.Effect<Piece | null>
  readonly stopping: () => boolean
  readonly untilMs: number
  readonly keepAliveMs: number
  /** How long a client may leave unread what it was sent. */
  readonly stallMsMax: number
  /** Called once, when it is over. */
  readonly onEnd: () => void
}

export class EventStream {
  private readonly options: EventStreamOptions
  private readonly sink: Sink
  private piece: Piece
  /** Takes it out of the hub, or ends what it does. */
  private cancel: () => void = () => {}
  private stalled: Fiber.RuntimeFiber<void> | null = null
  private over = false

  constructor(first: Piece, sink: Sink, options: EventStreamOptions) {
    this.options = options
    this.sink = sink
    this.piece = first
  }

  begin(): void {
    this.write(this.piece.text)
  }

  /** The client has taken what it was sent. */
  drained(): void {
    if (this.stalled === null) return
    this.options.runFork(Fiber.interruptFork(this.stalled))
    this.stalled = null
    this.goOn()
  }

  /** The client has hung up, or the stream has ended. */
  closed(): void {
    if (this.over) return
    this.over = true
    this.cancel()
    if (this.stalled !== null) this.options.runFork(Fiber.interruptFork(this.stalled))
    this.options.onEnd()
  }

  private write(text: string): void {
    if (this.over) return
    const { runFork, stallMsMax } = this.options
    if (text !== "" && !this.sink.write(text))
      this.stalled = runFork(
        Effect.delay(
          Effect.sync(() => this.sink.destroy()),
          stallMsMax
        )
      )
    else this.goOn()
  }

  private goOn(): void {
    if (this.over) return
    const { clock, keepAliveMs, stopping, untilMs, watch } = this.options
    const nowMs = clock.unsafeCurrentTimeMillis()
    if (this.piece.more) this.read()
    else if (nowMs >= untilMs || stopping()) this.end()
    else {
      const silentUntilMs = Math.min(untilMs, nowMs + keepAliveMs)
      let woken = false
      const leave = watch({ ...this.piece.waiting, untilMs: silentUntilMs }, (isNews) => {
        woken = true
        const atMs = clock.unsafeCurrentTimeMillis()
        if (isNews) this.read()
        else if (silentUntilMs <= atMs && atMs < untilMs && !stopping()) this.write(keepAlive)
        else this.end()
      })
      if (!woken) this.cancel = leave
    }
  }

  private read(): void {
    const { read, runFork } = this.options
    let done = false
    const fiber = runFork(
      Effect.map(read, (piece) => {
        done = true
        if (this.over) return
        if (piece === null) this.end()
        else {
          // It may last, and the text is sent.
          this.piece = { ...piece, text: "" }
          this.write(piece.text)
        }
      })
    )
    if (!done) this.cancel = () => void runFork(Fiber.interruptFork(fiber))
  }

  private end(): void {
    this.sink.end()
    this.closed()
  }
}

const keepAlive = ": keep-alive\n\n"

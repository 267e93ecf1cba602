/**
 * Many who ask at the same time are answered together. What is asked while all lanes are busy waits, and goes with the
 * next batch: the busier the server, the larger the batches, up to a bound.
 */
import { Effect, Exit } from "effect"

interface Asked<Question, Answer, E> {
  readonly question: Question
  readonly resume: (answer: Effect.Effect<Answer, E>) => void
}

export class Batches<Question, Answer, E> {
  private readonly waiting = new Set<Asked<Question, Answer, E>>()
  private busy = 0

  constructor(
    private readonly options: {
      /** Answers for the questions, in their order. */
      readonly answer: (questions: ReadonlyArray<Question>) => Effect.Effect<ReadonlyArray<Answer>, E>
      readonly sizeMax: number
      /** Batches at the same time. */
      readonly lanes: number
      /** Runs a lane, with nothing of who asks: it goes on when that one goes away. */
      readonly runFork: <A>(effect: Effect.Effect<A>) => unknown
    }
  ) {}

  readonly ask = (question: Question): Effect.Effect<Answer, E> =>
    Effect.async<Answer, E>((resume) => {
      const asked = { question, resume }
      this.waiting.add(asked)
      if (this.busy < this.options.lanes) {
        this.busy++
        this.options.runFork(this.work)
      }
      return Effect.sync(() => this.waiting.delete(asked))
    })

  private get work(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      // Who asks in the same moment comes along.
      yield* Effect.yieldNow()
      while (this.waiting.size > 0) {
        const some = [...this.waiting].slice(0, this.options.sizeMax)
        for (const asked of some) this.waiting.delete(asked)
        const exit = yield* Effect.exit(this.options.answer(some.map(({ question }) => question)))
        for (const [i, { resume }] of some.entries()) resume(Exit.map(exit, (answers) => answers[i]!))
      }
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          this.busy--
        })
      )
    )
  }
}

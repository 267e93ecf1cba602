/**
 * Many who ask at the same time are answered together. What is asked while all lanes are busy waits, and goes with the
 * next batch: the busier the server, the larger the batches, up to a bound.
 */
import { Deferred, Effect, Exit } from "effect"

interface Asked<Question, Answer, E> {
  readonly question: Question
  readonly answer: Deferred.Deferred<Answer, E>
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
    }
  ) {}

  readonly ask = (question: Question): Effect.Effect<Answer, E> =>
    Effect.gen(this, function* () {
      const asked = { question, answer: yield* Deferred.make<Answer, E>() }
      this.waiting.add(asked)
      if (this.busy < this.options.lanes) {
        this.busy++
        // Who asks in the same moment comes along.
        yield* Effect.forkDaemon(Effect.zipRight(Effect.yieldNow(), this.work))
      }
      return yield* Effect.onInterrupt(Deferred.await(asked.answer), () =>
        Effect.sync(() => this.waiting.delete(asked))
      )
    })

  private get work(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      while (this.waiting.size > 0) {
        const some = [...this.waiting].slice(0, this.options.sizeMax)
        for (const asked of some) this.waiting.delete(asked)
        const exit = yield* Effect.exit(this.options.answer(some.map(({ question }) => question)))
        for (const [i, { answer }] of some.entries())
          yield* Deferred.done(
            answer,
            Exit.map(exit, (answers) => answers[i]!)
          )
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

/** The command `synchrotron-sim`, as an effect. */
import { type CliApp, CliConfig, Command, ValidationError } from "@effect/cli"
import { Cause, Console, Data, Effect, Exit, Layer, Logger, Option } from "effect"
import type { Verdict } from "../check/Checker.ts"
import { Engine } from "./engine.ts"
import { sentence } from "./failure.ts"
import { options } from "./options.ts"
import { replay } from "./replay.ts"
import { sweep } from "./sweep.ts"

/** The run is over, and its verdict is no `pass`. Everything about it has been printed. */
class NotPassed extends Data.TaggedError("NotPassed")<{ readonly verdict: Exclude<Verdict, "pass"> }> {}

const command = Command.make("synchrotron-sim", options, (given) =>
  Effect.gen(function* () {
    if (Option.contains(given.canary, "list")) return yield* listCanaries
    const verdict = Option.isSome(given.replay)
      ? yield* replay({ ...given, replay: given.replay.value })
      : yield* sweep(given)
    if (verdict !== "pass") return yield* new NotPassed({ verdict })
  })
).pipe(
  Command.withDescription(
    "Runs many clients and the authority in one process on virtual time, with every fault, from a seed. The exit code is 0 when every check passed, 1 when one failed, and 2 when nothing was executed or the command is wrong"
  )
)

const listCanaries = Effect.flatMap(Engine, ({ canaries }) => {
  const width = Math.max(...canaries.map(({ name }) => name.length))
  return Console.log(canaries.map(({ name, about }) => `${name.padEnd(width)}  ${about}`).join("\n"))
})

const run = Command.run(command, { name: "synchrotron-sim", version: "0.1.0" })

/** Runs the command line; says in a sentence what went wrong, and fails then. */
export const main = (
  argv: ReadonlyArray<string>
): Effect.Effect<void, unknown, CliApp.CliApp.Environment | Engine> =>
  run(argv).pipe(
    Effect.tapError((error) =>
      // The command line's own errors are printed already, and so are verdicts.
      ValidationError.isValidationError(error) || error instanceof NotPassed
        ? Effect.void
        : Console.error(sentence(error))
    ),
    Effect.tapDefect((defect) => Effect.logFatal("The command crashed", defect)),
    Effect.provide(
      Layer.merge(
        CliConfig.layer({ showBuiltIns: false }),
        Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))
      )
    )
  )

/** 0 for `pass`, 1 for `fail`, 2 when there is no verdict. */
export const exitCodeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  return failure instanceof NotPassed && failure.verdict === "fail" ? 1 : 2
}

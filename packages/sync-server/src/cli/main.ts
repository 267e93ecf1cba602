/** The command `synchrotron-server`, as an effect. Only commands that work are here. */
import { type CliApp, CliConfig, Command, ValidationError } from "@effect/cli"
import { Console, Effect, Layer, Logger } from "effect"
import { compact } from "./compact.ts"
import { sentence } from "./failure.ts"
import { serve } from "./serve.ts"
import { token } from "./token.ts"

const command = Command.make("synchrotron-server").pipe(
  Command.withDescription("The authority of a Synchrotron application"),
  Command.withSubcommands([serve, compact, token])
)

const run = Command.run(command, { name: "synchrotron-server", version: "0.1.0" })

/** Runs the command line; says in a sentence what went wrong, and fails then. */
export const main = (argv: ReadonlyArray<string>): Effect.Effect<void, unknown, CliApp.CliApp.Environment> =>
  run(argv).pipe(
    Effect.tapError((error) =>
      // The command line's own errors are printed already.
      ValidationError.isValidationError(error) ? Effect.void : Console.error(sentence(error))
    ),
    Effect.tapDefect((defect) => Effect.logFatal("The command crashed", defect)),
    Effect.provide(
      Layer.merge(
        CliConfig.layer({ showBuiltIns: false }),
        // Answers to whoever typed the command go to stdout; what the server reports while it runs, to stderr.
        Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))
      )
    )
  )

/** Options of the command line that fall back to environment variables. An empty variable counts as absent. */
import { Options } from "@effect/cli"
import { Config, Effect, Option, Redacted, Schema } from "effect"
import { CommandFailed } from "./failure.ts"

/** A text option `--name`, else the variable, else nothing. */
export const text = (name: string, variable: string, description: string) =>
  Options.text(name).pipe(
    Options.withDescription(`${description} [env: ${variable}]`),
    Options.withFallbackConfig(Config.nonEmptyString(variable)),
    Options.optional
  )

/** A port option `--name`, else the variable, else the default; 0 takes a free port. */
export const port = (name: string, variable: string, description: string, fallback: number) =>
  Options.integer(name).pipe(
    Options.withDescription(`${description}; ${fallback} unless given [env: ${variable}]`),
    Options.withFallbackConfig(Config.integer(variable)),
    Options.withSchema(Schema.Int.pipe(Schema.between(0, 65_535))),
    Options.withDefault(fallback)
  )

/** A whole number of 0 or more `--name`, else the variable, else the default. */
export const count = (name: string, variable: string, description: string, fallback: number) =>
  Options.integer(name).pipe(
    Options.withDescription(`${description}; ${fallback} unless given [env: ${variable}]`),
    Options.withFallbackConfig(Config.integer(variable)),
    Options.withSchema(Schema.NonNegativeInt),
    Options.withDefault(fallback)
  )

/** A secret comes from the environment alone, because other users of the machine can read command lines. */
export const secretOf = (variable: string) =>
  Config.option(Config.nonEmptyString(variable)).pipe(Effect.orDie, Effect.map(Option.map(Redacted.make)))

const jwtVariable = "SYNCHROTRON_JWT_SECRET"

export const jwtSecret = Effect.flatMap(
  secretOf(jwtVariable),
  Option.match({
    onNone: () =>
      new CommandFailed({
        message: `Set ${jwtVariable} to the secret that signs the users' tokens, 32 bytes or more. To make one: export ${jwtVariable}=$(openssl rand -base64 48)`
      }),
    onSome: Effect.succeed
  })
)

/** `synchrotron-server token`: a signed token for development. */
import { Command, Options } from "@effect/cli"
import { Console, Effect, Option } from "effect"
import { signDevelopmentToken } from "../tokens.ts"
import { CommandFailed, sentence } from "./failure.ts"
import { jwtSecret } from "./options.ts"

export const token = Command.make(
  "token",
  {
    user: Options.text("user").pipe(Options.withDescription("The user's id, which becomes the claim sub")),
    claims: Options.text("claims").pipe(
      Options.withDescription('Further claims as JSON, such as {"role":"admin"}'),
      Options.optional
    ),
    expires: Options.text("expires").pipe(
      Options.withDescription("How long the token lasts: 15m, 1h, 30d"),
      Options.withDefault("1h")
    )
  },
  ({ user, claims, expires }) =>
    Effect.gen(function* () {
      const secret = yield* jwtSecret
      const parsed = yield* parseClaims(Option.getOrElse(claims, () => "{}"))
      const signed = yield* Effect.tryPromise({
        try: () => signDevelopmentToken({ secret, userId: user, claims: parsed, expires }),
        catch: (cause) => new CommandFailed({ message: sentence(cause) })
      })
      yield* Console.log(signed)
    })
).pipe(
  Command.withDescription(
    "Prints a development token for a user, signed with the secret in SYNCHROTRON_JWT_SECRET"
  )
)

const parseClaims = (json: string): Effect.Effect<Record<string, unknown>, CommandFailed> =>
  Effect.try((): unknown => JSON.parse(json)).pipe(
    Effect.orElseSucceed(() => undefined),
    Effect.flatMap((value) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Effect.succeed(value as Record<string, unknown>)
        : new CommandFailed({ message: `--claims is not a JSON object: ${json}` })
    )
  )

/** Reads a JWT's payload without verifying it: the client only wants to know whose token it holds. */
import { Either, Schema } from "effect"

const Claims = Schema.parseJson(
  Schema.Struct({ sub: Schema.NonEmptyString }, Schema.Record({ key: Schema.String, value: Schema.Unknown }))
)

export type Claims = typeof Claims.Type

/** The claims, or undefined when the token is not a JWT with a `sub`. */
export const claimsOf = (token: string): Claims | undefined => {
  const payload = token.split(".")[1]
  if (payload === undefined) return undefined
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"))
    const text = new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)))
    return Either.getOrUndefined(Schema.decodeUnknownEither(Claims)(text))
  } catch {
    return undefined
  }
}

/** Tokens for development and tests. In production, tokens come from whatever signs the application's users in. */
import { Effect, type Redacted } from "effect"
import { SignJWT } from "jose"
import { secretKey } from "./Auth.ts"

/**
 * Signs a token that `Auth.layerJwt` with the same secret accepts. Rejects with a readable error when the secret is too
 * short or `expires` is not a time.
 *
 * @param options.userId the claim `sub`
 * @param options.claims further claims, such as `{ role: "admin" }`
 * @param options.expires lifetime such as `15m`, `1h` or `30 days`; one hour unless given
 */
export const signDevelopmentToken = async (options: {
  readonly secret: Redacted.Redacted | string
  readonly userId: string
  readonly claims?: Readonly<Record<string, unknown>>
  readonly expires?: string
}): Promise<string> => {
  const key = await Effect.runPromise(secretKey(options.secret))
  const expires = options.expires ?? "1h"
  const jwt = new SignJWT({ ...options.claims }).setProtectedHeader({ alg: "HS256", typ: "JWT" })
  try {
    jwt.setExpirationTime(expires)
  } catch {
    throw new Error(`"${expires}" is not a time that a token can last. Write for example 15m, 1h or 30d.`)
  }
  return jwt.setSubject(options.userId).setIssuedAt().sign(key)
}

/**
 * Who sends a request. {@link layerJwt} reads JSON Web Tokens (RFC 7519) that are signed with HS256 and a shared secret;
 * an application with other tokens provides an {@link Authenticator} of its own.
 */
import { type Principal, Protocol } from "@synchrotron/sync-core"
import { Clock, Context, Effect, Layer, Redacted, Schema } from "effect"
import { errors, type JWTVerifyOptions, jwtVerify } from "jose"

/** Bytes that HMAC-SHA-256 needs at least, RFC 7518 section 3.2. */
export const secretBytesMin = 32

/** Turns the bearer token of a request into a principal. */
export interface AuthenticatorService {
  /**
   * @param token what followed `Authorization: Bearer`; empty when the request had no such header
   * @returns the principal, `Unauthorized` when the token is not good, `Unavailable` when nobody can tell now
   */
  readonly authenticate: (
    token: Redacted.Redacted
  ) => Effect.Effect<Principal, Protocol.Unauthorized | Protocol.Unavailable>
}

/**
 * The service that the HTTP interface asks about every token.
 *
 * @example
 * const layerCookies = Layer.succeed(Authenticator, { authenticate: (token) => mySessions.lookup(token) })
 */
export class Authenticator extends Context.Tag("@synchrotron/sync-server/Authenticator")<
  Authenticator,
  AuthenticatorService
>() {}

/**
 * Asks the authenticator, and refuses what Postgres cannot hold: rows of many users are read in one statement, which must
 * not fail for one of them.
 */
export const authenticate = (
  authenticator: AuthenticatorService,
  token: Redacted.Redacted
): Effect.Effect<Principal, Protocol.Unauthorized | Protocol.Unavailable> =>
  Effect.filterOrFail(
    authenticator.authenticate(token),
    (principal) => Protocol.isStorable(JSON.stringify(principal)),
    () =>
      unauthorized(
        "The user's id or a claim has a character that Postgres cannot hold: NUL (\\u0000) or a lone surrogate. Remove it where the token is made."
      )
  )

/** The secret is too short to be safe; the server does not start. */
export class SecretTooShort extends Schema.TaggedError<SecretTooShort>()("SecretTooShort", {
  bytes: Schema.Int
}) {
  override get message() {
    return `The JWT secret has ${this.bytes} bytes, and at least ${secretBytesMin} are needed. Make one with \`openssl rand -base64 48\` and give it to the server and to whatever issues your tokens.`
  }
}

export interface JwtOptions {
  /** Shared secret of at least 32 bytes. */
  readonly secret: Redacted.Redacted | string
  /** Demanded value of the claim `iss`; anything when absent. */
  readonly issuer?: string | undefined
  /** Demanded value of the claim `aud`; anything when absent. */
  readonly audience?: string | undefined
  /** How far the clock of the issuer may differ, in seconds; 5 unless given. */
  readonly clockToleranceSeconds?: number | undefined
}

/** The secret as a key. Fails when it is shorter than {@link secretBytesMin}. */
export const secretKey = (secret: Redacted.Redacted | string): Effect.Effect<Uint8Array, SecretTooShort> =>
  Effect.suspend(() => {
    const key = new TextEncoder().encode(Redacted.isRedacted(secret) ? Redacted.value(secret) : secret)
    return key.length < secretBytesMin
      ? Effect.fail(new SecretTooShort({ bytes: key.length }))
      : Effect.succeed(key)
  })

/**
 * Authenticates by JWT. The claim `sub` is the user's id; all claims are there for row-level security. `exp` and `nbf`
 * are obeyed when present. Only HS256 is accepted, whatever the token's header says.
 */
export const layerJwt = (options: JwtOptions): Layer.Layer<Authenticator, SecretTooShort> =>
  Layer.effect(
    Authenticator,
    Effect.map(secretKey(options.secret), (key) => {
      const verifyOptions: JWTVerifyOptions = {
        algorithms: ["HS256"],
        clockTolerance: options.clockToleranceSeconds ?? 5,
        ...(options.issuer !== undefined && { issuer: options.issuer }),
        ...(options.audience !== undefined && { audience: options.audience })
      }
      return {
        authenticate: Effect.fn("Authenticator.authenticate")(function* (token) {
          if (Redacted.value(token) === "")
            return yield* unauthorized("A token is needed: send the header `Authorization: Bearer <token>`.")
          const currentDate = new Date(yield* Clock.currentTimeMillis)
          const { payload } = yield* Effect.tryPromise({
            try: () => jwtVerify(Redacted.value(token), key, { ...verifyOptions, currentDate }),
            catch: (cause) => unauthorized(reason(cause))
          })
          if (typeof payload.sub !== "string" || payload.sub === "")
            return yield* unauthorized("The token names no user: its claim `sub` is missing.")
          return { userId: payload.sub, claims: { ...payload } }
        })
      }
    })
  )

const unauthorized = (message: string) => new Protocol.Unauthorized({ message })

/** Says more than "not valid" only about tokens whose signature was right, so it tells a forger nothing. */
const reason = (cause: unknown): string => {
  if (cause instanceof errors.JWTExpired) return "The token has expired. Get a new one."
  if (cause instanceof errors.JWTClaimValidationFailed) {
    if (cause.claim === "nbf") return "The token is not valid yet: compare the clocks of issuer and server."
    return `The token is not for this server: its claim \`${cause.claim}\` is missing or not the one expected.`
  }
  return "The token is not valid."
}

/** On whose behalf a record is executed: the user's id and the claims that row-level security may read. */
import { Schema } from "effect"

export const Principal = Schema.Struct({
  /** The token's subject; policies read it with `synchrotron.user_id()`. */
  userId: Schema.NonEmptyString,
  /** All claims of the token; policies read them with `current_setting('request.jwt.claims', true)`. */
  claims: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})
export type Principal = typeof Principal.Type

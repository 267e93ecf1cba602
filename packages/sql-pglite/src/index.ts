export type { PgliteConnection, Row } from "./Connection.ts"
export { type ErrorFields, PgliteDead, PgliteError, PgliteLocked, sqlState } from "./Errors.ts"
export type { ImageOptions } from "./Image.ts"
export type { OpenOptions } from "./Open.ts"
export * as Opfs from "./opfs.ts"
export { jsonParam, PgliteClient, type PgliteClientOptions, type PgliteSqlClient } from "./PgliteClient.ts"
export type { Statement } from "./Session.ts"
export * as Store from "./Store.ts"
export {
  encodeParam,
  parseArray,
  parserOf,
  pgDefaults,
  pgOptions,
  pgTypes,
  sessionSettings,
  settingsSql,
  type TextParser
} from "./Types.ts"
export type { Field, Result, TransactionStatus } from "./Wire.ts"

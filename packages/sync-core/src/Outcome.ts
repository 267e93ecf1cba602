/** What became of an operation, as the application sees it. */
import type { Rejection } from "./Protocol.ts"

/**
 * - `applied`: the authority did what the client did
 * - `changed`: the authority executed it with another effect (rows that security hides, a crossing action)
 * - `rejected`: refused, with a reason; kept in the inbox until it is retried or dismissed
 * - `voided`: was confirmed, and a late arrival made it impossible; kept in the inbox likewise
 */
export type Outcome =
  | { readonly _tag: "applied" }
  | { readonly _tag: "changed" }
  | { readonly _tag: "rejected"; readonly error: Rejection }
  | { readonly _tag: "voided"; readonly error: Rejection }

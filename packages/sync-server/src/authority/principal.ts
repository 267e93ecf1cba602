/** SQL that reads on behalf of a principal. */
import { type Audience, identifier, literal, type Principal, type SyncApp } from "@synchrotron/sync-core"
import type { Setup } from "./setup.ts"

/** Two statements, after which the transaction reads as the principal. */
export const asPrincipal = (setup: Setup, principal: Principal): string =>
  `SET LOCAL ROLE ${identifier(setup.mode.role!)};${settingsOf(principal)}`

/** One statement: as whom the role of principals reads from then on. */
export const settingsOf = (principal: Principal): string =>
  `SELECT set_config('synchrotron.user_id', ${literal(principal.userId)}, true), set_config('request.jwt.claims', ${literal(JSON.stringify(principal.claims))}, true)`

/** One statement, to be run as the principal: its audiences. */
export const audiencesSql = (app: SyncApp.SyncApp): string => app.audiences.replace(/[\s;]+$/, "")

/** The audiences in the result of {@link audiencesSql}, each once. */
export const audiencesIn = (rows: ReadonlyArray<Record<string, unknown>>): ReadonlyArray<Audience> =>
  [...new Set(rows.map((row) => Object.values(row)[0] as Audience | null))].filter((a) => a !== null)

/** Databases that many runs share: booting one costs more than a run. */
import { Reactivity } from "@effect/experimental"
import { SqlClient } from "@effect/sql"
import type { PgliteSqlClient } from "@synchrotron/sql-pglite"
import { Replica } from "@synchrotron/sync-core"
import { AuthorityLive } from "@synchrotron/sync-server"
import { Effect, Layer } from "effect"
import type { Canary } from "../canaries.ts"
import type { Report } from "../Report.ts"
import type { Scenario } from "../Scenario.ts"
import type { Script } from "../Script.ts"
import { serverApp } from "./apps.ts"
import { emptyImage } from "./image.ts"
import * as PostgresSlot from "./PostgresSlot.ts"
import { run } from "./run.ts"
import * as ServerSlot from "./ServerSlot.ts"
import * as Slot from "./Slot.ts"
import { share } from "./shared.ts"

/** Where the servers' database is; for Postgres the connection string of a user that may create databases. */
export type Database = "pglite" | { readonly postgres: string }

export interface RunOptions {
  readonly canary?: Canary | undefined
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
}

export interface Arena {
  /** One run; the arena serves one at a time. */
  readonly run: (script: Script, options?: RunOptions) => Promise<Report>
  readonly close: () => Promise<void>
}

/** The databases of one run, all as they were after their set-up. */
export interface Databases {
  readonly server: ServerSlot.ServerSlot
  /** Always a PGlite: beside a Postgres it shows that records do the same on both. */
  readonly reference: Slot.Slot
  readonly clients: ReadonlyArray<Slot.Database>
}

/** PGlites for clients: at about 50 MB each they are what a run of many clients costs. */
const clientSlotsMax = 24

export const role = "synchrotron_user"

/** Rejects when the application cannot be installed. */
export const openArena = async ({
  db,
  scenario
}: {
  readonly scenario: Scenario
  readonly db: Database
}): Promise<Arena> => {
  const image = await emptyImage()
  const app = serverApp(scenario.app)
  const provided = (sql: SqlClient.SqlClient) =>
    Layer.mergeAll(Layer.succeed(SqlClient.SqlClient, sql), Reactivity.layer)
  const installServer = (sql: SqlClient.SqlClient) =>
    Effect.runPromise(
      Effect.scoped(Layer.build(AuthorityLive.layer({ app, role }).pipe(Layer.provide(provided(sql)))))
    ).then(() => {})
  const installClient = (sql: PgliteSqlClient) =>
    Effect.gen(function* () {
      yield* Replica.make({ app, userId: "nobody" })
      yield* sql.unsafe("DELETE FROM synchrotron.replica")
    }).pipe(Effect.scoped, Effect.provide(provided(sql)), Effect.runPromise)
  const reference = await Slot.open(image, installServer)
  const server =
    db === "pglite"
      ? ServerSlot.onPglite(await Slot.open(await reference.image()))
      : await PostgresSlot.open(db.postgres, role, installServer)
  const clients: Array<Slot.Slot> = []
  let clientImage: Blob | null = null
  const openClient = async () => {
    if (clientImage !== null) return Slot.open(clientImage)
    const slot = await Slot.open(image, installClient)
    clientImage = await slot.image()
    return slot
  }
  return {
    run: async (script, options = {}) => {
      const count = script.devices.length
      while (clients.length < Math.min(count, clientSlotsMax)) clients.push(await openClient())
      const used = clients.slice(0, count)
      for (const slot of [server, reference, ...used]) await slot.reset()
      // Each device has a slot of its own, or its turns on one.
      const pages = used.map((slot, index) =>
        count <= used.length ? [slot] : share(slot, Math.ceil((count - index) / used.length))
      )
      const devices = Array.from(
        { length: count },
        (_, index) => pages[index % used.length]![Math.floor(index / used.length)]!
      )
      return run(scenario, script, { server, reference, clients: devices }, options)
    },
    close: async () => {
      for (const slot of [server, reference, ...clients]) await slot.close()
    }
  }
}

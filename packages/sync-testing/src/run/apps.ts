/** The application as the simulated servers and devices know it. */
import { Action, SyncApp } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

/** Throws on the server, and does nothing on a client. */
export const throwing = Action.make("simulation.throw", {
  args: Schema.Struct({}),
  run: ({ sql }) =>
    Effect.flatMap(
      sql<{ server: boolean }>`SELECT to_regclass('synchrotron.realm') IS NOT NULL AS server`,
      ([side]) => (side?.server ? Effect.dieMessage("thrown by the simulation") : Effect.void)
    )
})

/** Known to devices alone. */
export const novelty = Action.make("simulation.novelty", {
  args: Schema.Struct({}),
  run: () => Effect.void
})

const having = (app: SyncApp.SyncApp, actions: SyncApp.SyncApp["actions"]): SyncApp.SyncApp => ({
  ...app,
  actions
})

const key = (action: { readonly definition: { readonly name: string; readonly version: number } }) =>
  SyncApp.actionKey(action.definition.name, action.definition.version)

export const serverApp = (app: SyncApp.SyncApp): SyncApp.SyncApp =>
  having(app, new Map([...app.actions, [key(throwing), throwing.definition]]))

/** `lacks`: key of an action that this device's version does not have yet. */
export const deviceApp = (app: SyncApp.SyncApp, lacks: string | null): SyncApp.SyncApp =>
  having(
    app,
    new Map(
      [
        ...app.actions,
        [key(throwing), throwing.definition] as const,
        [key(novelty), novelty.definition] as const
      ].filter(([name]) => name !== lacks)
    )
  )

/** Options of the command line, and what they mean. */
import { Options } from "@effect/cli"
import { Config, Effect, Option, Schema } from "effect"
import { type FaultName, faultNames, faultsOf } from "../Faults.ts"
import type { Database } from "../run/Arena.ts"
import { CommandFailed } from "./failure.ts"

const whole = (name: string, min: number, max: number, description: string) =>
  Options.integer(name).pipe(
    Options.withDescription(description),
    Options.withSchema(
      Schema.Int.pipe(
        Schema.between(min, max, { message: () => `Expected --${name} to be from ${min} to ${max}.` })
      )
    )
  )

const named = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.optional)

const flag = (name: string, description: string) =>
  Options.boolean(name).pipe(Options.withDescription(description))

export const clientsDefault = 4
export const actionsDefault = 40
export const outDefault = "sim-failures"

export const options = {
  scenario: named(
    "scenario",
    "bank, bookings, or the path of a module that default-exports a scenario; bank unless given"
  ),
  clients: whole("clients", 1, 1000, `Devices; ${clientsDefault} unless given`).pipe(
    Options.withDefault(clientsDefault)
  ),
  actions: whole(
    "actions",
    0,
    1_000_000,
    `Operations of all clients together; ${actionsDefault} unless given`
  ).pipe(Options.withDefault(actionsDefault)),
  seed: whole("seed", 0, 2 ** 52, "The seed, which decides everything; a random one unless given").pipe(
    Options.optional
  ),
  seeds: whole("seeds", 0, 2 ** 31, "So many seeds from there on; 1 unless given, 0 for no end").pipe(
    Options.withDefault(1)
  ),
  forever: flag("forever", "Seeds until stopped: Ctrl-C finishes the seed that runs, and reports"),
  jobs: whole(
    "jobs",
    1,
    256,
    "Processes that share the seeds; as many as there are cores unless given, 1 for one seed"
  ).pipe(Options.optional),
  faults: Options.text("faults").pipe(
    Options.withDescription(
      `Faults that may happen: all, none, or some of ${faultNames.join(",")}; all unless given`
    ),
    Options.withDefault("all")
  ),
  db: Options.choice("db", ["pglite", "postgres"]).pipe(
    Options.withDescription(
      "The servers' database: pglite unless given; postgres makes one for the run on the Postgres of TEST_DATABASE_URL or DATABASE_URL"
    ),
    Options.withDefault("pglite" as const)
  ),
  canary: named("canary", "Plants a bug that the run must find; list says which there are"),
  timeline: named("timeline", "Writes a page of the run to this file: of the one that failed, if one did"),
  json: flag("json", "Prints one line of JSON, and nothing else on stdout"),
  noShrink: flag("no-shrink", "Leaves a failing script as it is"),
  out: Options.text("out").pipe(
    Options.withDescription(`Folder for failing scripts; ${outDefault} unless given`),
    Options.withDefault(outDefault)
  ),
  replay: named("replay", "Runs the script of this file once, instead of seeds")
}

/** `all`, `none`, or names with commas between them. */
export const faultsFrom = (text: string): Effect.Effect<ReadonlyArray<FaultName>, CommandFailed> => {
  if (text === "all" || text === "none") return Effect.succeed([...faultsOf(text)])
  const names = text.split(",").map((name) => name.trim())
  const strange = names.filter((name) => !faultNames.includes(name as FaultName))
  return strange.length === 0
    ? Effect.succeed(faultNames.filter((name) => names.includes(name)))
    : new CommandFailed({
        message: `There is no fault ${strange.map((name) => `"${name}"`).join(", ")}. Give all, none, or some of: ${faultNames.join(",")}`
      })
}

/** Where the server's database is. */
export const databaseFrom = (db: "pglite" | "postgres"): Effect.Effect<Database, CommandFailed> =>
  db === "pglite"
    ? Effect.succeed(db)
    : Config.option(
        Config.nonEmptyString("TEST_DATABASE_URL").pipe(
          Config.orElse(() => Config.nonEmptyString("DATABASE_URL"))
        )
      ).pipe(
        Effect.orDie,
        Effect.flatMap(
          Option.match({
            onNone: () =>
              new CommandFailed({
                message:
                  "Set TEST_DATABASE_URL to the connection string of a Postgres on which databases may be created."
              }),
            onSome: (postgres) => Effect.succeed({ postgres })
          })
        )
      )

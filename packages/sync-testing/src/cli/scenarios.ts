/** Scenarios by name or by path. */
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { Effect } from "effect"
import type { Scenario } from "../Scenario.ts"
import { CommandFailed, sentence } from "./failure.ts"

const builtIn: Readonly<Record<string, () => Promise<{ readonly default: Scenario }>>> = {
  bank: () => import("../scenarios/bank.ts"),
  bookings: () => import("../scenarios/bookings.ts")
}

/** The scenario of a built-in name, or the default export of the module at a path. */
export const loadScenario = Effect.fn("scenarios.load")(function* (nameOrPath: string) {
  const known = Object.hasOwn(builtIn, nameOrPath) ? builtIn[nameOrPath] : undefined
  if (known !== undefined) return (yield* Effect.promise(known)).default
  const file = resolve(nameOrPath)
  if (!existsSync(file)) {
    const names = Object.keys(builtIn).join(" and ")
    return yield* new CommandFailed({
      message: `There is no scenario ${nameOrPath}. Built in are ${names}; any other is the path of a module, and there is no file ${file}.`
    })
  }
  const module = yield* Effect.tryPromise({
    try: (): Promise<{ readonly default?: unknown }> => import(pathToFileURL(file).href),
    catch: (cause) => new CommandFailed({ message: cannotLoad(file, cause) })
  })
  if (!isScenario(module.default)) {
    return yield* new CommandFailed({
      message: `The default export of ${file} is no scenario. Export what defineScenario returns: export default defineScenario({ ... })`
    })
  }
  // By hand without defineScenario, a scenario may lack its name.
  return { ...module.default, name: module.default.name ?? module.default.app.name }
})

const cannotLoad = (file: string, cause: unknown) =>
  (cause as NodeJS.ErrnoException).code === "ERR_UNKNOWN_FILE_EXTENSION"
    ? `Node cannot load ${file} as it is. Compile it to JavaScript, or run with NODE_OPTIONS="--import tsx".`
    : `The scenario ${file} cannot be loaded: ${sentence(cause)}`

const isScenario = (value: unknown): value is Scenario => {
  const scenario = value as Partial<Scenario> | undefined | null
  return (
    typeof scenario?.app?.actions?.get === "function" &&
    Array.isArray(scenario.users) &&
    scenario.users.length > 0 &&
    typeof scenario.next === "function"
  )
}

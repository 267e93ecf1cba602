/** Finds actions that are not deterministic (I8): executes each record again, with one thing after another different. */
import { Action, Execution, Hlc, type Principal, SyncApp } from "@synchrotron/sync-core"
import { Clock, Effect, Random as EffectRandom, Schema, type Scope } from "effect"
import type { Verdict } from "../check/Checker.ts"
import { makeServerView } from "../check/views.ts"
import * as Random from "../Random.ts"
import { emptyImage } from "../run/image.ts"
import type { Query, Scenario } from "../Scenario.ts"
import { type Simulated, scenarioOf } from "../simulate.ts"
import { compare, type Difference, describe, type Effects } from "./Difference.ts"
import { type PerturbationName, perturbationNames, perturbations, type Trial } from "./Perturbation.ts"
import * as Stage from "./Stage.ts"
import { type Surroundings, within } from "./Surroundings.ts"

export interface DeterminismOptions extends Simulated {
  /** Operations in all; 40 unless given. Each is executed about ten times. */
  readonly actions?: number
  /** Decides which operations; 1 unless given. */
  readonly seed?: number
  /** What is different when a record is executed again; everything unless given. */
  readonly perturbations?: Iterable<PerturbationName>
  /**
   * Connection string of a Postgres on which databases may be created: records are executed there, too, in a new database
   * that is dropped afterwards. Without one, `postgres` is not tried.
   */
  readonly postgres?: string
}

/** An action that did something else, as the first record that showed it. */
export interface Finding {
  readonly action: string
  readonly version: number
  /** The arguments as they travel. */
  readonly args: unknown
  /** What was different around it. */
  readonly perturbation: PerturbationName
  /** Where the two executions differ. */
  readonly differences: ReadonlyArray<Difference>
  /** How many records of this action showed it. */
  readonly records: number
  /** All of it in words, and what to do. */
  readonly message: string
}

export interface DeterminismReport {
  /** `fail` when there are findings; `unknown` when no record was executed; else `pass`. */
  readonly verdict: Verdict
  readonly seed: number
  /** Records that were executed and compared. */
  readonly records: number
  /** Operations that failed, in the same way everywhere. */
  readonly refused: number
  /** Records by action, as `todo.add@1`. Of those with 0 nothing is known: `next` never got one through. */
  readonly recordsByAction: Readonly<Record<string, number>>
  readonly findings: ReadonlyArray<Finding>
}

/** The first record's time, whatever the seed: 2026-01-01. */
const startMs = Date.UTC(2026, 0, 1)
/** Records are so far apart that all times of the day occur. */
const apartMs = 7 * 3_600_000 + 13 * 60_000 + 11_017

/**
 * Plays operations of a scenario on a fresh database and executes each record again: after undo, with another clock,
 * other random numbers, in another time zone, with the rows in another order, on another database, and on a Postgres if
 * you give one. The same state and the same record must give the same rows.
 *
 * Users act with their rights, as on the server; `external` and `membership` do not take part. While a record is executed
 * the clock, `Math.random` and `crypto` of the whole process are replaced: let nothing else run beside it.
 *
 * Rejects only when it cannot run (an app that cannot be installed, arguments that do not fit their schema); what it
 * finds is in the report.
 */
export const checkDeterminism = (options: DeterminismOptions): Promise<DeterminismReport> =>
  Effect.runPromise(Effect.scoped(check(options)))

const check = (options: DeterminismOptions): Effect.Effect<DeterminismReport, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const scenario = scenarioOf(options)
    const seed = options.seed ?? 1
    const chosen = new Set(options.perturbations ?? perturbationNames)
    // The real time: on a Postgres other things go on in the process, and they set timers.
    const nowMs = yield* Clock.currentTimeMillis
    const image = yield* Effect.promise(emptyImage)
    const first = yield* Stage.pglite(scenario.app, image, "first")
    const others: Array<readonly [PerturbationName, Stage.Stage]> = []
    if (chosen.has("replica")) others.push(["replica", yield* Stage.pglite(scenario.app, image, "other")])
    if (chosen.has("postgres") && options.postgres !== undefined)
      others.push(["postgres", yield* Stage.postgres(scenario.app, options.postgres)])
    const settle = (rows: Parameters<Stage.Stage["settle"]>[0]) =>
      Effect.forEach([first, ...others.map(([, stage]) => stage)], (stage) => stage.settle(rows))

    const found = new Map<string, Omit<Finding, "message">>()
    const counts = new Map([...scenario.app.actions.keys()].map((key) => [key, 0]))
    let refused = 0
    yield* settle(yield* seedRows(first, scenario))
    for (let i = 0; i < (options.actions ?? 40); i++) {
      const operation = yield* nextOperation(first, scenario, Random.make(seed, "determinism", i), i)
      if (operation === undefined) continue
      const { args, record } = yield* recordOf(operation, scenario, { seed, index: i })
      const usual: Surroundings = { nowMs, chance: record.id, timeZone: undefined }
      const effects = yield* tried(first, record, usual)
      const differences = yield* perturbed({ first, others, chosen }, record, usual, effects)
      const { name, version } = operation.action
      for (const [perturbation, different] of differences) {
        const key = `${SyncApp.actionKey(name, version)} ${perturbation}`
        const known = found.get(key)
        found.set(
          key,
          known === undefined
            ? { action: name, version, args, perturbation, differences: different, records: 1 }
            : { ...known, records: known.records + 1 }
        )
      }
      if (effects._tag === "failed") refused++
      else {
        const key = SyncApp.actionKey(name, version)
        counts.set(key, (counts.get(key) ?? 0) + 1)
        yield* settle(effects.rows)
      }
    }
    const records = [...counts.values()].reduce((sum, count) => sum + count, 0)
    return {
      verdict: found.size > 0 ? "fail" : records === 0 ? "unknown" : "pass",
      seed,
      records,
      refused,
      recordsByAction: Object.fromEntries(counts),
      findings: [...found.values()].map((finding) => ({ ...finding, message: messageOf(finding) }))
    }
  })

/** What an execution does in these surroundings. */
const tried = (stage: Stage.Stage, record: Execution.Executable, around: Surroundings, sql = "") =>
  Effect.promise(() =>
    within(around, () =>
      Effect.runPromise(Effect.withRandom(stage.trial(record, { sql }), EffectRandom.make(around.chance)))
    )
  )

/** What made the record do something else. */
const perturbed = (
  {
    chosen,
    first,
    others
  }: {
    readonly first: Stage.Stage
    readonly others: ReadonlyArray<readonly [PerturbationName, Stage.Stage]>
    readonly chosen: ReadonlySet<PerturbationName>
  },
  record: Execution.Executable,
  usual: Surroundings,
  effects: Effects
) =>
  Effect.gen(function* () {
    const found: Array<readonly [PerturbationName, ReadonlyArray<Difference>]> = []
    const differ = (name: PerturbationName, stage: Stage.Stage, { around, sql }: Trial) =>
      Effect.map(tried(stage, record, around(usual), sql), (again) => {
        const differences = compare(effects, again)
        if (differences.length > 0) found.push([name, differences])
        return differences.length > 0
      })
    for (const name of perturbationNames.filter((name) => chosen.has(name))) {
      for (const trial of perturbations[name].trials) if (yield* differ(name, first, trial)) break
      // What differs when nothing is different does so every time, and says nothing more.
      if (name === "again" && found.length > 0) return found
    }
    // Another database differs in more than one thing, so it only speaks when nothing else did.
    for (const [name, stage] of others)
      if (found.length === 0) yield* differ(name, stage, { sql: "", around: (same) => same })
    return found
  })

/** The scenario's rows, made by its SQL as by a record, so that its defaults are those of a record. */
const seedRows = (stage: Stage.Stage, { name, seed }: Scenario) => {
  if (seed === undefined) return Effect.succeed([])
  const { definition: action } = Action.make("seed", {
    args: Schema.Struct({}),
    run: ({ sql }) => sql.unsafe(seed)
  })
  const record: Execution.Executable = {
    ...stamped({ userId: "", claims: {} }, { name: `seed of ${name}`, ms: startMs }),
    run: { _tag: "code", action, args: {} }
  }
  return Effect.flatMap(stage.trial(record, { asOwner: true }), (effects) =>
    effects._tag === "failed"
      ? Effect.fail(new Error(`The seed of the scenario ${name} failed: ${effects.message}`))
      : Effect.succeed(effects.rows)
  )
}

const stamped = (principal: Principal, { ms, name }: { readonly name: string; readonly ms: number }) => ({
  id: Execution.uuidOf(name) as Execution.Executable["id"],
  hlc: Hlc.make({ ms, counter: 0 }, Execution.uuidOf("determinism") as Parameters<typeof Hlc.make>[1]),
  principal
})

const userOf = ({ users }: Scenario, index: number) => users[index % users.length]!

/** What the user of this turn does next, seeing what row-level security shows. */
const nextOperation = (stage: Stage.Stage, scenario: Scenario, random: Random.Random, index: number) => {
  const userId = userOf(scenario, index)
  const view = makeServerView(stage.sql, scenario.app, stage.role)
  const query: Query = <Row extends object>(sql: string, params: ReadonlyArray<unknown> = []) =>
    Effect.runPromise(view.readAs<Row>(principalOf(userId), sql, params))
  return Effect.promise(async () =>
    scenario.next({ random, client: { name: `c${index % scenario.users.length}`, userId }, query })
  )
}

const principalOf = (userId: string): Principal => ({ userId, claims: { sub: userId } })

/** The record as it is after its way over the wire. */
const recordOf = (
  { action, args }: Action.AnyOperation,
  scenario: Scenario,
  { index, seed }: { readonly seed: number; readonly index: number }
) =>
  Effect.gen(function* () {
    const encoded: unknown = JSON.parse(JSON.stringify((yield* Schema.encode(action.args)(args)) ?? null))
    const decoded: unknown = yield* Schema.decode(action.args)(encoded)
    const record: Execution.Executable = {
      ...stamped(principalOf(userOf(scenario, index)), {
        name: `determinism:${seed}:${index}`,
        ms: startMs + (index + 1) * apartMs
      }),
      run: { _tag: "code", action, args: decoded }
    }
    return { args: encoded, record }
  })

const linesMax = 5

const messageOf = ({
  action,
  args,
  differences,
  perturbation,
  records,
  version
}: Omit<Finding, "message">) => {
  const { advice, when } = perturbations[perturbation]
  return [
    `${SyncApp.actionKey(action, version)} did something else ${when}${records > 1 ? `, in ${records} records` : ""}.`,
    `  args: ${JSON.stringify(args)}`,
    ...differences.slice(0, linesMax).map((difference) => `  ${describe(difference)}`),
    ...(differences.length > linesMax ? [`  and ${differences.length - linesMax} more`] : []),
    `  ${advice}`
  ].join("\n")
}

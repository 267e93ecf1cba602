/** The checkers of a run, and the scenario's own invariants. */
import { Effect } from "effect"
import { atomicity } from "../check/atomicity.ts"
import { authorization } from "../check/authorization.ts"
import { bounds } from "../check/bounds.ts"
import {
  type Checker,
  type Hooks,
  type InvariantName,
  invariants,
  type Read,
  type Verdict,
  type World
} from "../check/Checker.ts"
import { confidentiality } from "../check/confidentiality.ts"
import { convergence } from "../check/convergence.ts"
import { determinism } from "../check/determinism.ts"
import { durability } from "../check/durability.ts"
import { order } from "../check/order.ts"
import { serial } from "../check/serial.ts"
import type { Scenario } from "../Scenario.ts"
import type { Log } from "./Log.ts"

const checkers: ReadonlyArray<Checker> = [
  convergence,
  serial,
  order,
  durability,
  atomicity,
  confidentiality,
  authorization,
  determinism,
  bounds
]

export type Hook = <K extends keyof Hooks>(
  name: K,
  call: (hook: NonNullable<Hooks[K]>) => Effect.Effect<void>
) => Effect.Effect<void>

export class Checks {
  private readonly log: Log
  private readonly violations: string | null
  private readonly hooks: Array<Hooks> = []
  private readonly observed = new Set<InvariantName>()
  /** Digests of tables for which the scenario's invariants hold. */
  private readonly sound = new Set<string>()

  constructor(scenario: Scenario, log: Log) {
    this.log = log
    this.violations = violationsOf(scenario)
  }

  begin(world: World): void {
    for (const { hooks, invariant } of checkers)
      this.hooks.push(
        hooks(world, {
          observed: () => this.observed.add(invariant),
          violated: (message) => this.log.violated(invariant, message)
        })
      )
  }

  /** Whether anybody listens yet. */
  get begun(): boolean {
    return this.hooks.length > 0
  }

  readonly hook: Hook = (name, call) =>
    Effect.forEach(
      this.hooks,
      (each) => {
        const found = each[name]
        return found === undefined ? Effect.void : call(found as NonNullable<Hooks[typeof name]>)
      },
      { discard: true }
    )

  /** Puts the scenario's invariants to the tables that are there, which have these digests. */
  readonly invariants = (where: string, read: Read, digests: string): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      if (this.violations === null) return
      if (this.sound.has(digests)) return
      const broken = yield* read<{ name: string }>(this.violations)
      for (const { name } of broken) this.log.violated(`invariant ${name}`, `It does not hold on ${where}.`)
      if (broken.length === 0) this.sound.add(digests)
    })

  get verdicts(): Readonly<Record<InvariantName, Verdict>> {
    const failed = new Set(this.log.failures.map(({ check }) => check))
    return Object.fromEntries(
      invariants.map((name): [InvariantName, Verdict] => [
        name,
        failed.has(name) ? "fail" : this.observed.has(name) ? "pass" : "unknown"
      ])
    ) as Record<InvariantName, Verdict>
  }
}

/** One statement for all invariants: the names of those that do not hold. */
const violationsOf = ({ invariants = [] }: Scenario): string | null =>
  invariants.length === 0
    ? null
    : invariants
        .map(({ name, sql }) => `SELECT '${name.replaceAll("'", "''")}' AS name WHERE EXISTS (${sql})`)
        .join(" UNION ALL ")

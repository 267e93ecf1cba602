/** Drives a scenario against a real authority by chance alone, and counts what happened on the way. */
import type { RecordId } from "@synchrotron/sync-core"
import { Effect } from "effect"
import { expect } from "vitest"
import * as Random from "../src/Random.ts"
import type { Query, Scenario } from "../src/Scenario.ts"
import { expectConverged, type Stage, syncAll } from "./harness.ts"
import { exchange, type TestClient } from "./world.ts"

export interface Seen {
  /** Successful executions on a client, by action. */
  readonly executed: Record<string, number>
  /** Refusals on the client, by the tag of the error. */
  readonly refused: Record<string, number>
  /** The authority's verdicts, by action and then by `applied`, `changed`, or the class of the rejection. */
  readonly verdicts: Record<string, Record<string, number>>
  /** Server writes that worked and that did not. */
  readonly writes: { done: number; failed: Array<string> }
}

/** Client names to users, `count` devices dealt to the scenario's users in turn. */
export const devicesOf = (scenario: Scenario, count: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`c${i}`, scenario.users[i % scenario.users.length]!])
  )

const add = (counts: Record<string, number>, name: string) => {
  counts[name] = (counts[name] ?? 0) + 1
}

/**
 * Seeds the server, lets the clients act, sync and cross, and checks the scenario's invariants as it goes: on the server
 * after each sync and write, and on a client whenever it has nothing pending. In the end everything has converged.
 */
export const drive = (scenario: Scenario, stage: Stage, options: { seed: number; steps: number }) =>
  Effect.gen(function* () {
    const random = Random.make("drive", scenario.name, options.seed)
    const clients = Object.values(stage.clients)
    const server = queryOf(stage.world.server)
    const seen: Seen = { executed: {}, refused: {}, verdicts: {}, writes: { done: 0, failed: [] } }
    const names = new Map<RecordId, string>()
    if (scenario.seed !== undefined) yield* stage.world.server.unsafe(scenario.seed)
    yield* syncAll(clients)

    const expectInvariants = (who: string, query: Query) =>
      Effect.gen(function* () {
        for (const { name, sql } of scenario.invariants ?? [])
          expect(yield* Effect.promise(() => query(sql)), `${who}: ${name}`).toEqual([])
      })
    const act = (client: TestClient) =>
      Effect.gen(function* () {
        const operation = yield* Effect.promise(async () =>
          scenario.next({
            random,
            client: { name: client.name, userId: client.principal.userId },
            query: queryOf(client.sql)
          })
        )
        if (operation === undefined) return
        const executed = yield* Effect.either(client.replica.execute(operation))
        if (executed._tag === "Right") {
          names.set(executed.right.id, operation.action.name)
          add(seen.executed, operation.action.name)
          return
        }
        const { _tag: tag } = executed.left as { readonly _tag: string }
        if (["Impure", "ActionCrashed", "ArgsInvalid"].includes(tag)) return yield* Effect.fail(executed.left)
        add(seen.refused, tag)
      })
    const sync = (client: TestClient) =>
      Effect.gen(function* () {
        const request = yield* client.replica.request
        // The user goes on while the answer is under way, and then others do, whose later records are judged first: the
        // user's record stays pending, and crosses them.
        const meanwhile = random.chance(0.4) ? [client, random.pick(clients), random.pick(clients)] : []
        yield* Effect.forEach(meanwhile, act)
        for (const other of new Set(meanwhile)) if (other !== client) yield* other.sync
        const response = yield* exchange(stage.world.authority, client.principal, request)
        for (const verdict of response.verdicts) {
          const name = names.get(verdict.id)
          if (name === undefined) continue
          seen.verdicts[name] ??= {}
          add(seen.verdicts[name], "error" in verdict ? verdict.error.class : verdict.outcome)
        }
        yield* client.replica.receive(request, response)
        yield* expectInvariants("server", server)
        if ((yield* client.replica.pendingCount) === 0)
          yield* expectInvariants(client.name, queryOf(client.sql))
      })
    const write = (sql: string | undefined) =>
      Effect.gen(function* () {
        if (sql === undefined) return
        const written = yield* Effect.either(stage.world.server.unsafe(sql))
        if (written._tag === "Right") seen.writes.done++
        else seen.writes.failed.push(`${sql}: ${String(written.left.cause)}`)
        yield* expectInvariants("server", server)
      })

    for (let step = 0; step < options.steps; step++) {
      const roll = random.int(100)
      const client = random.pick(clients)
      if (roll < 72) yield* act(client)
      else if (roll < 90) yield* sync(client)
      else if (roll < 96)
        yield* write(yield* Effect.promise(async () => scenario.external?.({ random, query: server })))
      else yield* write(yield* Effect.promise(async () => scenario.membership?.({ random, query: server })))
    }
    for (const client of clients) yield* sync(client)
    yield* syncAll(clients)
    yield* expectConverged(stage.world, clients, `seed ${options.seed}`)
    for (const client of clients) yield* expectInvariants(client.name, queryOf(client.sql))
    return seen
  })

const queryOf =
  (sql: Stage["world"]["server"]): Query =>
  <Row extends object>(text: string, params?: ReadonlyArray<unknown>) =>
    Effect.runPromise(sql.unsafe<Row>(text, params))

/** Every action worked somewhere, some were refused on a client, and the authority gave each of `verdicts`. */
export const expectLife = (scenario: Scenario, seen: Seen, verdicts: ReadonlyArray<string>) => {
  const never = [...scenario.app.actions.values()].map((a) => a.name).filter((name) => !seen.executed[name])
  expect(never, "actions that never succeeded").toEqual([])
  expect(Object.keys(seen.refused).length, "kinds of refusals on clients").toBeGreaterThan(1)
  const given = new Set(Object.values(seen.verdicts).flatMap((counts) => Object.keys(counts)))
  expect([...given]).toEqual(expect.arrayContaining([...verdicts]))
  expect(seen.writes.failed.length, seen.writes.failed.join("\n")).toBeLessThan(seen.writes.done / 5)
}

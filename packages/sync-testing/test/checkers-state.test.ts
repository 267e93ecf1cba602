/**
 * The checkers of states, without the run loop: honest clients pass, and each way to break an invariant is reported by
 * the checker of that invariant.
 */
import type { Action, Protocol, RecordId, Replica } from "@synchrotron/sync-core"
import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { atomicity } from "../src/check/atomicity.ts"
import { bounds } from "../src/check/bounds.ts"
import type * as Checker from "../src/check/Checker.ts"
import { confidentiality } from "../src/check/confidentiality.ts"
import { convergence } from "../src/check/convergence.ts"
import { durability } from "../src/check/durability.ts"
import { makeServerView, readOf, tablesBy } from "../src/check/views.ts"
import {
  claimSeat,
  copy,
  countersApp,
  inc,
  join,
  leave,
  limited,
  move,
  note,
  put,
  remove
} from "./counters.ts"
import { randomOf, withClockOffset } from "./harness.ts"
import { embedded, exchange, makeWorld, type TestClient, type World } from "./world.ts"

const checkers = [convergence, durability, atomicity, confidentiality, bounds]

interface Watch {
  readonly view: Checker.World
  readonly hooks: Checker.Hooks
  readonly violations: Array<readonly [Checker.InvariantName, string]>
  readonly observed: Set<Checker.InvariantName>
  readonly clients: Map<string, Checker.ClientView>
  now: number
}

/** Fresh checkers over these clients, all called in turn. */
const watchOf = (world: World, clients: ReadonlyArray<TestClient>): Watch => {
  const violations: Watch["violations"] = []
  const observed: Watch["observed"] = new Set()
  const views = new Map(
    clients.map((client): [string, Checker.ClientView] => [
      client.name,
      {
        name: client.name,
        principal: client.principal,
        clientId: client.replica.clientId,
        current: true,
        read: readOf(client.sql)
      }
    ])
  )
  const watch: { now: number } = { now: 1_000_000 }
  const view: Checker.World = {
    app: countersApp,
    clients: [...views.values()],
    server: makeServerView(world.server, countersApp, "synchrotron_user"),
    settings: {
      reorderWindowMs: 0,
      reorderWindowRecords: 0,
      chunkRowsMax: 100,
      driftMsMax: 0,
      serverSkewMsMax: 0
    },
    tablesOf: (client) => tablesBy(client.read, countersApp),
    now: () => watch.now,
    reference: Effect.dieMessage("these checkers need no reference"),
    label: (id) => `record ${id.slice(0, 4)}`
  }
  const all = checkers.map((checker) =>
    checker.hooks(view, {
      observed: () => observed.add(checker.invariant),
      violated: (message) => violations.push([checker.invariant, message])
    })
  )
  const each = (call: (hooks: Checker.Hooks) => Effect.Effect<void> | undefined) =>
    Effect.forEach(all, (hooks) => call(hooks) ?? Effect.void, { discard: true })
  const hooks: Required<Checker.Hooks> = {
    executed: (...x) => each((h) => h.executed?.(...x)),
    sent: (...x) => each((h) => h.sent?.(...x)),
    served: (...x) => each((h) => h.served?.(...x)),
    applied: (...x) => each((h) => h.applied?.(...x)),
    restamped: (...x) => each((h) => h.restamped?.(...x)),
    forgotCursors: (...x) => each((h) => h.forgotCursors?.(...x)),
    compacting: () => each((h) => h.compacting?.()),
    clientCommitted: (...x) => each((h) => h.clientCommitted?.(...x)),
    serverCommitted: () => each((h) => h.serverCommitted?.()),
    observed: (...x) => each((h) => h.observed?.(...x)),
    restarted: (...x) => each((h) => h.restarted?.(...x)),
    settling: (...x) => each((h) => h.settling?.(...x)),
    settledByUser: (...x) => each((h) => h.settledByUser?.(...x)),
    forged: (...x) => each((h) => h.forged?.(...x)),
    finished: each((h) => h.finished)
  }
  return Object.assign(watch, { view, hooks, violations, observed, clients: views })
}

let exchanges = 0

type Response = Protocol.SyncResponse

interface Sabotage {
  /** The server answers this instead. */
  readonly served?: (response: Response) => Response
  /** The client gets this instead. */
  readonly received?: (response: Response) => Response
  /** Before its commit is noticed. */
  readonly applied?: Effect.Effect<unknown, unknown>
  readonly lost?: boolean
  readonly request?: Protocol.SyncRequest
}

class Stage {
  readonly world: World
  readonly watch: Watch
  readonly clients: ReadonlyArray<TestClient>
  constructor(world: World, clients: ReadonlyArray<TestClient>) {
    this.world = world
    this.clients = clients
    this.watch = watchOf(world, clients)
  }

  viewOf(client: TestClient) {
    return this.watch.clients.get(client.name)!
  }

  get hooks() {
    return this.watch.hooks as Required<Checker.Hooks>
  }

  /** Which invariants were reported as broken. */
  get broken() {
    return [...new Set(this.watch.violations.map(([invariant]) => invariant))].sort()
  }

  execute(client: TestClient, operation: Action.AnyOperation) {
    return Effect.gen(this, function* () {
      const executed = yield* client.replica.execute(operation as ReturnType<typeof remove>)
      yield* this.hooks.clientCommitted(this.viewOf(client))
      yield* this.hooks.executed(this.viewOf(client), {
        ...executed,
        name: operation.action.name,
        version: operation.action.version
      })
      return executed
    })
  }

  sync(client: TestClient, sabotage: Sabotage = {}) {
    return Effect.gen(this, function* () {
      const view = this.viewOf(client)
      this.watch.now += 1000
      const request = sabotage.request ?? (yield* client.replica.request)
      const x: Checker.Exchange = { number: ++exchanges, client: view, request }
      yield* this.hooks.sent(x, JSON.stringify(request).length)
      const answer = yield* exchange(this.world.authority, client.principal, request)
      yield* this.hooks.serverCommitted()
      const response = sabotage.served?.(answer) ?? answer
      yield* this.hooks.served(x, response)
      if (sabotage.lost === true) return { request, response: answer, received: null }
      const arrived = sabotage.received?.(response) ?? response
      const received: Replica.Received = yield* client.replica.receive(request, arrived)
      yield* sabotage.applied ?? Effect.void
      yield* this.hooks.clientCommitted(view)
      yield* this.hooks.applied(x, arrived, received)
      return { request, response: answer, received }
    })
  }

  external(sql: string) {
    return Effect.zipRight(this.world.server.unsafe(sql), this.hooks.serverCommitted())
  }

  settle(client: TestClient, id: RecordId, retry: boolean) {
    return Effect.gen(this, function* () {
      const view = this.viewOf(client)
      yield* this.hooks.settling(view, id)
      if (!retry) yield* client.replica.dismiss(id)
      else {
        const record = (yield* client.replica.rejected).find((r) => r.id === id)!
        const exit = yield* Effect.exit(client.replica.retry(id))
        if (Exit.isSuccess(exit)) {
          yield* this.hooks.clientCommitted(view)
          return yield* this.hooks.settledByUser(view, id, {
            ...exit.value,
            name: record.name,
            version: record.version
          })
        }
        yield* client.replica.dismiss(id)
      }
      yield* this.hooks.clientCommitted(view)
      yield* this.hooks.settledByUser(view, id, null)
    })
  }

  finish() {
    return Effect.gen(this, function* () {
      for (let round = 0; round < 2; round++) for (const client of this.clients) yield* this.sync(client)
      yield* this.hooks.finished
    })
  }
}

const scope = Effect.runSync(Scope.make())
let world: World
let count = 0

/** Clients that no sabotage has harmed, by users: opening one takes most of a test's time. */
const intact = new Map<string, ReadonlyArray<TestClient>>()

const opened = (name: string, userId: string, harmless: boolean) => {
  const client = world.client(name, { userId })
  return harmless ? Scope.extend(client, scope) : client
}

/** Clients on the one server: of their own, or `intact` ones, whose databases the test leaves as an engine would. */
const stage = (users: ReadonlyArray<string>, harmless = false) =>
  Effect.gen(function* () {
    const clients: Array<TestClient> = [...((harmless && intact.get(users.join())) || [])]
    for (const userId of users.slice(clients.length))
      clients.push(yield* opened(`c${count++}`, userId, harmless))
    if (harmless) intact.set(users.join(), clients)
    const made = new Stage(world, clients)
    yield* made.hooks.serverCommitted()
    for (const client of clients) yield* made.sync(client)
    return made
  })

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Effect.scoped(effect))

beforeAll(async () => {
  world = await Effect.runPromise(Scope.extend(makeWorld(countersApp, embedded), scope))
  await run(
    world.server.unsafe(
      "INSERT INTO members VALUES ('A', 'u1'), ('A', 'u2'), ('B', 'u2'), ('B', 'u3'), ('P', 'v1'), ('P', 'v2'), ('Q', 'v2'), ('Q', 'v3'); INSERT INTO counters VALUES ('a', 1, 'A'), ('b', 1, 'B'); INSERT INTO seats VALUES ('B', 'u2')"
    )
  )
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

/** Changes rows without the engine's knowledge, in a database of either side. */
const secretly = (sql: TestClient["sql"] | World["server"], statement: string) =>
  sql.withTransaction(sql.unsafe(`SET LOCAL session_replication_role = replica;${statement}`))

describe("honest runs", () => {
  it("I1, I4, I5, I6, I9: are passed with observations of each", async () => {
    await run(
      Effect.gen(function* () {
        for (const seed of [1, 2]) {
          const s = yield* stage(["v1", "v2", "v3", "v1"])
          const random = randomOf(seed)
          const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(random() * items.length)]!
          const ids = ["x", "y", "z"].map((x) => `${seed}${x}`)
          for (let step = 0; step < 140; step++) {
            const client = pick(s.clients)
            const id = pick(ids)
            const n = Math.floor(random() * 5)
            const chance = random()
            if (chance < 0.35) {
              yield* s.sync(client, { lost: random() < 0.3 })
            } else if (chance < 0.4)
              yield* s.external(
                `INSERT INTO counters VALUES ('${id}', ${n}, '${pick(["P", "Q"])}') ON CONFLICT (id) DO UPDATE SET n = excluded.n`
              )
            else if (chance < 0.45)
              yield* s.external(
                random() < 0.5
                  ? "DELETE FROM members WHERE user_id = 'v1' AND list = 'P'"
                  : "INSERT INTO members VALUES ('P', 'v1'), ('Q', 'v1') ON CONFLICT DO NOTHING"
              )
            else if (chance < 0.5)
              yield* s.hooks.observed(s.viewOf(client), yield* s.watch.view.tablesOf(s.viewOf(client)))
            else if (chance < 0.53) {
              yield* client.replica.restamp(Date.now())
              yield* s.hooks.clientCommitted(s.viewOf(client))
              yield* s.hooks.restamped(s.viewOf(client))
            } else if (chance < 0.56) yield* s.hooks.restarted(s.viewOf(client))
            else if (chance < 0.6) {
              const [refused] = yield* client.replica.rejected
              if (refused !== undefined) yield* s.settle(client, refused.id, random() < 0.5)
            } else {
              const operation = pick<() => Action.AnyOperation>([
                () => inc({ id, n }),
                () => put({ id, n, list: pick(["P", "Q"]) }),
                () => remove({ id }),
                () => copy({ from: id, to: pick(ids) }),
                () => move({ id, list: pick(["P", "Q"]) }),
                () => limited({ id, n }),
                () => note({ text: id, list: pick(["P", "Q"]) }),
                () => claimSeat({ list: `${seed}${pick(["P", "Q"])}`, user: client.principal.userId }),
                () => join({ list: pick(["P", "R"]), user: pick(["v1", "v2", "v3"]) }),
                () => leave({ list: pick(["P", "R"]), user: pick(["v1", "v2", "v3"]) })
              ])()
              yield* Effect.ignore(s.execute(client, operation))
            }
          }
          yield* s.finish()
          expect(s.watch.violations, `seed ${seed}`).toEqual([])
          expect([...s.watch.observed].sort()).toEqual(["I1", "I4", "I5", "I6", "I9"])
        }
      })
    )
  })

  it("a run in which nothing happens is unknown", async () => {
    await run(
      Effect.gen(function* () {
        const s = new Stage(world, [])
        yield* s.hooks.finished
        expect(s.watch.observed.size).toBe(0)
        expect(s.watch.violations).toEqual([])
      })
    )
  })
})

/** Runs a sabotage, and says which invariants were reported and how. */
const sabotage = (
  users: ReadonlyArray<string>,
  body: (s: Stage) => Effect.Effect<unknown, unknown, Scope.Scope>,
  harmless = false
) =>
  run(
    Effect.gen(function* () {
      const s = yield* stage(users, harmless)
      expect(s.watch.violations).toEqual([])
      yield* body(s)
      return { broken: s.broken, messages: s.watch.violations.map(([, message]) => message).join("\n") }
    })
  )

/** The same for what leaves the clients' databases intact. */
const wiretap = (
  users: ReadonlyArray<string>,
  body: (s: Stage) => Effect.Effect<unknown, unknown, Scope.Scope>
) => sabotage(users, body, true)

let names = 0
const fresh = () => `n${names++}`

const imageOf = (id: string, n: number, list: string) => ({ id, n: String(n), list })
const counters = "public.counters" as Protocol.Patch["table"]
const keyOf = (...parts: ReadonlyArray<string>) =>
  `[${parts.map((part) => JSON.stringify(part)).join(", ")}]` as Protocol.Patch["key"]

/** With one more counter, or one more that is gone. */
const withRow = (response: Response, key: Protocol.Patch["key"], image: Protocol.Image | null): Response => {
  const sent = response.tables.find(({ table }) => table === counters)
  const images = [
    ...(JSON.parse(sent?.rows ?? "[]") as ReadonlyArray<Protocol.Image>),
    ...(image === null ? [] : [image])
  ]
  const gone = [...(sent?.gone ?? []), ...(image === null ? [key] : [])]
  return {
    ...response,
    tables: [
      ...response.tables.filter(({ table }) => table !== counters),
      { table: counters, rows: JSON.stringify(images), count: images.length, gone }
    ]
  }
}

describe("I1: convergence reports", () => {
  it("a row that differs at the end", async () => {
    const { broken, messages } = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        yield* secretly(c!.sql, "UPDATE counters SET n = 99 WHERE id = 'a'")
        yield* s.hooks.finished
      })
    )
    expect(broken).toEqual(["I1"])
    expect(messages).toContain("(a,99,A)")
  })

  it("a row that was lost on the way, at the sync that lost it", async () => {
    const id = fresh()
    const { broken, messages } = await sabotage(["u1", "u2"], (s) =>
      Effect.gen(function* () {
        const [a, b] = s.clients
        yield* s.execute(a!, put({ id, n: 1, list: "A" }))
        yield* s.sync(a!)
        yield* s.sync(b!, { received: (response) => ({ ...response, tables: [] }) })
      })
    )
    expect(broken).toEqual(["I1"])
    expect(messages).toContain(`only on the server: (${id},1,A)`)
  })

  it("a record that stays pending for ever, together with durability", async () => {
    const { broken } = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        yield* s.execute(s.clients[0]!, move({ id: "none", list: "A" }))
        yield* s.hooks.finished
      })
    )
    expect(broken).toEqual(["I1", "I4"])
  })
})

describe("I4: durability reports", () => {
  const pendingGone = "DELETE FROM synchrotron.records WHERE status = 'pending'"

  it("a pending record that its client lost", async () => {
    const { broken, messages } = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        yield* s.execute(c!, move({ id: "none", list: "A" }))
        yield* c!.sql.unsafe(pendingGone)
        yield* s.sync(c!)
      })
    )
    expect(broken).toEqual(["I4"])
    expect(messages).toContain("counter.move")
  })

  it("the same after a restart, and at the end", async () => {
    for (const end of ["restart", "end"] as const) {
      const { broken } = await sabotage(["u1"], (s) =>
        Effect.gen(function* () {
          const [c] = s.clients
          yield* s.execute(c!, move({ id: "none", list: "A" }))
          yield* c!.sql.unsafe(pendingGone)
          // The commit is noticed, so that only the loss is to be reported.
          yield* s.hooks.clientCommitted(s.viewOf(c!))
          yield* end === "restart" ? s.hooks.restarted(s.viewOf(c!)) : s.hooks.finished
        })
      )
      expect(broken, end).toContain("I4")
      expect(broken, end).not.toContain("I6")
    }
  })

  it("an answer that was applied before a crash, not: nobody heard of it", async () => {
    const { broken } = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        yield* s.execute(c!, put({ id: fresh(), n: 1, list: "A" }))
        const { request, response } = yield* s.sync(c!, { lost: true })
        yield* c!.replica.receive(request, response)
        yield* s.hooks.clientCommitted(s.viewOf(c!))
        yield* s.hooks.restarted(s.viewOf(c!))
        yield* s.finish()
      })
    )
    expect(broken).toEqual([])
  })

  it("a verdict that is taken back", async () => {
    const { broken, messages } = await wiretap(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        const executed = yield* s.execute(c!, claimSeat({ list: "B", user: "u1" }))
        yield* s.sync(c!, { lost: true })
        yield* s.sync(c!, {
          served: (response) => ({
            ...response,
            verdicts: response.verdicts.map(
              ({ id }) => ({ id, outcome: "applied", hlc: executed.hlc }) as const
            )
          }),
          lost: true
        })
      })
    )
    expect(broken).toEqual(["I4"])
    expect(messages).toContain("was rejected, and is now applied")
  })

  it("a refused record without its reason, its args or its patches", async () => {
    for (const [column, value] of [
      ["error", "NULL"],
      ["args", "'{}'"],
      ["patches", "'[]'"]
    ] as const) {
      const { broken, messages } = await sabotage(["u1"], (s) =>
        Effect.gen(function* () {
          const [c] = s.clients
          yield* s.execute(c!, claimSeat({ list: "B", user: "u1" }))
          yield* s.sync(c!, { applied: c!.sql.unsafe(`UPDATE synchrotron.records SET ${column} = ${value}`) })
        })
      )
      expect(broken, `${column}: ${messages}`).toEqual(["I4"])
    }
  })

  it("a record that the server both confirmed and refused, or has never seen", async () => {
    for (const [statement, undo] of [
      [
        "INSERT INTO synchrotron.dead_letters (id, hlc, client_id, user_id, claims, name, version, args, content, error) SELECT id, hlc, client_id, user_id, claims, name, version, args, content, '{}' FROM synchrotron.records ORDER BY seq DESC LIMIT 1",
        "DELETE FROM synchrotron.dead_letters WHERE error = '{}'"
      ],
      ["DELETE FROM synchrotron.records WHERE seq = (SELECT seq FROM synchrotron.realm)", "SELECT 1"]
    ] as const) {
      const { broken, messages } = await sabotage(["u1"], (s) =>
        Effect.gen(function* () {
          const [c] = s.clients
          yield* s.execute(c!, move({ id: "none", list: "A" }))
          yield* s.sync(c!)
          yield* s.world.server.unsafe(statement)
          yield* s.hooks.finished
          yield* s.world.server.unsafe(undo)
        })
      )
      expect(broken, messages).toEqual(["I4"])
    }
  })

  it("a dismissed record that comes back", async () => {
    const { broken } = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        const { id } = yield* s.execute(c!, claimSeat({ list: "B", user: "u1" }))
        yield* s.sync(c!)
        yield* c!.sql.unsafe("CREATE TEMP TABLE kept AS SELECT * FROM synchrotron.records")
        yield* s.settle(c!, id, false)
        yield* s.sync(c!, { applied: c!.sql.unsafe("INSERT INTO synchrotron.records SELECT * FROM kept") })
      })
    )
    expect(broken).toEqual(["I4"])
  })
})

describe("I5: atomicity reports", () => {
  const cases: Record<string, (s: Stage, c: TestClient) => Effect.Effect<unknown, unknown>> = {
    "rows that change without a record or a cursor": (s, c) =>
      Effect.zipRight(
        secretly(c.sql, "UPDATE counters SET n = 99 WHERE id = 'a'"),
        s.hooks.clientCommitted(s.viewOf(c))
      ),
    "an answer that is applied in two commits": (s, c) =>
      Effect.forEach([1, 2], () =>
        Effect.zipRight(
          c.sql.unsafe("UPDATE synchrotron.replica SET seq = seq + 1"),
          s.hooks.clientCommitted(s.viewOf(c))
        )
      ),
    "pending records of which some are stamped again": (s, c) =>
      Effect.gen(function* () {
        for (const id of [fresh(), fresh()]) yield* s.execute(c, put({ id, n: 1, list: "A" }))
        yield* c.sql.unsafe(
          "UPDATE synchrotron.records SET hlc = replace(hlc, '-', 'x') WHERE hlc = (SELECT min(hlc) FROM synchrotron.records)"
        )
        yield* s.hooks.clientCommitted(s.viewOf(c))
      }),
    "a journal of nothing": (s, c) =>
      Effect.zipRight(
        c.sql.unsafe(
          "INSERT INTO synchrotron.later_patches VALUES (1, 'public.counters', '[\"a\"]', NULL, NULL)"
        ),
        s.hooks.clientCommitted(s.viewOf(c))
      ),
    "patches of a record that is gone": (s, c) =>
      Effect.gen(function* () {
        yield* s.execute(c, put({ id: fresh(), n: 1, list: "A" }))
        yield* c.sql.unsafe(
          "INSERT INTO synchrotron.patches (record_id, tbl, key) VALUES (gen_random_uuid(), 'public.counters', '[\"a\"]')"
        )
        yield* s.hooks.clientCommitted(s.viewOf(c))
      }),
    "a reader that sees half": (s, c) =>
      Effect.gen(function* () {
        yield* s.execute(c, put({ id: fresh(), n: 1, list: "A" }))
        const tables = yield* s.watch.view.tablesOf(s.viewOf(c))
        yield* s.hooks.observed(s.viewOf(c), tables)
        expect(s.broken).toEqual([])
        yield* s.hooks.observed(s.viewOf(c), {
          ...tables,
          "public.counters": tables["public.counters"]!.slice(1)
        })
      }),
    "a restart on other rows": (s, c) =>
      Effect.zipRight(
        secretly(c.sql, "UPDATE counters SET n = 99 WHERE id = 'a'"),
        s.hooks.restarted(s.viewOf(c))
      ),
    "a change on the server without a commit number": (s) =>
      Effect.gen(function* () {
        yield* secretly(s.world.server, "UPDATE counters SET n = n + 1 WHERE id = 'a'")
        yield* s.hooks.serverCommitted()
        yield* secretly(s.world.server, "UPDATE counters SET n = n - 1 WHERE id = 'a'")
      }),
    "a commit that skips a number": (s) =>
      Effect.gen(function* () {
        yield* s.world.server.unsafe("UPDATE synchrotron.realm SET seq = seq + 2")
        yield* s.hooks.serverCommitted()
        yield* s.world.server.unsafe("UPDATE synchrotron.realm SET seq = seq - 2")
      }),
    "what a commit of the server has left behind": (s) =>
      Effect.gen(function* () {
        yield* s.world.server.unsafe(
          "INSERT INTO synchrotron.undone VALUES (1, gen_random_uuid(), 'public.counters', 'x')"
        )
        yield* s.hooks.serverCommitted()
        yield* s.world.server.unsafe("DELETE FROM synchrotron.undone")
      })
  }
  it.each(Object.keys(cases))("%s", async (name) => {
    const { broken, messages } = await sabotage(["u1"], (s) => cases[name]!(s, s.clients[0]!))
    expect(broken, messages).toEqual(["I5"])
  })
})

describe("I6: confidentiality reports", () => {
  /** A record of u2 on list B, which u1 does not see, among the later ones of an answer to u1. */
  const later = (patches: ReadonlyArray<Protocol.Patch>, args: unknown, id: string, hlc: string) =>
    ({
      id,
      hlc,
      userId: "u2",
      name: "counter.put",
      version: 1,
      ...(args === undefined ? {} : { args }),
      patches
    }) as unknown as Response["later"][number]

  const serve = (tamper: (response: Response) => Response) =>
    wiretap(["u1"], (s) => s.sync(s.clients[0]!, { served: tamper, lost: true }))

  it("a present row that the user does not see", async () => {
    // That it was not asked for is beyond the bounds, too.
    const { broken, messages } = await serve((r) => withRow(r, keyOf("b"), imageOf("b", 1, "B")))
    expect(broken).toEqual(["I6", "I9"])
    expect(messages).toContain("which its user does not see")
  })

  it("a row in an older form", async () => {
    const id = fresh()
    const { broken, messages } = await wiretap(["u1", "u1"], (s) =>
      Effect.gen(function* () {
        const [a, b] = s.clients
        yield* s.execute(a!, put({ id, n: 1, list: "A" }))
        yield* s.sync(a!)
        yield* s.sync(b!, {
          served: (r) => withRow({ ...r, tables: [] }, keyOf(id), imageOf(id, 0, "A")),
          lost: true
        })
      })
    )
    expect(broken).toEqual(["I6"])
    expect(messages).toContain("and its user sees")
  })

  it("images of later records, whether the row is there or gone", async () => {
    const id = "00000000-0000-4000-8000-000000000001"
    const hlc = "ffffffffffff-0000-00000000-0000-4000-8000-000000000001"
    const patch = (before: Protocol.Image | null, after: Protocol.Image | null, key = "gone") => ({
      table: counters,
      key: keyOf(key),
      before,
      after
    })
    for (const [patches, expected] of [
      [[patch(null, imageOf("gone", 1, "B"))], ["I6"]],
      [[patch(imageOf("gone", 1, "B"), null)], ["I6"]],
      [[patch(imageOf("b", 5, "B"), null, "b")], ["I6"]],
      [[patch(imageOf("gone", 1, "A"), imageOf("gone", 2, "A"))], []],
      [[patch(imageOf("a", 1, "A"), imageOf("a", 2, "B"), "a")], ["I6"]],
      // A membership that is gone gives no sight of what it once showed.
      [
        [
          {
            table: "public.members" as typeof counters,
            key: keyOf("B", "u1"),
            before: { list: "B", user_id: "u1" },
            after: null
          },
          patch(imageOf("gone", 1, "B"), null)
        ],
        ["I6"]
      ]
    ] as const) {
      const { broken, messages } = await serve((r) => ({ ...r, later: [later(patches, undefined, id, hlc)] }))
      expect(broken, messages).toEqual(expected)
    }
  })

  it("args of a record of which a patch is hidden, and not of one that is all visible", async () => {
    for (const [list, expected] of [
      ["B", ["I6"]],
      ["A", []]
    ] as const) {
      const id = fresh()
      const { broken, messages } = await wiretap(["u2", "u1"], (s) =>
        Effect.gen(function* () {
          const [author, reader] = s.clients
          yield* s.sync(reader!)
          // After whatever the reader may execute meanwhile.
          const record = yield* withClockOffset(60_000)(s.execute(author!, put({ id, n: 1, list })))
          yield* s.sync(author!)
          yield* s.sync(reader!, {
            lost: true,
            served: (r) => ({ ...r, later: [later([], { id, n: 1, list }, record.id, record.hlc)] })
          })
        })
      )
      expect(broken, messages).toEqual(expected)
    }
  })

  it("a key that is gone from where the client never was", async () => {
    const id = fresh()
    const { broken, messages } = await wiretap(["u1"], (s) =>
      Effect.gen(function* () {
        yield* s.external(`INSERT INTO counters VALUES ('${id}', 1, 'B')`)
        yield* s.external(`DELETE FROM counters WHERE id = '${id}'`)
        yield* s.sync(s.clients[0]!, { served: (r) => withRow(r, keyOf(id), null), lost: true })
      })
    )
    expect(broken).toEqual(["I6", "I9"])
    expect(messages).toContain("as gone")
  })

  it("a verdict or a notice for somebody else", async () => {
    const { broken } = await serve((r) => ({
      ...r,
      notices: [
        {
          id: "00000000-0000-4000-8000-000000000001" as RecordId,
          name: "counter.put",
          version: 1,
          args: {},
          hlc: "ffffffffffff-0000-00000000-0000-4000-8000-000000000001" as Response["later"][number]["hlc"],
          error: { class: "failed", message: "" }
        }
      ]
    }))
    expect(broken).toEqual(["I6"])
  })

  it("a hidden row that a client holds, and rows that it kept of an audience that it lost, which are I1's as well", async () => {
    const hidden = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        yield* secretly(s.clients[0]!.sql, "INSERT INTO counters VALUES ('b', 1, 'B')")
        yield* s.hooks.finished
      })
    )
    expect(hidden.broken).toEqual(["I1", "I6"])
    const lost = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        yield* s.external("DELETE FROM members WHERE list = 'A' AND user_id = 'u1'")
        yield* c!.sql.unsafe("CREATE TEMP TABLE kept AS SELECT * FROM counters")
        yield* s.sync(c!, { applied: secretly(c!.sql, "INSERT INTO counters SELECT * FROM kept") })
        yield* s.external("INSERT INTO members VALUES ('A', 'u1')")
      })
    )
    expect(lost.broken).toEqual(["I1", "I6"])
  })

  it("images that a journal keeps when nothing is pending", async () => {
    const { broken } = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        yield* c!.sql.unsafe(
          "INSERT INTO synchrotron.later_patches VALUES (1, 'public.counters', '[\"b\"]', '{}', NULL)"
        )
        yield* s.hooks.finished
      })
    )
    expect(broken).toEqual(["I6", "I9"])
  })
})

describe("I9: bounds reports", () => {
  const requestOf = (s: Stage) => s.clients[0]!.replica.request
  const exchangeOf = (s: Stage, request: Protocol.SyncRequest): Checker.Exchange => ({
    number: ++exchanges,
    client: s.viewOf(s.clients[0]!),
    request
  })
  const record = (args: unknown) =>
    ({
      id: "00000000-0000-4000-8000-000000000001",
      name: "x",
      version: 1,
      args,
      hlc: "",
      digest: null
    }) as unknown as Protocol.PendingRecord

  it("requests with too many records, too many bytes, or too large args", async () => {
    for (const [records, bytes] of [
      [Array.from({ length: 1001 }, () => record({})), 100],
      [[], 9 * 1024 * 1024],
      [[record("x".repeat(300_000))], 100]
    ] as const) {
      const { broken, messages } = await wiretap(["u1"], (s) =>
        Effect.flatMap(requestOf(s), (request) => s.hooks.sent(exchangeOf(s, { ...request, records }), bytes))
      )
      expect(broken, messages).toEqual(["I9"])
    }
  })

  it("a client that does not wait after failures, or that never rests", async () => {
    for (const [count, stepMs, answered, expected] of [
      [100, 0, false, ["I9"]],
      [100, 500, false, []],
      [100, 3, true, []],
      [400, 1, true, ["I9"]]
    ] as const) {
      const { broken, messages } = await wiretap(["u1"], (s) =>
        Effect.gen(function* () {
          const request = yield* requestOf(s)
          const response = yield* exchange(s.world.authority, s.clients[0]!.principal, request)
          s.watch.now += 1_000_000
          for (let i = 0; i < count; i++) {
            const x = exchangeOf(s, request)
            s.watch.now += stepMs
            yield* s.hooks.sent(x, 100)
            if (answered) yield* s.hooks.applied(x, response, { path: "nothing", rows: 0, replayed: 0 })
          }
        })
      )
      expect(broken, messages).toEqual(expected)
    }
  })

  it("rows that have not changed, or that come twice", async () => {
    const all = await wiretap(["u1", "u1"], (s) =>
      Effect.gen(function* () {
        const [a, b] = s.clients
        const whole = yield* Effect.map(b!.replica.request, (r) => ({ ...r, cursors: {} }))
        const { tables } = yield* exchange(s.world.authority, b!.principal, whole)
        yield* s.sync(a!, { served: (r) => ({ ...r, tables }), lost: true })
      })
    )
    expect(all.broken).toEqual(["I9"])
    const id = fresh()
    const twice = await wiretap(["u1", "u1"], (s) =>
      Effect.gen(function* () {
        const [a, b] = s.clients
        yield* s.execute(a!, put({ id, n: 1, list: "A" }))
        yield* s.sync(a!)
        yield* s.sync(b!, { served: (r) => withRow(r, keyOf(id), imageOf(id, 1, "A")), lost: true })
      })
    )
    expect(twice.broken).toEqual(["I9"])
  })

  it("nothing where an audience without a cursor is called as what every object has", async () => {
    const { broken, messages } = await wiretap(["u1"], (s) =>
      Effect.gen(function* () {
        const request = { ...(yield* requestOf(s)), cursors: {} }
        const answer = yield* exchange(s.world.authority, s.clients[0]!.principal, request)
        // As if the rows of list A were in it.
        yield* s.world.server.unsafe(
          "INSERT INTO synchrotron.row_versions SELECT tbl, key, 'constructor', seq, gone FROM synchrotron.row_versions WHERE audience = 'list:A'"
        )
        const audiences = ["constructor"] as unknown as Response["audiences"]
        yield* s.hooks.served(exchangeOf(s, request), {
          ...answer,
          audiences,
          tables: answer.tables.filter(({ table }) => table === "public.counters")
        })
        yield* s.world.server.unsafe("DELETE FROM synchrotron.row_versions WHERE audience = 'constructor'")
      })
    )
    expect(broken, messages).not.toContain("I9")
  })

  it("later records that nobody asked for", async () => {
    const { broken } = await wiretap(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        const request = { ...(yield* requestOf(s)), after: null }
        const old = { ...request, after: "000000000000-0000-00000000-0000-4000-8000-000000000001" }
        const { later } = yield* exchange(s.world.authority, c!.principal, old as Protocol.SyncRequest)
        expect(later).not.toEqual([])
        yield* s.sync(c!, { request, served: (r) => ({ ...r, later }), lost: true })
      })
    )
    expect(broken).toEqual(["I9"])
  })

  it("more replays than there are records to replay", async () => {
    const { broken } = await wiretap(["u1"], (s) =>
      Effect.gen(function* () {
        const { request, response } = yield* s.sync(s.clients[0]!)
        yield* s.hooks.applied(exchangeOf(s, request), response, { path: "merge", rows: 0, replayed: 3 })
      })
    )
    expect(broken).toEqual(["I9"])
  })

  it("what is kept at the end for nothing", async () => {
    const { broken, messages } = await sabotage(["u1"], (s) =>
      Effect.gen(function* () {
        const [c] = s.clients
        yield* c!.sql.unsafe("INSERT INTO synchrotron.cursors VALUES ('list:nobody')")
        yield* s.hooks.finished
        yield* s.world.server.unsafe(
          "INSERT INTO synchrotron.undone VALUES (1, gen_random_uuid(), 'public.counters', 'x')"
        )
        yield* s.hooks.finished
        yield* s.world.server.unsafe("DELETE FROM synchrotron.undone")
      })
    )
    expect(broken).toEqual(["I9"])
    expect(messages).toContain("list:nobody")
    expect(messages).toContain("undone patches")
  })
})

/**
 * The checkers that judge the canonical log, without the run loop: an honest run passes, and each way to break the log or
 * what was made of it is reported, by the checkers that it concerns and by no other.
 */
import { type Action, Hlc, type Principal, Protocol, type RecordId } from "@synchrotron/sync-core"
import { AuthorityLive, type AuthorityService } from "@synchrotron/sync-server"
import { Effect, Either, Exit, Schema, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { authorization } from "../src/check/authorization.ts"
import type * as Checker from "../src/check/Checker.ts"
import { determinism } from "../src/check/determinism.ts"
import { order } from "../src/check/order.ts"
import { serial } from "../src/check/serial.ts"
import { makeServerView, readOf, tablesOf } from "../src/check/views.ts"
import * as Random from "../src/Random.ts"
import { forge, forgeries, forgeryOf, isExpected, mark } from "../src/run/forgeries.ts"
import { copy, countersApp, inc, join, leave, limited, move, note, put, remove } from "./counters.ts"
import { type Stage, stageOf } from "./harness.ts"
import { embedded, exchange, makeWorld, type TestClient } from "./world.ts"

const checkers = [serial, order, authorization, determinism]
const members =
  "INSERT INTO members (list, user_id) VALUES ('A', 'u1'), ('A', 'u2'), ('B', 'u2'), ('B', 'u3'), ('B', 'u1')"

type Call = (hooks: Checker.Hooks) => Effect.Effect<void> | undefined

/** Fresh checkers of a world. */
const watch = (world: Checker.World) => {
  const violations: Array<readonly [Checker.InvariantName, string]> = []
  const observed = new Set<Checker.InvariantName>()
  let spentMs = 0
  const hooks = checkers.map((checker) =>
    checker.hooks(world, {
      observed: () => observed.add(checker.invariant),
      violated: (message) => violations.push([checker.invariant, message])
    })
  )
  return {
    violations,
    observed,
    spentMs: () => spentMs,
    names: () => [...new Set(violations.map(([name]) => name))].sort(),
    call: (call: Call) =>
      Effect.gen(function* () {
        const began = performance.now()
        for (const h of hooks) yield* call(h) ?? Effect.void
        spentMs += performance.now() - began
      })
  }
}

/** A run of real clients that tells checkers what happens, and can tell others again what happened. */
class Run {
  readonly stage: Stage
  readonly reference: Checker.Reference
  readonly authority: AuthorityService
  readonly view: Checker.World
  readonly live: ReturnType<typeof watch>
  /** What the clients did, and what else happened. */
  readonly deeds: Array<Call> = []
  readonly calls: Array<Call> = []
  readonly places = new Map<string, { readonly id: RecordId; readonly hlc: Hlc.Hlc }>()
  nowMs: () => number = Date.now
  private exchanges = 0

  constructor(stage: Stage, reference: Checker.Reference, settings: Partial<Checker.World["settings"]> = {}) {
    this.stage = stage
    this.reference = reference
    this.authority = stage.world.authority
    this.view = {
      app: countersApp,
      clients: Object.values(stage.clients).map((client) => ({
        name: client.name,
        principal: client.principal,
        clientId: client.replica.clientId,
        current: true,
        read: readOf(client.sql)
      })),
      server: makeServerView(stage.world.server, countersApp, "synchrotron_user"),
      settings: {
        reorderWindowMs: AuthorityLive.reorderWindowMsDefault,
        reorderWindowRecords: AuthorityLive.reorderWindowRecordsDefault,
        chunkRowsMax: AuthorityLive.chunkRowsMaxDefault,
        driftMsMax: 300_000,
        serverSkewMsMax: 0,
        ...settings
      },
      reference: emptied(reference),
      tablesOf: (client) => tablesOf(stage.clients[client.name]!.sql, countersApp),
      now: () => this.nowMs(),
      label: (id) => `record ${id.slice(0, 8)}`
    }
    this.live = watch(this.view)
  }

  viewOf(client: TestClient) {
    return this.view.clients.find(({ name }) => name === client.name)!
  }

  tell(call: Call, to = this.calls) {
    to.push(call)
    return this.live.call(call)
  }

  execute(client: TestClient, operation: Action.AnyOperation) {
    return Effect.gen(this, function* () {
      const exit = yield* Effect.exit(client.replica.execute(operation))
      if (Exit.isFailure(exit)) return null
      const { hlc, id } = exit.value
      const { name, version } = operation.action
      yield* this.tell(
        (hooks) => hooks.executed?.(this.viewOf(client), { id, hlc, name, version }),
        this.deeds
      )
      return exit.value
    })
  }

  sync(client: TestClient) {
    return Effect.gen(this, function* () {
      const request = yield* client.replica.request
      const exchanged = { number: this.exchanges++, client: this.viewOf(client), request }
      yield* this.tell((hooks) => hooks.sent?.(exchanged, 0), this.deeds)
      const response = yield* exchange(this.authority, client.principal, request)
      yield* this.tell((hooks) => hooks.serverCommitted?.())
      yield* this.tell((hooks) => hooks.served?.(exchanged, response))
      const received = yield* client.replica.receive(request, response)
      yield* this.tell((hooks) => hooks.applied?.(exchanged, response, received))
      return { exchanged, response }
    })
  }

  external(sql: string) {
    return Effect.zipRight(
      Effect.exit(this.stage.world.server.withTransaction(this.stage.world.server.unsafe(sql))),
      this.tell((hooks) => hooks.serverCommitted?.())
    )
  }

  settle() {
    return Effect.gen(this, function* () {
      for (let round = 0; round < 2; round++)
        for (const client of Object.values(this.stage.clients)) yield* this.sync(client)
    })
  }

  /** Other checkers of the same run, told all of it, then of what was broken since; what was broken is mended after. */
  broken(
    sabotage: {
      readonly first?: string
      readonly sql?: string
      readonly calls?: ReadonlyArray<Call>
      readonly settings?: Partial<Checker.World["settings"]>
      readonly reference?: Effect.Effect<Checker.Reference>
      readonly told?: boolean
    },
    finish = true
  ) {
    const view: Checker.World = {
      ...this.view,
      settings: { ...this.view.settings, ...sabotage.settings },
      reference: sabotage.reference ?? this.view.reference
    }
    const watched = watch(view)
    const { server } = this.stage.world
    const text = (sql: string | undefined) =>
      sql === undefined
        ? Effect.void
        : server.unsafe(
            `SET LOCAL session_replication_role = replica;${sql};SET LOCAL session_replication_role = origin`
          )
    return server
      .withTransaction(
        Effect.gen(this, function* () {
          yield* text(sabotage.first)
          // They look at the database as it is now, so they have to know at once who did what.
          if (sabotage.told ?? true)
            for (const call of [...this.deeds, ...this.calls]) yield* watched.call(call)
          yield* text(sabotage.sql)
          for (const call of sabotage.calls ?? []) yield* watched.call(call)
          if (finish) yield* watched.call((hooks) => hooks.finished)
          return yield* Effect.fail("mended" as const)
        })
      )
      .pipe(
        Effect.catchAll((error) => (error === "mended" ? Effect.void : Effect.fail(error))),
        Effect.as(watched)
      )
  }
}

const emptied = (reference: Checker.Reference): Effect.Effect<Checker.Reference> =>
  Effect.orDie(
    reference.sql.withTransaction(
      reference.sql.unsafe(
        `SET LOCAL session_replication_role = replica;TRUNCATE ${countersApp.tables.map((t) => t.name).join(", ")}, synchrotron.patches RESTART IDENTITY`
      )
    )
  ).pipe(Effect.as(reference))

/** One for all tests, which empty it first. */
let reference: Checker.Reference
const scope = Effect.runSync(Scope.make())
beforeAll(async () => {
  const { server } = await makeWorld(countersApp, embedded).pipe(Scope.extend(scope), Effect.runPromise)
  reference = { sql: server, role: "synchrotron_user" }
}, 120_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

/** Three users of two lists do and write at random, as in serial.test.ts. */
const schedule = (run: Run, seed: string, steps: number) =>
  Effect.gen(function* () {
    const random = Random.make(seed)
    const all = Object.values(run.stage.clients)
    const ids = ["x", "y", "z"]
    for (let step = 0; step < steps; step++) {
      const client = random.pick(all)
      const [id, to, list, user] = [
        random.pick(ids),
        random.pick(ids),
        random.pick(["A", "B"]),
        random.pick(["u2", "u3"])
      ]
      const n = random.int(5)
      if (random.chance(0.25)) yield* run.sync(client)
      else if (random.chance(0.15))
        yield* run.external(
          random.pick([
            `UPDATE counters SET n = n + ${n} WHERE list = '${list}'`,
            `INSERT INTO counters (id, n, list) VALUES ('${id}', ${n}, '${list}') ON CONFLICT (id) DO UPDATE SET n = ${n}`,
            `DELETE FROM counters WHERE id = '${id}'`,
            `INSERT INTO notes (text, list, weight) VALUES ('outside', '${list}', random())`
          ])
        )
      else
        yield* run.execute(
          client,
          random.pick<() => Action.AnyOperation>([
            () => inc({ id, n }),
            () => put({ id, n, list }),
            () => remove({ id }),
            () => copy({ from: id, to }),
            () => move({ id, list }),
            () => limited({ id, n }),
            () => note({ text: id, list }),
            () => join({ list, user }),
            () => leave({ list, user })
          ])()
        )
    }
    yield* run.settle()
  })

const users = { a: "u1", b: "u2", c: "u3" }

describe.each(["pglite", "postgres"] as const)("an honest run on %s", (kind) => {
  const stage = stageOf(kind, countersApp, users)

  it(
    "I2, I3, I7, I8: passes, and is judged in time",
    () =>
      stage().run(
        Effect.gen(function* () {
          const run = new Run(stage(), reference)
          const nothing = yield* run.broken({})
          expect(nothing.violations).toEqual([])
          expect([...nothing.observed]).toEqual([])
          yield* run.external(members)
          yield* run.settle()
          yield* schedule(run, "honest", 120)
          yield* run.execute(run.stage.clients.c!, put({ id: "denied", n: 1, list: "A" }))
          yield* run.settle()
          yield* run.tell((hooks) => hooks.finished)
          expect(run.live.violations.map(([, text]) => text).join("\n")).toBe("")
          expect([...run.live.observed].sort()).toEqual(["I2", "I3", "I7", "I8"])
          const [log] = yield* run.view.server.read<{ records: number; late: number }>(
            "SELECT count(*)::integer AS records, (SELECT count(*)::integer FROM synchrotron.dead_letters) AS refused FROM synchrotron.records"
          )
          console.info(`${kind}: ${JSON.stringify(log)} judged in ${Math.round(run.live.spentMs())} ms`)
        })
      ),
    120_000
  )
})

describe("a broken run is reported", () => {
  const stage = stageOf("pglite", countersApp, users)
  let run: Run
  const mine: Record<string, { readonly id: RecordId; readonly hlc: Hlc.Hlc }> = {}
  let last: Effect.Effect.Success<ReturnType<Run["sync"]>>

  const inStage = <A>(effect: Effect.Effect<A, unknown, Scope.Scope>) =>
    stage().run(effect as never) as Promise<A>

  beforeAll(async () => {
    await inStage(
      Effect.gen(function* () {
        run = new Run(stage(), reference)
        const { a, b, c } = stage().clients as { a: TestClient; b: TestClient; c: TestClient }
        const does = (name: string, client: TestClient, operation: Action.AnyOperation) =>
          Effect.map(run.execute(client, operation), (executed) => {
            mine[name] = executed!
          })
        yield* run.external(members)
        yield* run.settle()
        yield* schedule(run, "broken", 40)
        yield* does("one", a, put({ id: "one", n: 1, list: "A" }))
        yield* does("two", b, put({ id: "two", n: 2, list: "B" }))
        yield* run.sync(b)
        // A late arrival: a executed before b and syncs after it.
        yield* run.sync(a)
        yield* does("three", a, put({ id: "three", n: 3, list: "A" }))
        yield* does("four", a, put({ id: "four", n: 4, list: "A" }))
        yield* does("joined", a, join({ list: "A", user: "u3" }))
        yield* run.settle()
        yield* does("left", a, leave({ list: "A", user: "u3" }))
        yield* run.settle()
        yield* does("denied", c, put({ id: "denied", n: 1, list: "A" }))
        yield* run.settle()
        yield* does("last", b, put({ id: "last", n: 5, list: "A" }))
        last = yield* run.sync(b)
        yield* run.settle()
      })
    )
  }, 120_000)

  const reports = (
    what: string,
    names: ReadonlyArray<Checker.InvariantName>,
    message: RegExp,
    sabotage: () => Parameters<Run["broken"]>[0],
    finish = true
  ) =>
    it(`${names.join(", ")}: ${what}`, () =>
      inStage(
        Effect.gen(function* () {
          const watched = yield* run.broken(sabotage(), finish)
          expect(watched.names(), JSON.stringify(watched.violations, null, 1)).toEqual(names)
          expect(watched.violations.map(([, text]) => text).join("\n")).toMatch(message)
        })
      ))

  const swap = (x: string, y: string) =>
    [
      `UPDATE synchrotron.records SET hlc = 'swapped' WHERE id = '${mine[x]!.id}'`,
      `UPDATE synchrotron.records SET hlc = '${mine[x]!.hlc}' WHERE id = '${mine[y]!.id}'`,
      `UPDATE synchrotron.records SET hlc = '${mine[y]!.hlc}' WHERE id = '${mine[x]!.id}'`
    ].join(";")
  const nextCommit = "UPDATE synchrotron.realm SET seq = seq + 1"
  const accepted = (id: string, as = id) =>
    `INSERT INTO synchrotron.records (id, hlc, client_id, user_id, claims, name, version, args, content, status, seq)
     SELECT '${as}', hlc, client_id, user_id, claims, name, version, args, content, 'applied', (SELECT seq FROM synchrotron.realm)
     FROM synchrotron.dead_letters WHERE id = '${id}';DELETE FROM synchrotron.dead_letters WHERE id = '${id}'`

  it("and an honest one is not", () =>
    inStage(
      Effect.gen(function* () {
        const watched = yield* run.broken({})
        expect(run.live.violations.map(([, text]) => text).join("\n")).toBe("")
        expect(watched.violations).toEqual([])
        expect([...watched.observed].sort()).toEqual(["I2", "I3", "I7", "I8"])
      })
    ))

  reports("a row is gone", ["I2"], /counters only after the log, executed alone: \(one,1,A\)/, () => ({
    sql: "DELETE FROM counters WHERE id = 'one'"
  }))
  reports("a row is another", ["I2"], /counters only on the server: \(one,9,A\)/, () => ({
    sql: "UPDATE counters SET n = 9 WHERE id = 'one'"
  }))
  reports("there is a row that nobody wrote", ["I2"], /only on the server: \(nobody,1,A\)/, () => ({
    sql: "INSERT INTO counters VALUES ('nobody', 1, 'A')"
  }))
  reports("a voided record keeps its effect", ["I2"], /was voided and must have no effect/, () => ({
    sql: `UPDATE synchrotron.records SET status = 'voided' WHERE id = '${mine.last!.id}'`
  }))
  reports("a patch belongs to no record", ["I2"], /is no record of its/, () => ({
    sql: "INSERT INTO synchrotron.patches (record_id, tbl, key) VALUES (gen_random_uuid(), 'public.counters', '[\"x\"]')"
  }))
  reports("a canonical record fails alone", ["I2"], /there is no counter nowhere/, () => ({
    sql: `UPDATE synchrotron.records SET name = 'counter.inc', args = '{"id":"nowhere","n":1}' WHERE id = '${mine.left!.id}';
      DELETE FROM synchrotron.patches WHERE record_id = '${mine.left!.id}'`
  }))

  // A write from outside that inserts the row `one` again, and replaces it.
  const replaces = () => {
    const image = (n: number) => `jsonb_build_object('id', 'one', 'n', '${n}', 'list', 'A')`
    const id = "00000000-0000-4000-8000-00000000beef"
    return `${nextCommit};UPDATE counters SET n = 9 WHERE id = 'one';
      INSERT INTO synchrotron.patches (record_id, tbl, key, before, after)
      VALUES ('${id}', 'public.counters', '["one"]', ${image(1)}, ${image(9)});
      INSERT INTO synchrotron.records (id, hlc, user_id, claims, name, version, args, content, status, seq)
      SELECT '${id}', overlay(max(hlc) placing 'ffff-00000000-0000-0000-0000-000000000000' from 14), 'postgres', '{}', 'synchrotron.external', 1,
        jsonb_build_array(jsonb_build_object('table', 'public.counters', 'key', '["one"]', 'before', NULL, 'after', ${image(9)}))::text, '', 'applied',
        (SELECT seq FROM synchrotron.realm) FROM synchrotron.records;
      UPDATE synchrotron.realm SET clock_counter = 65535`
  }
  reports("a write from outside replaces a row", ["I2"], /duplicate key value violates/, () => ({
    sql: replaces()
  }))
  const keyTaken = (become: string) =>
    Effect.flatMap(run.view.reference, (reference) =>
      Effect.as(Effect.orDie(reference.sql.unsafe(become)), reference)
    )
  reports(
    "a write from outside replaces a row, and the reference lets it",
    ["I2"],
    /it inserts public\.counters \["one"\], and another row is there/,
    () => ({
      sql: replaces(),
      reference: keyTaken(`ALTER FUNCTION synchrotron.key_taken(text) RENAME TO kept;
        CREATE FUNCTION synchrotron.key_taken(tbl text) RETURNS void LANGUAGE sql AS ''`)
    })
  )
  it("and the reference is as it was", () =>
    inStage(
      keyTaken(
        "DROP FUNCTION synchrotron.key_taken(text); ALTER FUNCTION synchrotron.kept(text) RENAME TO key_taken"
      )
    ))

  reports("places are swapped", ["I3"], /A place is for ever/, () => ({ sql: swap("one", "two") }))
  reports("a place is told wrong", ["I3"], /in the answer to exchange/, () => ({
    calls: [
      (hooks) =>
        hooks.served?.(last.exchanged, {
          ...last.response,
          verdicts: last.response.verdicts.map((verdict) =>
            "hlc" in verdict ? { ...verdict, hlc: mine.one!.hlc } : verdict
          )
        })
    ]
  }))
  reports("a client's records overtake each other", ["I3"], /was overtaken by .* executed later/, () => ({
    first: swap("three", "four")
  }))
  reports("a record is placed before its stamp", ["I3"], /placed before that/, () => ({
    first: `UPDATE synchrotron.records SET hlc = '${earlier(mine.last!.hlc)}' WHERE id = '${mine.last!.id}'`
  }))
  reports(
    "a record is placed after its stamp for no reason",
    ["I3"],
    /although its stamp is in the reorder window/,
    () => ({
      first: `UPDATE synchrotron.records SET hlc = overlay(hlc placing 'ffff' from 14) WHERE id = '${mine.last!.id}';UPDATE synchrotron.realm SET clock_counter = 65535`
    })
  )
  reports("a record has left the order", ["I2", "I3"], /has left the canonical order/, () => ({
    sql: `DELETE FROM synchrotron.records WHERE id = '${mine.last!.id}'`
  }))
  reports("a record came in with an old commit", ["I3", "I7"], /without a commit/, () => ({
    sql: `${accepted(mine.denied!.id)}`
  }))
  reports(
    "a late arrival goes before more records than allowed",
    ["I3"],
    /records that were canonical already; 0 are allowed/,
    () => ({
      settings: { reorderWindowRecords: 0 }
    })
  )
  reports("a record is stamped in the future", ["I3"], /in the future; -?\d+ ms are allowed/, () => ({
    settings: { driftMsMax: -3_600_000 }
  }))
  for (const [what, change, message] of [
    ["a commit is missing", "seq + 2", /was followed by commit/],
    ["commits go back", "seq - 2", /numbered up to/]
  ] as const)
    reports(
      what,
      ["I3"],
      message,
      () => ({
        sql: `UPDATE synchrotron.realm SET seq = ${change}`,
        calls: [(hooks) => hooks.serverCommitted?.()]
      }),
      false
    )
  it("I3: a client goes back", () =>
    inStage(
      Effect.gen(function* () {
        const watched = yield* run.broken({
          calls: [
            (hooks) =>
              hooks.applied?.(
                last.exchanged,
                { ...last.response, seq: 1 as typeof last.response.seq },
                { path: "rows", rows: 0, replayed: 0 }
              )
          ]
        })
        expect(watched.names()).toEqual(["I3"])
      })
    ))

  reports(
    "a denied record is accepted",
    ["I7"],
    /is denied to its principal when the log is executed alone/,
    () => ({
      sql: `${nextCommit};${accepted(mine.denied!.id)}`
    })
  )
  reports(
    "a record is executed as another user",
    ["I7"],
    /was executed as user u1; the client is user u2's/,
    () => ({
      sql: `UPDATE synchrotron.records SET user_id = 'u1' WHERE id = '${mine.last!.id}'`
    })
  )
  reports("a record is executed with other claims", ["I7"], /with the claims/, () => ({
    sql: `UPDATE synchrotron.records SET claims = '{"role":"admin"}' WHERE id = '${mine.last!.id}'`
  }))
  reports("a refused record left patches", ["I7"], /was refused, and the server keeps 1 patches/, () => ({
    sql: `INSERT INTO synchrotron.patches (record_id, tbl, key) VALUES ('${mine.denied!.id}', 'public.counters', '["x"]')`
  }))
  reports(
    "a record changed a row that its principal does not reach",
    ["I7", "I8"],
    /that it does not reach as its principal/,
    () => ({
      sql: `INSERT INTO synchrotron.patches (record_id, tbl, key, before, after)
      VALUES ('${mine.last!.id}', 'public.counters', '["x"]', '{"n": "1"}', '{"n": "2"}')`
    })
  )
  reports(
    "a forged record is canonical",
    ["I7"],
    /the forged record .* is in the canonical order/,
    () => ({
      sql: `${nextCommit};${accepted(mine.denied!.id, `${mark}-0000-4000-8000-000000000000`)}`,
      calls: [(hooks) => hooks.forged?.("an unknown action", null)]
    }),
    false
  )
  reports("something forged was written", ["I2", "I7"], /has something forged in it/, () => ({
    sql: `UPDATE synchrotron.records SET args = '{"id":"${mark}","n":5,"list":"A"}' WHERE id = '${mine.last!.id}';
      UPDATE synchrotron.patches SET key = '["${mark}"]', after = after || '{"id":"${mark}"}' WHERE record_id = '${mine.last!.id}'`
  }))
  for (const [what, error] of [
    ["another schema", null],
    ["a malformed stamp", "Unauthorized"],
    ["an unknown action", "InvalidRequest"]
  ] as const)
    reports(
      `a forgery is answered by ${error}`,
      ["I7"],
      /expected/,
      () => ({
        calls: [(hooks) => hooks.forged?.(what, error)]
      }),
      false
    )

  reports("a patch is another", ["I8"], /It found the same rows; 0 records after it differ/, () => ({
    sql: `UPDATE synchrotron.patches SET after = after || '{"n":"6"}' WHERE record_id = '${mine.last!.id}'`
  }))
  reports("a patch is missing", ["I8"], /did on the server: nothing/, () => ({
    sql: `DELETE FROM synchrotron.patches WHERE record_id = '${mine.last!.id}'`
  }))
  for (const [outcome, digest, message] of [
    ["applied", "0".repeat(32), /calls .* applied as on its client/],
    ["changed", null, /has the digest that the client sent|have the digest that the client sent/]
  ] as const)
    reports(
      `a record is called ${outcome} that is not`,
      ["I8"],
      message,
      () => {
        const { exchanged, response } = last
        const verdicts = response.verdicts.map((verdict) => ({ ...verdict, outcome }) as typeof verdict)
        const records = exchanged.request.records.map((r) => ({ ...r, digest: digest ?? r.digest }))
        const sent = { ...exchanged, request: { ...exchanged.request, records } }
        // As it was judged: nobody has heard of the record, and its commit is the last one.
        return {
          told: false,
          sql: `UPDATE synchrotron.realm SET seq = (SELECT seq FROM synchrotron.records WHERE id = '${mine.last!.id}')`,
          calls: [(hooks: Checker.Hooks) => determinismAlone(hooks, sent, { ...response, verdicts })]
        }
      },
      false
    )

  reports("the reference verifies nothing", ["I2", "I7", "I8"], /is not bound by row-level security/, () => ({
    reference: Effect.map(run.view.reference, ({ sql }) => ({ sql, role: "postgres" }))
  }))

  it("I7: row-level security is off on the server", () =>
    inStage(
      Effect.gen(function* () {
        const { server } = stage().world
        yield* server.unsafe("ALTER TABLE counters DISABLE ROW LEVEL SECURITY")
        yield* run.execute(stage().clients.c!, put({ id: "secret", n: 7, list: "A" }))
        yield* run.settle()
        yield* server.unsafe("ALTER TABLE counters ENABLE ROW LEVEL SECURITY")
        const watched = yield* run.broken({})
        expect(watched.names(), JSON.stringify(watched.violations)).toEqual(["I2", "I7"])
        expect(watched.violations.find(([name]) => name === "I7")![1]).toMatch(/is denied to its principal/)
      })
    ))
})

const earlier = (hlc: Hlc.Hlc) => {
  const { ms, node } = Hlc.parts(hlc)
  return Hlc.make({ ms: ms - 1, counter: Hlc.counterMax }, node)
}

/** Only the checker of I8 is given this answer, for the records in it are old news. */
const determinismAlone = (
  hooks: Checker.Hooks,
  exchanged: Checker.Exchange,
  response: Protocol.SyncResponse
) =>
  hooks.applied === undefined && hooks.sent !== undefined ? hooks.served?.(exchanged, response) : undefined

describe("with a short window", () => {
  const stage = stageOf("pglite", countersApp, users, { reorderWindowMs: 40 })

  it(
    "I3: a clamped record passes, and not where the window would have had a place for it",
    () =>
      stage().run(
        Effect.gen(function* () {
          const run = new Run(stage(), reference, { reorderWindowMs: 40 })
          const { a, b } = stage().clients as { a: TestClient; b: TestClient }
          yield* run.external(members)
          yield* run.settle()
          yield* run.execute(a, put({ id: "one", n: 1, list: "A" }))
          yield* run.execute(a, put({ id: "two", n: 1, list: "A" }))
          yield* Effect.sleep(60)
          yield* run.execute(b, put({ id: "three", n: 1, list: "A" }))
          yield* run.settle()
          yield* run.tell((hooks) => hooks.finished)
          expect(run.live.violations.map(([, text]) => text).join("\n")).toBe("")
          expect([...run.live.observed].sort()).toEqual(["I2", "I3", "I8"])
          const wide = yield* run.broken({ settings: { reorderWindowMs: 60_000 } })
          expect(wide.names()).toEqual(["I3"])
          expect(wide.violations[0]![1]).toMatch(/although its stamp is in the reorder window/)
          // As if the last look had been a minute later.
          run.nowMs = () => Date.now() + 60_000
          yield* run.tell((hooks) =>
            hooks.served?.(
              { number: 0, client: run.viewOf(a), request: { records: [], after: null } as never },
              silence
            )
          )
          yield* run.execute(a, put({ id: "four", n: 1, list: "A" }))
          yield* run.sync(a)
          expect(run.live.names()).toEqual(["I3"])
          expect(run.live.violations[0]![1]).toMatch(/behind the reorder window of 40 ms/)
        })
      ),
    60_000
  )
})

const silence = { seq: 0, verdicts: [], later: [] } as unknown as Protocol.SyncResponse

describe("forgeries", () => {
  const stage = stageOf("pglite", countersApp, users)

  it(
    "I7: each gets the answer that it expects, and none has an effect",
    () =>
      stage().run(
        Effect.gen(function* () {
          const run = new Run(stage(), reference)
          const { a, b } = stage().clients as { a: TestClient; b: TestClient }
          yield* run.external(members)
          yield* run.settle()
          const random = Random.make("forgeries")
          const surroundings = {
            strangers: [b.replica.clientId],
            audiences: ["list:A", "list:B", "list:C", "user:u2"]
          }
          const answers: Array<string> = []
          for (const { name, request } of forgeries) {
            yield* run.execute(a, put({ id: "a", n: answers.length, list: "A" }))
            if (random.chance(0.5)) yield* run.execute(a, note({ text: "a", list: "B" }))
            const sent = yield* a.replica.request
            const honest = Schema.encodeSync(Protocol.SyncRequest)(sent)
            const body: unknown = JSON.parse(JSON.stringify(request(honest, random, surroundings) ?? null))
            const error = yield* answerTo(run.authority, a.principal, body)
            yield* run.tell((hooks) => hooks.serverCommitted?.())
            yield* run.tell((hooks) => hooks.forged?.(name, error))
            answers.push(`${name}: ${error}`)
            if (random.chance(0.5)) yield* run.sync(a)
          }
          yield* run.settle()
          yield* run.tell((hooks) => hooks.finished)
          expect(answers.filter((answer) => answer.endsWith("Unavailable"))).toEqual([])
          expect(run.live.violations.map(([, text]) => text).join("\n")).toBe("")
          expect(run.live.observed.has("I7")).toBe(true)
        })
      ),
    60_000
  )

  it("have a name each, and lend themselves to a client that has nothing to send", () => {
    expect(new Set(forgeries.map(({ name }) => name)).size).toBe(forgeries.length)
    const honest = {
      app: "x",
      schema: "y",
      protocol: 2,
      clientId: crypto.randomUUID(),
      clientTimeMs: 0,
      cursors: {},
      records: [],
      after: null
    }
    const random = Random.make(1)
    for (let i = 0; i < 200; i++) {
      const { body, name } = forge(honest, random, { strangers: [], audiences: [] })
      expect(body).not.toBe(undefined)
      expect(forgeryOf(name)?.name).toBe(name)
      expect(isExpected(forgeryOf(name)!, "Unavailable")).toBe(true)
    }
  })
})

/** The tag of the refusal, or null. */
const answerTo = (authority: AuthorityService, principal: Principal, body: unknown) =>
  Effect.gen(function* () {
    const request = Schema.decodeUnknownEither(Protocol.SyncRequest)(body)
    if (Either.isLeft(request)) return "InvalidRequest"
    return yield* Effect.match(authority.sync(principal, request.right), {
      onFailure: (error) => error._tag as string,
      onSuccess: () => null
    })
  })

/** What the authority promises to each of its clients and to whoever else uses its database. */

import { SqlClient } from "@effect/sql"
import {
  Action,
  Execution,
  type Hlc,
  Protocol,
  type RecordId,
  SyncApp,
  SyncTable
} from "@synchrotron/sync-core"
import { Authority, AuthorityLive } from "@synchrotron/sync-server"
import { Context, Effect, Exit, Fiber, Layer, Schema, type Scope, Stream } from "effect"
import pg from "pg"
import { describe, expect, inject, it } from "vitest"
import { createDatabase } from "../../../test/postgres.ts"
import * as Counters from "./counters.ts"
import { expectConverged, kinds, type Stage, scalar, stageOf, syncAll } from "./harness.ts"
import * as Kitchen from "./kitchen.ts"
import { exchange, makeWorld, type TestClient } from "./world.ts"

/** In a millisecond of its own, so that the order of stamps is that of the test. */
const execute = <R, E>(client: TestClient, operation: Action.Operation<R, E>) =>
  Effect.delay(client.replica.execute(operation), 2)

/** One sync, giving the response. */
const syncRaw = (stage: Stage, client: TestClient) =>
  Effect.gen(function* () {
    const request = yield* client.replica.request
    const response = yield* exchange(stage.world.authority, client.principal, request)
    yield* client.replica.receive(request, response)
    return response
  })

const verdictOf = (response: Protocol.SyncResponse, { id }: { readonly id: RecordId }) =>
  response.verdicts.find((verdict) => verdict.id === id)

/** A stamp before every other. */
const oldest = "000000000000-0000-00000000-0000-0000-0000-000000000000" as Hlc.Hlc

let fresh = 0
const newId = (name: string) => `${name}${++fresh}`

type Body = (
  stage: Stage,
  a: TestClient,
  b: TestClient,
  c: TestClient
) => Effect.Effect<unknown, unknown, Scope.Scope>

const actor = (stageNow: () => Stage) => (body: Body) => () => {
  const stage = stageNow()
  const { a, b, c } = stage.clients
  return stage.run(Effect.asVoid(body(stage, a!, b!, c!)))
}

describe.each(kinds)("with the authority on %s,", (kind) => {
  const act = actor(stageOf(kind, Kitchen.kitchenApp, { a: "u1", b: "u2" }))

  it(
    "I3: a late arrival takes its place before what was canonical already",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = newId("late")
        const early = yield* execute(a, Kitchen.set({ id: x, n: 1 }))
        const later = yield* execute(b, Kitchen.set({ id: x, n: 2 }))
        yield* b.sync
        const response = yield* syncRaw(stage, a)
        expect(verdictOf(response, early)).toEqual({ id: early.id, outcome: "applied", hlc: early.hlc })
        expect(yield* scalar(stage.world.server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(2)
        const order = yield* stage.world.server.unsafe<{ id: string }>(
          "SELECT id FROM synchrotron.records ORDER BY hlc DESC LIMIT 2"
        )
        expect(order.map((row) => row.id)).toEqual([later.id, early.id])
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )

  it(
    "I4: a request that arrives again, or five times at once, has its effect once and one answer",
    act((stage, a) =>
      Effect.gen(function* () {
        const x = newId("again")
        yield* execute(a, Kitchen.deposit({ id: x, n: 5 }))
        yield* execute(a, Kitchen.withdraw({ id: x, n: 4 }))
        yield* execute(a, Kitchen.forgeDoc({ id: x, owner: "u2" }))
        const request = yield* a.replica.request
        const send = exchange(stage.world.authority, a.principal, request)
        const answers = yield* Effect.all([send, send, send, send, send], { concurrency: "unbounded" })
        answers.push(yield* send)
        expect(answers[0]!.verdicts.map((verdict) => verdict.outcome)).toEqual([
          "applied",
          "applied",
          "rejected"
        ])
        for (const answer of answers) expect(answer.verdicts).toEqual(answers[0]!.verdicts)
        expect(yield* scalar(stage.world.server, `SELECT balance FROM wallets WHERE id = '${x}'`)).toBe(1)
        yield* a.replica.receive(request, answers[2]!)
        yield* a.sync
        yield* expectConverged(stage.world, [a])
      })
    )
  )

  it(
    "I4: a record that stands twice in one request has its effect once",
    act((stage, a) =>
      Effect.gen(function* () {
        const x = newId("twice")
        yield* execute(a, Kitchen.deposit({ id: x, n: 5 }))
        const request = yield* a.replica.request
        const [record] = request.records
        const response = yield* exchange(stage.world.authority, a.principal, {
          ...request,
          records: [record!, record!, { ...record!, args: { id: x, n: 500 } }]
        })
        expect(response.verdicts.map((v) => ("error" in v ? v.error.class : v.outcome))).toEqual([
          "applied",
          "applied",
          "reused_id"
        ])
        expect(yield* scalar(stage.world.server, `SELECT balance FROM wallets WHERE id = '${x}'`)).toBe(5)
        yield* a.sync
        yield* expectConverged(stage.world, [a])
      })
    )
  )

  it(
    "I4: an id that was used with other content is refused, and the first use stands",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = newId("reused")
        const first = yield* execute(a, Kitchen.set({ id: x, n: 1 }))
        yield* a.sync
        const request = yield* a.replica.request
        const mine = { ...first, name: "counter.set", version: 1, digest: null }
        for (const [client, args] of [
          [a, { id: x, n: 2 }],
          [b, { id: x, n: 1 }]
        ] as const) {
          const response = yield* exchange(stage.world.authority, client.principal, {
            ...request,
            clientId: client.replica.clientId,
            records: [{ ...mine, args }]
          })
          expect(verdictOf(response, first)).toMatchObject({
            outcome: "rejected",
            error: { class: "reused_id" }
          })
        }
        expect(yield* scalar(stage.world.server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(1)
      })
    )
  )

  it(
    "I4: a voided record is told to its client once, and stays in the inbox until it is dismissed",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = newId("voided")
        yield* execute(a, Kitchen.deposit({ id: x, n: 10 }))
        yield* syncAll([a, b])
        yield* execute(a, Kitchen.withdraw({ id: x, n: 10 }))
        const confirmed = yield* execute(b, Kitchen.withdraw({ id: x, n: 1 }))
        expect(verdictOf(yield* syncRaw(stage, b), confirmed)).toMatchObject({ outcome: "applied" })
        yield* a.sync
        const outcomes = yield* Effect.fork(Stream.runCollect(Stream.take(b.replica.changes, 1)))
        yield* Effect.sleep(10)
        const response = yield* syncRaw(stage, b)
        expect(response.notices.map((notice) => [notice.id, notice.error.class])).toEqual([
          [confirmed.id, "failed"]
        ])
        expect([...(yield* Fiber.join(outcomes))].flatMap((change) => change.outcomes)).toMatchObject([
          { id: confirmed.id, outcome: { _tag: "voided", error: { message: "insufficient funds" } } }
        ])
        expect((yield* syncRaw(stage, b)).notices).toEqual([])
        const inbox = (yield* b.replica.rejected).filter((record) => record.id === confirmed.id)
        expect(inbox).toMatchObject([{ outcome: "voided", args: { id: x, n: 1 } }])
        yield* b.replica.dismiss(confirmed.id)
        yield* syncAll([a, b])
        expect((yield* b.replica.rejected).some((record) => record.id === confirmed.id)).toBe(false)
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )

  it(
    "I4: a record that is voided before its client had an answer gets one outcome",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = newId("unheard")
        yield* execute(a, Kitchen.deposit({ id: x, n: 10 }))
        yield* syncAll([a, b])
        yield* execute(a, Kitchen.withdraw({ id: x, n: 10 }))
        const lost = yield* execute(b, Kitchen.withdraw({ id: x, n: 1 }))
        yield* exchange(stage.world.authority, b.principal, yield* b.replica.request)
        yield* a.sync
        const change = yield* Effect.fork(Stream.runCollect(Stream.take(b.replica.changes, 1)))
        yield* Effect.sleep(10)
        expect(verdictOf(yield* syncRaw(stage, b), lost)).toMatchObject({ outcome: "voided" })
        const outcomes = [...(yield* Fiber.join(change))]
          .flatMap((c) => c.outcomes)
          .filter((o) => o.id === lost.id)
        expect(outcomes).toHaveLength(1)
        const inbox = (yield* b.replica.rejected).filter((record) => record.id === lost.id)
        expect(inbox).toMatchObject([{ outcome: "voided", patches: [{ table: "public.wallets" }] }])
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )

  it(
    "I1: a transaction from outside is one record, whatever it does and however its session writes dates",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const { server } = stage.world
        const before = Number(yield* scalar(server, "SELECT seq FROM synchrotron.realm"))
        const [x, y] = [newId("outside"), newId("outside")]
        yield* server.withTransaction(
          server.unsafe(`
          SET LOCAL timezone = 'Asia/Kathmandu'; SET LOCAL datestyle = 'German'; SET LOCAL intervalstyle = 'iso_8601';
          SET LOCAL extra_float_digits = 0; SET LOCAL bytea_output = 'escape'; SET LOCAL search_path = pg_catalog;
          INSERT INTO public.things (id, made, span, real, bytes) VALUES ('${x}', '2024-02-29 23:59:59.123456+05', '1 day 2 hours', 0.1, '\\x00ff');
          UPDATE public.things SET big = 9007199254740993 WHERE id = '${x}';
          SAVEPOINT s;
          INSERT INTO public.counters (id, n) VALUES ('${x}', 1);
          ROLLBACK TO SAVEPOINT s;
          INSERT INTO public.counters (id, n) VALUES ('${y}', 2);
          DELETE FROM public.counters WHERE id = 'absent'`)
        )
        expect(yield* scalar(server, "SELECT seq FROM synchrotron.realm")).toBe(before + 1)
        const [record] = yield* server.unsafe<{ args: string; client_id: string | null }>(
          `SELECT args, client_id FROM synchrotron.records WHERE seq = ${before + 1}`
        )
        expect(record!.client_id).toBe(null)
        expect(
          (JSON.parse(record!.args) as Array<Protocol.Patch>).map((p) => [p.table, p.key, p.before === null])
        ).toEqual([
          ["public.things", `["${x}"]`, true],
          ["public.things", `["${x}"]`, false],
          ["public.counters", `["${y}"]`, true]
        ])
        // The whole transaction rolled back leaves nothing; one that only begins with a savepoint that is rolled back is complete.
        yield* Effect.exit(
          server.withTransaction(
            Effect.zipRight(
              server.unsafe("INSERT INTO counters (id, n) VALUES ('never', 1)"),
              Effect.fail("no")
            )
          )
        )
        yield* server.withTransaction(
          server.unsafe(
            `SAVEPOINT s; DELETE FROM things; ROLLBACK TO SAVEPOINT s; UPDATE things SET exact = 1.50 WHERE id = '${x}'`
          )
        )
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )

  it(
    "I1, I2: a write from outside after SET CONSTRAINTS ALL IMMEDIATE is recorded too",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const { server } = stage.world
        const x = newId("immediate")
        const early = yield* execute(a, Kitchen.set({ id: `${x}early`, n: 10 }))
        yield* server.withTransaction(
          server.unsafe(`
          INSERT INTO counters (id, n) VALUES ('${x}', 1);
          SET CONSTRAINTS ALL IMMEDIATE;
          UPDATE counters SET n = 2 WHERE id = '${x}';
          INSERT INTO counters (id, n) VALUES ('${x}b', 3)`)
        )
        const orphans =
          "SELECT count(*)::int FROM synchrotron.patches p WHERE NOT EXISTS (SELECT FROM synchrotron.records r WHERE r.id = p.record_id)"
        expect(yield* scalar(server, orphans)).toBe(0)
        expect(verdictOf(yield* syncRaw(stage, a), early)).toMatchObject({ outcome: "applied" })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(2)
      })
    )
  )

  it(
    "I1: TRUNCATE from outside reaches every client, and a late arrival may cross it",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const { server } = stage.world
        const x = newId("truncate")
        yield* execute(a, Kitchen.addParent({ id: x }))
        yield* execute(a, Kitchen.addChild({ id: x, parent: x }))
        yield* syncAll([a, b])
        yield* execute(b, Kitchen.addChild({ id: `${x}b`, parent: x }))
        yield* server.unsafe("TRUNCATE parents CASCADE")
        yield* syncAll([b, a])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(a.sql, "SELECT count(*)::int FROM parents")).toBe(0)
        expect(
          yield* scalar(
            server,
            "SELECT (SELECT count(*) FROM toys)::int + (SELECT count(*) FROM children)::int"
          )
        ).toBe(0)
      })
    )
  )

  it(
    "I2, I4: a late arrival that a write from outside rules out is a `conflict`; the others of its request are applied",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const name = newId("conflict")
        const innocent = yield* execute(a, Kitchen.set({ id: name, n: 1 }))
        const guilty = yield* execute(a, Kitchen.claim({ id: `${name}a`, name }))
        yield* stage.world.server.unsafe(`INSERT INTO names (id, name) VALUES ('${name}server', '${name}')`)
        const behind = yield* execute(a, Kitchen.inc({ id: name, n: 1 }))
        const response = yield* syncRaw(stage, a)
        expect(verdictOf(response, guilty)).toMatchObject({
          outcome: "rejected",
          error: { class: "conflict" }
        })
        expect(verdictOf(response, behind)).toMatchObject({ outcome: "applied" })
        expect(verdictOf(response, innocent)).toMatchObject({ outcome: "applied" })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(stage.world.server, `SELECT id FROM names WHERE name = '${name}'`)).toBe(
          `${name}server`
        )
      })
    )
  )

  it(
    "I2: a late arrival cannot take away what a row written from outside refers to",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const parent = newId("orphan")
        yield* execute(a, Kitchen.addParent({ id: parent }))
        yield* syncAll([a, b])
        const removal = yield* execute(a, Kitchen.removeParent({ id: parent }))
        yield* stage.world.server.unsafe(
          `INSERT INTO children (id, parent, title) VALUES ('${parent}', '${parent}', 'of the server')`
        )
        expect(verdictOf(yield* syncRaw(stage, a), removal)).toMatchObject({
          outcome: "rejected",
          error: { class: "conflict" }
        })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(
          yield* scalar(
            stage.world.server,
            "SELECT count(*)::int FROM children c WHERE NOT EXISTS (SELECT FROM parents p WHERE p.id = c.parent)"
          )
        ).toBe(0)
      })
    )
  )

  it(
    "I6: a row that only its owner may read is in no answer to another, as row, patch or argument",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = newId("secret")
        const body = `the body of ${x}`
        // b has a pending record before it, so that the record itself has to be told.
        yield* execute(b, Kitchen.set({ id: x, n: 0 }))
        const secret = yield* execute(a, Kitchen.writeSecret({ id: `${x}s`, body }))
        yield* a.sync
        const crossing = { ...(yield* b.replica.request), records: [] }
        const told: Array<Protocol.SyncResponse> = []
        told.push(yield* exchange(stage.world.authority, b.principal, { ...crossing, after: null }))
        told.push(
          yield* exchange(stage.world.authority, b.principal, { ...crossing, after: oldest }),
          yield* exchange(stage.world.authority, b.principal, {
            ...crossing,
            cursors: {},
            after: oldest
          })
        )
        told.push(yield* syncRaw(stage, b), yield* syncRaw(stage, b))
        for (const response of told) expect(JSON.stringify(response)).not.toContain(body)
        const seen = told[1]!.later.find((record) => record.id === secret.id)!
        expect(seen).not.toHaveProperty("args")
        expect(seen.patches.map((patch) => patch.table)).toEqual(["public.counters"])
        const own = yield* exchange(stage.world.authority, a.principal, {
          ...(yield* a.replica.request),
          after: oldest
        })
        expect(own.later.find((record) => record.id === secret.id)).toMatchObject({ args: { body } })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )

  it(
    "I7: another user's client id, and another protocol, application or schema, are refused",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const request = yield* b.replica.request
        const withRecord = yield* Effect.zipRight(
          execute(b, Kitchen.set({ id: newId("mismatch"), n: 1 })),
          b.replica.request
        )
        const refusal = (changes: Partial<Protocol.SyncRequest>, of = request) =>
          Effect.flip(stage.world.authority.sync(b.principal, { ...of, ...changes }))
        for (const of of [request, withRecord])
          expect(yield* refusal({ clientId: a.replica.clientId }, of)).toBeInstanceOf(Protocol.ClientMismatch)
        for (const changes of [{ protocol: 1 }, { app: "other" }, { schema: "older" }])
          expect(yield* refusal(changes)).toMatchObject({
            _tag: "SchemaMismatch",
            actual: String(Object.values(changes)[0])
          })
        yield* b.sync
        yield* expectConverged(stage.world, [b])
      })
    )
  )

  it(
    "I4, I7: every refusal has its class, and its neighbours are applied",
    act((stage, a) =>
      Effect.gen(function* () {
        const x = newId("classes")
        yield* execute(a, Kitchen.deposit({ id: x, n: 5 }))
        yield* a.sync
        yield* execute(a, Kitchen.set({ id: x, n: 1 }))
        const crashed = yield* execute(a, Kitchen.crash({ id: `${x}crash`, when: "server" }))
        const denied = yield* execute(a, Kitchen.forgeDoc({ id: x, owner: "u2" }))
        const request = yield* a.replica.request
        const template = request.records[0]!
        const more = [
          ["wallet.overdraw", { id: x, n: 6 }, "constraint"],
          ["wallet.withdraw", { id: x, n: 7 }, "failed"],
          ["counter.set", { id: x, n: "one" }, "invalid"],
          ["counter.set", null, "invalid"],
          ["counter.set", { id: `${x}\u0000`, n: 1 }, "invalid"],
          ["counter.set", { id: `${x}\ud800`, n: 1 }, "invalid"],
          ["counter.set", { id: x, n: 1, unread: [{ "\udfff": 1 }] }, "invalid"],
          ["counter.set", { id: x, n: 1, unread: "\\\u0000" }, "invalid"],
          ["counter.set", { id: `${x}\\ud800\\u0000\u{1f600}`, n: 1 }, "applied"],
          ["counter.set", { id: x, n: 3_000_000_000 }, "invalid"],
          [
            "thing.put",
            { id: x, ints: null, texts: null, doc: "{", big: null, exact: null, mood: null },
            "invalid"
          ],
          ["no.such.action", {}, "unknown_action"],
          ["synchrotron.external", [], "unknown_action"],
          ["synchrotron.batch", [{ name: "no.such.action", version: 1, args: {} }], "unknown_action"],
          ["counter.inc", { id: x, n: 1 }, "applied"]
        ] as const
        const records = more.map(([name, args], i) => ({
          ...template,
          id: `00000000-0000-4000-8000-${kind === "pglite" ? "0" : "1"}000000000${(100 + i).toString(16)}`.slice(
            0,
            36
          ) as RecordId,
          name,
          args
        }))
        const response = yield* exchange(stage.world.authority, a.principal, {
          ...request,
          records: [...request.records, ...records]
        })
        const told = response.verdicts.map((v) => ("error" in v ? v.error.class : v.outcome))
        expect(told).toEqual([
          "applied",
          "defect",
          "denied",
          ...more.map(([, , expected]) => (expected === "applied" ? "changed" : expected))
        ])
        expect(verdictOf(response, denied)).toMatchObject({ error: { class: "denied" } })
        expect(verdictOf(response, crashed)).toMatchObject({ error: { message: "The action crashed: boom" } })
        expect(response.verdicts[4]).toMatchObject({
          error: { detail: { _tag: "Refused", message: "insufficient funds", missing: 2 } }
        })
        yield* a.replica.receive(request, response)
        yield* a.sync
        yield* expectConverged(stage.world, [a])
        expect(yield* scalar(stage.world.server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(2)
      })
    )
  )

  it(
    "I4: arguments that Postgres cannot hold are refused for good, and what stands behind them goes on",
    act((stage, a) =>
      Effect.gen(function* () {
        const x = newId("unstorable")
        yield* execute(a, Kitchen.set({ id: x, n: 1 }))
        const behind = yield* execute(a, Kitchen.inc({ id: x, n: 1 }))
        const request = yield* a.replica.request
        const [first, second] = request.records
        const bad = { ...first!, args: { id: `${x}\ud800`, n: 1 } }
        const told: Array<unknown> = []
        for (let i = 0; i < 3; i++)
          told.push(
            (yield* exchange(stage.world.authority, a.principal, { ...request, records: [bad, second!] }))
              .verdicts
          )
        expect(told[0]).toMatchObject([
          {
            id: bad.id,
            outcome: "rejected",
            error: { class: "invalid", message: expect.stringContaining("Postgres") }
          },
          { id: behind.id, outcome: "changed" }
        ])
        expect(told.slice(1)).toEqual([told[0], told[0]])
        expect(
          yield* scalar(
            stage.world.server,
            `SELECT count(*)::int FROM synchrotron.dead_letters WHERE id = '${bad.id}'`
          )
        ).toBe(1)
        expect(yield* scalar(stage.world.server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(1)
        for (const character of ["\u0000", "\udfff"])
          expect(yield* Effect.flip(execute(a, Kitchen.set({ id: `${x}${character}`, n: 1 })))).toMatchObject(
            {
              _tag: "ArgsInvalid",
              action: "counter.set"
            }
          )
        yield* a.sync
        yield* a.sync
        yield* expectConverged(stage.world, [a])
      })
    )
  )

  it(
    "I4: a canonical record whose arguments fit its action no longer does not stop a late arrival",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const x = newId("stricter")
        const strict = {
          ...Kitchen.kitchenApp,
          actions: new Map(Kitchen.kitchenApp.actions).set("counter.set@1", {
            ...Kitchen.set.definition,
            args: Schema.Struct({ id: Schema.String, n: Schema.Int.pipe(Schema.lessThan(1000)) })
          })
        }
        const early = yield* execute(a, Kitchen.inc({ id: `${x}a`, n: 1 }))
        yield* execute(b, Kitchen.set({ id: x, n: 5000 }))
        yield* b.sync
        const authority = yield* sameDatabase(stage, strict)
        const request = yield* a.replica.request
        const response = yield* exchange(authority, a.principal, request)
        expect(verdictOf(response, early)).toMatchObject({ outcome: "applied" })
        yield* a.replica.receive(request, response)
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(stage.world.server, `SELECT n FROM counters WHERE id = '${x}'`)).toBe(5000)
      })
    )
  )

  it(
    "I6, I7: the principals' role reads and calls nothing of the engine's",
    act((stage) =>
      Effect.gen(function* () {
        const { server } = stage.world
        const things = yield* server.unsafe<{ call: string }>(
          `SELECT 'SELECT * FROM ' || c.oid::regclass AS call FROM pg_class c WHERE relnamespace = 'synchrotron'::regnamespace AND relkind IN ('r', 'v', 'S')
         UNION ALL SELECT 'DELETE FROM ' || c.oid::regclass FROM pg_class c WHERE relnamespace = 'synchrotron'::regnamespace AND relkind = 'r'
         UNION ALL SELECT 'SELECT synchrotron.' || x FROM unnest(ARRAY['put_rows(''public.docs'', ARRAY[''["x"]''], NULL)', 'apply_patches(gen_random_uuid(), ''[]'')', 'publish(0, 0)', 'purge(ARRAY[''all''])', 'adopt()', 'digests(''{}'')', 'outside_record(''public.docs'')']) AS x`
        )
        expect(things.length).toBeGreaterThan(25)
        for (const { call } of things) {
          const exit = yield* Effect.exit(
            server.withTransaction(
              Effect.zipRight(server.unsafe("SET LOCAL ROLE synchrotron_user"), server.unsafe(call))
            )
          )
          const state =
            Exit.isFailure(exit) && exit.cause._tag === "Fail" ? Execution.sqlState(exit.cause.error) : "done"
          expect([call, state]).toEqual([call, "42501"])
        }
      })
    )
  )
})

/** Another authority on the database of the stage. */
const sameDatabase = (stage: Stage, app: SyncApp.SyncApp) =>
  Effect.map(
    Layer.build(
      Layer.provide(
        AuthorityLive.layer({ app, role: "synchrotron_user" }),
        Layer.succeed(SqlClient.SqlClient, stage.world.server)
      )
    ),
    Context.get(Authority)
  )

describe.each(kinds)("with members of lists and the authority on %s,", (kind) => {
  const act = actor(stageOf(kind, Counters.countersApp, { a: "u1", b: "u2", c: "u3" }))
  const keyColumns: Record<string, ReadonlyArray<string>> = {
    "public.counters": ["id"],
    "public.members": ["list", "user_id"]
  }
  const rowsOf = (response: Protocol.SyncResponse) =>
    response.tables.flatMap(({ gone, rows, table }) => [
      ...(JSON.parse(rows) as ReadonlyArray<Protocol.Image>).map((image) => [
        table,
        `[${keyColumns[table]!.map((column) => JSON.stringify(image[column])).join(", ")}]`,
        true
      ]),
      ...gone.map((key) => [table, key, false])
    ])

  it(
    "I6: an audience that is gained loads its own rows only; one that is lost is purged, also under pending actions",
    act((stage, a, b) =>
      Effect.gen(function* () {
        for (const list of ["X", "Y"]) yield* execute(a, Counters.join({ list, user: "u1" }))
        yield* execute(a, Counters.join({ list: "X", user: "u2" }))
        for (let i = 0; i < 3; i++)
          for (const list of ["X", "Y"]) yield* execute(a, Counters.put({ id: `${list}${i}`, n: i, list }))
        yield* syncAll([a, b])
        expect(yield* scalar(b.sql, "SELECT count(*)::int FROM counters")).toBe(3)
        yield* execute(a, Counters.join({ list: "Y", user: "u2" }))
        yield* execute(a, Counters.inc({ id: "X0", n: 1 }))
        yield* a.sync
        // b goes on meanwhile, in the list that it has.
        yield* execute(b, Counters.inc({ id: "X1", n: 10 }))
        expect(rowsOf(yield* syncRaw(stage, b)).sort()).toEqual(
          [
            ["public.counters", '["X0"]', true],
            ["public.counters", '["X1"]', true],
            ...[0, 1, 2].map((i) => ["public.counters", `["Y${i}"]`, true]),
            ["public.members", '["Y", "u1"]', true],
            ["public.members", '["Y", "u2"]', true]
          ].sort()
        )
        yield* expectConverged(stage.world, [b])
        // Lost with actions pending on it, before and after the removal.
        yield* execute(b, Counters.inc({ id: "Y0", n: 100 }))
        yield* execute(a, Counters.leave({ list: "Y", user: "u2" }))
        const tooLate = yield* execute(b, Counters.inc({ id: "Y1", n: 100 }))
        const kept = yield* execute(b, Counters.inc({ id: "X2", n: 100 }))
        yield* a.sync
        const request = yield* b.replica.request
        // An action that is executed while the answer travels stays pending over the purge.
        const during = yield* execute(b, Counters.inc({ id: "Y2", n: 1000 }))
        const onX = yield* execute(b, Counters.inc({ id: "X2", n: 1000 }))
        const response = yield* exchange(stage.world.authority, b.principal, request)
        expect(response.audiences).toEqual(["list:X"])
        expect(verdictOf(response, tooLate)).toMatchObject({
          outcome: "rejected",
          error: { class: "failed" }
        })
        expect(verdictOf(response, kept)).toMatchObject({ outcome: "applied" })
        yield* b.replica.receive(request, response)
        expect(yield* scalar(b.sql, "SELECT count(*)::int FROM counters WHERE list = 'Y'")).toBe(0)
        expect(yield* scalar(b.sql, "SELECT n FROM counters WHERE id = 'X2'")).toBe(1102)
        const last = yield* syncRaw(stage, b)
        expect(verdictOf(last, during)).toMatchObject({ outcome: "rejected" })
        expect(verdictOf(last, onX)).toMatchObject({ outcome: "applied" })
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(stage.world.server, "SELECT n FROM counters WHERE id = 'Y0'")).toBe(100)
        // Gained once more: everything of it comes again.
        yield* execute(a, Counters.join({ list: "Y", user: "u2" }))
        yield* a.sync
        expect(rowsOf(yield* syncRaw(stage, b))).toHaveLength(5)
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )

  it(
    "I6: nothing of a list is in any answer to a user who is not in it",
    act((stage, a, _, c) =>
      Effect.gen(function* () {
        yield* execute(a, Counters.join({ list: "hidden", user: "u1" }))
        yield* execute(a, Counters.join({ list: "open", user: "u1" }))
        yield* execute(a, Counters.join({ list: "open", user: "u3" }))
        yield* syncAll([a, c])
        yield* execute(c, Counters.put({ id: "open", n: 1, list: "open" }))
        for (const operation of [
          Counters.put({ id: "hush", n: 1, list: "hidden" }),
          Counters.put({ id: "stays", n: 1, list: "hidden" }),
          Counters.put({ id: "moves", n: 1, list: "open" }),
          Counters.move({ id: "moves", list: "hidden" }),
          Counters.put({ id: "returns", n: 1, list: "hidden" }),
          Counters.move({ id: "returns", list: "open" }),
          Counters.inc({ id: "moves", n: 4242 }),
          Counters.remove({ id: "hush" })
        ])
          yield* execute(a, operation as Action.AnyOperation)
        yield* a.sync
        const request = yield* c.replica.request
        for (const cursors of [
          request.cursors,
          {},
          { "list:hidden": 0, "list:open": 0 },
          { "list:hidden": 5 }
        ]) {
          const response = yield* exchange(stage.world.authority, c.principal, {
            ...request,
            cursors: cursors as typeof request.cursors,
            after: oldest
          })
          const text = JSON.stringify(response)
          for (const hidden of ["hidden", "hush", "stays", "4243"]) expect(text).not.toContain(hidden)
        }
        yield* c.sync
        yield* syncAll([a, c])
        yield* expectConverged(stage.world, [a, c])
      })
    )
  )

  it(
    "I4: a client whose user holds no audience hears of its voided record once",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const lonely = yield* stage.world.client("lonely", { userId: "u9" })
        yield* stage.world.server.unsafe("DELETE FROM counters;INSERT INTO members VALUES ('L', 'u1')")
        yield* lonely.sync
        yield* syncAll([a, b])
        yield* execute(a, Counters.leave({ list: "L", user: "u1" }))
        // Two joins cannot both be: the second is made to fail by a late arrival of the first.
        yield* execute(a, Counters.claimSeat({ list: "L", user: "u2" }))
        const second = yield* execute(lonely, Counters.claimSeat({ list: "L", user: "u8" }))
        expect(verdictOf(yield* syncRaw(stage, lonely), second)).toMatchObject({ hlc: second.hlc })
        yield* a.sync
        expect((yield* syncRaw(stage, lonely)).notices.map((notice) => notice.id)).toEqual([second.id])
        expect((yield* syncRaw(stage, lonely)).notices).toEqual([])
        expect((yield* lonely.replica.rejected).map((record) => record.id)).toEqual([second.id])
      })
    )
  )
})

describe("with a generated column,", () => {
  const put = Action.make("row.put", {
    args: Schema.Struct({ id: Schema.String, list: Schema.String }),
    run: ({ args, sql }) =>
      Effect.asVoid(sql`INSERT INTO rows (id, list) VALUES (${args.id}, ${args.list})
        ON CONFLICT (id) DO UPDATE SET list = excluded.list`)
  })
  const app = SyncApp.make({
    name: "generated",
    migrations: [
      {
        id: "001",
        sql: "CREATE TABLE rows (id text PRIMARY KEY, list text NOT NULL, label text GENERATED ALWAYS AS ('list:' || list) STORED)",
        serverSql: `ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
          CREATE POLICY labels ON rows USING (label <> 'list:secret') WITH CHECK (true);
          GRANT SELECT, INSERT, UPDATE ON rows TO synchrotron_user`
      }
    ],
    tables: [SyncTable.make("rows", { audience: "label" })],
    actions: [put],
    audiences: "SELECT 'list:A' UNION ALL SELECT 'list:secret'"
  })
  const act = actor(stageOf("pglite", app, { a: "u1", b: "u2" }))

  it(
    "I1, I6: audiences and policies may use it, also for rows that are told as patches",
    act((stage, a, b) =>
      Effect.gen(function* () {
        yield* execute(b, put({ id: "1", list: "A" }))
        yield* execute(a, put({ id: "2", list: "A" }))
        yield* execute(a, put({ id: "3", list: "secret" }))
        yield* execute(a, put({ id: "4", list: "B" }))
        yield* a.sync
        const response = yield* syncRaw(stage, b)
        expect(JSON.stringify(response)).not.toMatch(/"list":"(secret|B)"/)
        const crossing = { ...(yield* b.replica.request), after: oldest }
        const { later } = yield* exchange(stage.world.authority, b.principal, crossing)
        expect(later.flatMap((record) => record.patches.map((patch) => patch.key))).toEqual([
          '["1"]',
          '["2"]'
        ])
        yield* syncAll([a, b])
        yield* expectConverged(stage.world, [a, b])
        expect(yield* scalar(b.sql, "SELECT string_agg(id, '' ORDER BY id) FROM rows")).toBe("12")
      })
    )
  )
})

describe("with audiences that are called as what every object has,", () => {
  const names = ["constructor", "toString", "__proto__", "hasOwnProperty"]
  const Row = Schema.Struct({ id: Schema.String, audience: Schema.String })
  const put = Action.make("row.put", {
    args: Row,
    run: ({ args, sql }) =>
      Effect.asVoid(sql`INSERT INTO rows (id, audience) VALUES (${args.id}, ${args.audience})
        ON CONFLICT (id) DO UPDATE SET audience = excluded.audience`)
  })
  const remove = Action.make("row.remove", {
    args: Schema.Struct({ id: Schema.String }),
    run: ({ args, sql }) => Effect.asVoid(sql`DELETE FROM rows WHERE id = ${args.id}`)
  })
  const app = SyncApp.make({
    name: "inherited",
    migrations: [
      {
        id: "001",
        sql: "CREATE TABLE rows (id text PRIMARY KEY, audience text NOT NULL)",
        serverSql: "GRANT SELECT, INSERT, UPDATE, DELETE ON rows TO synchrotron_user"
      }
    ],
    tables: [SyncTable.make("rows", { audience: "audience" })],
    actions: [put, remove],
    audiences: names.map((name) => `SELECT '${name}'`).join(" UNION ALL ")
  })
  const act = actor(stageOf("pglite", app, { a: "u1", b: "u2" }))

  it(
    "I1: their rows come, change and go, and are told once",
    act((stage, a, b) =>
      Effect.gen(function* () {
        const idsOf = scalar(b.sql, "SELECT string_agg(id, ' ' ORDER BY id) FROM rows")
        for (const name of names)
          for (const n of [1, 2]) yield* execute(a, put({ id: `${name}${n}`, audience: name }))
        yield* syncAll([a, b])
        expect(yield* idsOf).toBe(
          names
            .flatMap((name) => [`${name}1`, `${name}2`])
            .sort()
            .join(" ")
        )
        for (const name of names) yield* execute(a, remove({ id: `${name}1` }))
        yield* a.sync
        expect(Protocol.countRows((yield* syncRaw(stage, b)).tables)).toBe(names.length)
        expect(yield* idsOf).toBe(
          names
            .map((name) => `${name}2`)
            .sort()
            .join(" ")
        )
        expect((yield* syncRaw(stage, b)).tables).toEqual([])
        yield* expectConverged(stage.world, [a, b])
      })
    )
  )
})

describe("with Postgres of its own,", () => {
  const stageNow = stageOf("postgres", Kitchen.kitchenApp, { a: "u1" })
  const act = actor(stageNow)

  it(
    "I4: a deadlock with a writer from outside is retried, and both have their effect",
    act((stage, a) =>
      Effect.gen(function* () {
        yield* execute(a, Kitchen.set({ id: "x", n: 1 }))
        yield* a.sync
        const outside = new pg.Client({ connectionString: stage.url! })
        const query = (text: string) => Effect.promise(() => outside.query(text))
        yield* Effect.promise(() => outside.connect())
        yield* Effect.addFinalizer(() => Effect.promise(() => outside.end()))
        // It holds the row and wants the realm's lock; the sync holds the lock and wants the row. The sync notices first.
        yield* query("SET deadlock_timeout = '60s';BEGIN;SELECT * FROM counters WHERE id = 'x' FOR UPDATE")
        const increment = yield* execute(a, Kitchen.inc({ id: "x", n: 1 }))
        const syncing = yield* Effect.fork(syncRaw(stage, a))
        yield* Effect.sleep(200)
        yield* query("INSERT INTO counters (id, n) VALUES ('y', 10)")
        yield* query("COMMIT")
        expect(verdictOf(yield* Fiber.join(syncing), increment)).toMatchObject({ outcome: "applied" })
        yield* a.sync
        yield* expectConverged(stage.world, [a])
        expect(yield* scalar(a.sql, "SELECT string_agg(id || n, ' ' ORDER BY id) FROM counters")).toBe(
          "x2 y10"
        )
        const deadlocks = "SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()"
        yield* Effect.sleep(1100)
        expect(yield* scalar(stage.world.server, deadlocks)).toBe(1)
      })
    )
  )

  const [migration] = Kitchen.kitchenApp.migrations
  const forced = {
    ...Kitchen.kitchenApp,
    migrations: [
      {
        ...migration!,
        serverSql: `${migration!.serverSql};ALTER TABLE secrets FORCE ROW LEVEL SECURITY`
      }
    ]
  }

  it.each([
    ["the owner's rights", Kitchen.kitchenApp, []],
    ["FORCE ROW LEVEL SECURITY", forced, ["ALTER ROLE $user BYPASSRLS;"]]
  ] as const)(
    "I2, I7: a server role with %s is told what a superuser must run, and works after that",
    async (_, app, more) => {
      const database = await createDatabase(inject("postgresUrl"), "plain")
      const superuser = new pg.Client({ connectionString: inject("postgresUrl") })
      const name = new URL(database.url).pathname.slice(1)
      const user = `server_${name}`
      const url = new URL(database.url)
      ;[url.username, url.password] = [user, "secret"]
      await superuser.connect()
      await superuser.query(
        `CREATE ROLE ${user} LOGIN PASSWORD 'secret' NOSUPERUSER NOCREATEROLE NOBYPASSRLS;ALTER DATABASE ${name} OWNER TO ${user}`
      )
      const inDatabase = new pg.Client({ connectionString: database.url })
      await inDatabase.connect()
      await inDatabase.query(`ALTER SCHEMA public OWNER TO ${user}`)
      const start = makeWorld(app, { _tag: "postgres", url: url.href })
      const advice: Array<string> = []
      try {
        for (let attempt = 0; attempt < 4; attempt++) {
          const refused = await Effect.runPromise(Effect.scoped(Effect.flip(start)).pipe(Effect.option))
          if (refused._tag === "None") break
          expect(refused.value).toBeInstanceOf(AuthorityLive.AuthoritySetupError)
          const { message } = refused.value as AuthorityLive.AuthoritySetupError
          const statement = message.slice(message.indexOf("run: ") + 5)
          advice.push(statement)
          await superuser.query(statement)
        }
        expect(advice).toEqual([
          `GRANT SET ON PARAMETER session_replication_role TO ${user};`,
          `GRANT "synchrotron_user" TO ${user};`,
          ...more.map((statement) => statement.replace("$user", user))
        ])
        await Effect.gen(function* () {
          const world = yield* start
          const [a, b] = [
            yield* world.client("a", { userId: "u1" }),
            yield* world.client("b", { userId: "u2" })
          ]
          yield* execute(a, Kitchen.writeDoc({ id: "mine", body: "of u1" }))
          yield* execute(a, Kitchen.writeSecret({ id: "s", body: "secret" }))
          yield* syncAll([a, b])
          // Taken back and executed again, with a denial, a cascade and a write from outside among it.
          yield* execute(a, Kitchen.addParent({ id: "p" }))
          yield* execute(a, Kitchen.addChild({ id: "c", parent: "p" }))
          yield* execute(a, Kitchen.claim({ id: "n", name: "n" }))
          yield* execute(b, Kitchen.editDoc({ id: "mine", body: "by u2" }))
          yield* b.sync
          yield* world.server.unsafe(
            "UPDATE docs SET body = body || '!';UPDATE secrets SET body = body || '!'"
          )
          yield* syncAll([a, b])
          yield* execute(b, Kitchen.removeParent({ id: "p" }))
          yield* execute(a, Kitchen.addChild({ id: "d", parent: "p" }))
          yield* syncAll([a, b])
          yield* expectConverged(world, [a, b])
          expect(yield* scalar(a.sql, "SELECT body FROM docs")).toBe("of u1!")
          expect(yield* scalar(a.sql, "SELECT body FROM secrets")).toBe("secret!")
        }).pipe(Effect.scoped, Effect.runPromise)
      } finally {
        await inDatabase.end()
        await database.drop()
        await superuser.query(
          `REVOKE SET ON PARAMETER session_replication_role FROM ${user};DROP ROLE ${user}`
        )
        await superuser.end()
      }
    }
  )
})

/** The check of an application's actions: each mistake is found under its name, and honest applications pass. */
import { env } from "node:process"
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Random, Schema } from "effect"
import { beforeAll, describe, expect, inject, it } from "vitest"
import todo from "../../../examples/todo-app/scenario.ts"
import { compare, describe as inWords } from "../src/determinism/Difference.ts"
import {
  checkDeterminism,
  type DeterminismOptions,
  type DeterminismReport,
  type PerturbationName
} from "../src/index.ts"
import bank from "../src/scenarios/bank.ts"
import bookings from "../src/scenarios/bookings.ts"

type Run = (
  sql: Action.ActionInput<unknown>["sql"],
  ctx: Action.ActionContext
) => Effect.Effect<unknown, unknown>

const migration = {
  id: "001",
  sql: `
    CREATE TABLE notes (id text PRIMARY KEY, body text, at timestamptz, day date);
    CREATE TABLE tags (name text COLLATE "default" PRIMARY KEY, weight integer NOT NULL);
    CREATE SEQUENCE numbers;`,
  serverSql: `GRANT SELECT, INSERT, UPDATE, DELETE ON notes, tags TO synchrotron_user; GRANT USAGE ON numbers TO synchrotron_user;`
}

/** An app with an action for each, executed in turn. */
const checkOf = (runs: Readonly<Record<string, Run>>, options: Partial<DeterminismOptions> = {}) => {
  const actions = Object.entries(runs).map(([name, run]) =>
    Action.make(name, {
      args: Schema.Struct({ n: Schema.Int }),
      run: ({ ctx, sql }) => run(sql, ctx)
    })
  )
  const app = SyncApp.make({
    name: "notes",
    migrations: [migration],
    tables: [
      SyncTable.make("notes", { audience: "'everyone'" }),
      SyncTable.make("tags", { audience: "'everyone'" })
    ],
    actions,
    audiences: "SELECT 'everyone'"
  })
  let n = 0
  return checkDeterminism({
    app,
    workload: {
      users: ["ada"],
      seed: "INSERT INTO tags VALUES ('b', 1), ('a', 1), ('C', 1), ('d', 2)",
      next: () => actions[n % actions.length]!({ n: n++ })
    },
    actions: 3 * actions.length,
    ...options
  })
}

let written = 0

const mistakes: ReadonlyArray<readonly [string, PerturbationName, Run]> = [
  [
    "Math.random()",
    "random",
    (sql, ctx) => sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, ${String(Math.random())})`
  ],
  ["crypto.randomUUID()", "random", (sql) => sql`INSERT INTO notes (id) VALUES (${crypto.randomUUID()})`],
  [
    "Effect's Random",
    "random",
    (sql, ctx) =>
      Effect.flatMap(Random.next, (r) => sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, ${String(r)})`)
  ],
  [
    "Date.now()",
    "clock",
    (sql, ctx) => sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, ${String(Date.now())})`
  ],
  ["new Date()", "clock", (sql, ctx) => sql`INSERT INTO notes (id, at) VALUES (${ctx.id}, ${new Date()})`],
  [
    "CURRENT_TIMESTAMP",
    "clock",
    (sql, ctx) => sql`INSERT INTO notes (id, at) VALUES (${ctx.id}, CURRENT_TIMESTAMP)`
  ],
  [
    "a counter of the module",
    "again",
    (sql, ctx) => sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, ${String(written++)})`
  ],
  [
    "a sequence",
    "again",
    (sql, ctx) => sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, nextval('numbers')::text)`
  ],
  ["a failure now and then", "again", () => (written++ % 2 === 0 ? Effect.void : Effect.fail("odd"))],
  [
    "LIMIT 1 without ORDER BY",
    "order",
    (sql) => sql`UPDATE tags SET weight = weight + 1 WHERE name = (SELECT name FROM tags LIMIT 1)`
  ],
  [
    "a row taken from a SELECT without ORDER BY",
    "order",
    (sql, ctx) =>
      Effect.flatMap(
        sql<{ name: string }>`SELECT name FROM tags WHERE weight > 0`,
        ([tag]) => sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, ${tag!.name})`
      )
  ],
  [
    "array_agg without ORDER BY",
    "order",
    (sql, ctx) => sql`INSERT INTO notes (id, body) SELECT ${ctx.id}, array_agg(name)::text FROM tags`
  ],
  [
    "GROUP BY in the order of its plan",
    "order",
    (sql, ctx) =>
      sql`INSERT INTO notes (id, body) SELECT ${ctx.id} || weight, gen_random_uuid()::text FROM tags GROUP BY weight`
  ],
  [
    "the session's time zone",
    "time-zone",
    (sql, ctx) => sql`INSERT INTO notes (id, day) VALUES (${ctx.id}, now()::date)`
  ],
  [
    "a date read by the session's DateStyle",
    "time-zone",
    (sql, ctx) => sql`INSERT INTO notes (id, day) VALUES (${ctx.id}, ${"03/04/2026"}::text::date)`
  ],
  [
    "the process' time zone",
    "time-zone",
    (sql, ctx) => sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, ${String(ctx.now.getHours())})`
  ],
  [
    "current_user",
    "replica",
    (sql, ctx) => sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, current_user)`
  ]
]

const nameOf = (title: string) => title.replace(/\W+/g, ".")

describe("I8: checkDeterminism finds", () => {
  let report: DeterminismReport
  beforeAll(async () => {
    report = await checkOf(Object.fromEntries(mistakes.map(([title, , run]) => [nameOf(title), run])))
  })

  it.each(mistakes)("%s", (title, perturbation) => {
    const findings = report.findings.filter(({ action }) => action === nameOf(title))
    expect(findings.map((finding) => finding.perturbation)).toEqual([perturbation])
    expect(findings[0]).toMatchObject({ version: 1, args: { n: expect.any(Number) } })
    expect(findings[0]!.differences).not.toEqual([])
  })

  it("and fails, and says in words what differs and what to do", () => {
    expect(report.verdict).toBe("fail")
    const finding = report.findings.find(({ action }) => action === nameOf("new Date()"))
    expect(finding!.message).toMatch(
      /^new\.Date\.@1 did something else with another clock, in 3 records\.\n {2}args: \{"n":\d+\}\n {2}public\.notes \["[-0-9a-f]{36}"\] at: "\d{4}-.*" and "\d{4}-.*"\n {2}.*ctx\.now/
    )
  })
})

describe("I8: checkDeterminism passes", () => {
  it.each([bank, bookings, todo].map((scenario) => [scenario.name, scenario] as const))(
    "%s",
    async (_, scenario) => {
      const { findings, verdict } = await checkDeterminism({ scenario, actions: 30 })
      expect(findings.map(({ message }) => message)).toEqual([])
      expect(verdict).toBe("pass")
    }
  )

  it("what takes time and chance from its record, and leaves the process as it was", async () => {
    const process = () => [
      Date,
      Math.random,
      crypto.randomUUID,
      crypto.getRandomValues,
      performance.now,
      env.TZ
    ]
    const before = process()
    const { verdict, recordsByAction } = await checkOf({
      "note.write": (sql, ctx) =>
        sql`INSERT INTO notes VALUES (${ctx.uuid("note")}, ${ctx.random()} || random()::text, now(), (${ctx.now} AT TIME ZONE 'UTC')::date)`
    })
    expect(verdict).toBe("pass")
    expect(recordsByAction).toEqual({ "note.write@1": 3 })
    expect(process()).toEqual(before)
  })
})

it("I8: checkDeterminism is unknown when nothing was executed", async () => {
  const { records, refused, verdict } = await checkOf({ never: () => Effect.fail("never") })
  expect({ records, refused, verdict }).toEqual({ records: 0, refused: 3, verdict: "unknown" })
})

it("I8: checkDeterminism executes on a Postgres, too", async () => {
  const postgres = inject("postgresUrl")
  const honest = await checkDeterminism({ scenario: bank, actions: 10, postgres })
  expect(honest.findings.map(({ message }) => message)).toEqual([])
  const { findings } = await checkOf(
    {
      tune: (sql, ctx) =>
        sql`INSERT INTO notes (id, body) VALUES (${ctx.id}, current_setting('max_connections'))`
    },
    { postgres }
  )
  expect(findings.map(({ perturbation }) => perturbation)).toEqual(["postgres"])
})

describe("compare", () => {
  const row = { table: "public.notes", key: '["1"]' }
  const changed = (before: Record<string, string> | null, after: Record<string, string> | null) =>
    ({ _tag: "changed", rows: [{ ...row, before, after }] }) as const
  const nothing = { _tag: "changed", rows: [] } as const
  const words = (...[first, second]: Parameters<typeof compare>) => compare(first, second).map(inWords)

  it("says which column of which row differs, and which row only one has", () => {
    expect(words(changed(null, { id: "1", body: "a" }), changed(null, { id: "1", body: "b" }))).toEqual([
      'public.notes ["1"] body: "a" and "b"'
    ])
    expect(words(changed({ id: "1" }, null), nothing)).toEqual(['public.notes ["1"]: no row and {"id":"1"}'])
    expect(words(nothing, changed({ id: "1", body: "a" }, { id: "1", body: "b" }))).toEqual([
      'public.notes ["1"] body: "a" and "b"'
    ])
    expect(words(changed({ id: "1" }, { id: "1" }), nothing)).toEqual([])
  })

  it("takes failures for equal, and one failure for a difference", () => {
    const failed = (message: string) => ({ _tag: "failed", message }) as const
    expect(words(failed("a"), failed("b"))).toEqual([])
    expect(words(nothing, failed("b"))).toEqual(["done and failed (b)"])
  })
})

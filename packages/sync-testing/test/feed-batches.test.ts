/** What many are told in one reading is what each is told alone, and has no row that is hidden from them. */

import { SqlClient } from "@effect/sql"
import { type Audience, type ClientId, type Principal, type Seq, SyncApp } from "@synchrotron/sync-core"
import { AuthorityLive, Feed } from "@synchrotron/sync-server"
import { Context, Effect, Layer } from "effect"
import { describe, expect, it } from "vitest"
import { app } from "../../sync-server/test/shape/fixture.ts"
import * as Random from "../src/Random.ts"
import { kinds, stageOf } from "./harness.ts"

const users = ["ann", "bob", 'o\'hara \\ "q"', "nobody", "root"]
const teams = ["red", "green", 'o\'b \\ "t"']

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

/** What somebody writes on the server. */
const write = (random: Random.Random): string => {
  const note = () => `n${random.int(12)}`
  const team = () => literal(random.pick(teams))
  const user = () => literal(random.pick(users))
  return random.pick([
    () => `INSERT INTO notes (id, team, text) VALUES ('${note()}', ${team()}, 'new') ON CONFLICT DO NOTHING`,
    () => `UPDATE notes SET n = coalesce(n, 0) + 1 WHERE id IN ('${note()}', '${note()}')`,
    () => `UPDATE notes SET hidden = NOT hidden WHERE id = '${note()}'`,
    () => `UPDATE notes SET team = ${team()} WHERE id = '${note()}'`,
    () => `DELETE FROM notes WHERE id = '${note()}'`,
    () => `INSERT INTO members VALUES (${team()}, ${user()}) ON CONFLICT DO NOTHING`,
    () => `DELETE FROM members WHERE team = ${team()} AND user_id = ${user()}`
  ])()
}

describe.each(kinds)("the feed on %s", (kind) => {
  const stage = stageOf(kind, app, {})

  it("I6: tells many at once what it tells each alone", () =>
    stage().run(
      Effect.gen(function* () {
        const sql = stage().world.server
        const reader = yield* readerOf(app, sql)
        const random = Random.make("feed batches")
        const audiencesOf = new Map<string, ReadonlyArray<Audience>>()
        const told = new Set<string>()
        const shown = new Set<string>()
        for (let round = 0; round < 40; round++) {
          const began = yield* sql.unsafe<{ seq: Seq }>("SELECT seq FROM synchrotron.realm")
          for (let i = 1 + random.int(3); i > 0; i--) yield* sql.unsafe(write(random))
          const questions = Array.from({ length: 1 + random.int(8) }, (): Feed.Question => {
            const userId = random.pick(users)
            const principal: Principal = { userId, claims: { sub: userId } }
            const from = random.chance(0.5) ? began[0]!.seq : (random.int(began[0]!.seq + 1) as Seq)
            const known = random.chance(0.7) ? (audiencesOf.get(userId) ?? null) : null
            return { principal, client: crypto.randomUUID() as ClientId, from, audiences: known }
          })
          const strip = (answer: Feed.Answer) => ({
            ...answer,
            text: answer.text?.replace(/"serverTimeMs":\d+/, "") ?? null
          })
          const together = (yield* Feed.readAll(reader, questions)).map(strip)
          for (const [i, question] of questions.entries()) {
            const [alone] = yield* Feed.readAll(reader, [question])
            expect(together[i]).toEqual(strip(alone!))
            const { userId } = question.principal
            audiencesOf.set(userId, alone!.audiences)
            told.add(`${userId} ${alone!.outcome}`)
            const visible = yield* sql.unsafe<{ id: string }>(
              `SELECT id FROM notes WHERE ${userId === "root" ? "true" : `NOT hidden AND team IN (SELECT team FROM members WHERE user_id = ${literal(userId)})`}`
            )
            for (const { rows, table } of rowsIn(alone!.text))
              for (const row of rows) {
                shown.add(table)
                if (table === "public.notes") expect(visible).toContainEqual({ id: row.id })
                else expect(alone!.audiences).toContain(`team:${row.team}`)
              }
          }
        }
        for (const user of users.slice(0, 3)) expect(told).toContain(`${user} told`)
        expect(told).toContain("nobody nothing")
        expect(shown).toEqual(new Set(["public.members", "public.notes"]))
      })
    ))
})

describe.each(kinds)("the function of the feed on %s", (kind) => {
  const stage = stageOf(kind, bare("SELECT 'first'"), {})

  it("is there before a table is synced, and follows the application's audiences", () =>
    stage().run(
      Effect.gen(function* () {
        const sql = stage().world.server
        for (const name of ["first", "second", "first"]) {
          const reader = yield* readerOf(bare(`SELECT '${name}'`), sql)
          const principal: Principal = { userId: "ann", claims: {} }
          const client = crypto.randomUUID() as ClientId
          const [answer] = yield* Feed.readAll(reader, [{ principal, client, from: null, audiences: null }])
          expect(answer!.audiences).toEqual([name])
        }
      })
    ))
})

/** An application without tables. */
const bare = (audiences: string) =>
  SyncApp.make({ name: "bare", migrations: [], tables: [], actions: [], audiences })

const readerOf = (app: SyncApp.SyncApp, sql: SqlClient.SqlClient) =>
  Effect.map(
    Layer.build(
      AuthorityLive.layerPrepared({ app, role: "synchrotron_user" }).pipe(
        Layer.provide(Layer.succeed(SqlClient.SqlClient, sql))
      )
    ),
    (prepared): Feed.Reader => ({
      sql,
      setup: Context.get(prepared, AuthorityLive.Prepared),
      chunk: { rowsMax: 1000, bytesMax: 256 * 1024 }
    })
  )

const rowsIn = (text: string | null) => {
  const tables = text === null ? [] : (JSON.parse(text) as { tables: ReadonlyArray<Table> }).tables
  return tables.map(({ rows, table }) => ({
    table,
    rows: JSON.parse(rows) as ReadonlyArray<Readonly<Record<string, string>>>
  }))
}

interface Table {
  readonly table: string
  readonly rows: string
}

/** Versions of one application, one after the other, on a database and on devices that are in use. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Action, DatabaseTooNew, Protocol, SyncApp, SyncTable } from "@synchrotron/sync-core"
import type { ServerDatabase } from "@synchrotron/sync-server"
import { Effect, Fiber, Schedule, Schema, type Scope } from "effect"
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest"
import { createDatabase, type TestDatabase } from "../../../test/postgres.ts"
import { expectConverged, type Kind, kinds, scalar, syncAll } from "./harness.ts"
import { makeWorld, type TestClient, type World } from "./world.ts"

const secured = (...tables: ReadonlyArray<string>) =>
  tables
    .map(
      (table) =>
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO synchrotron_user; ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;`
    )
    .join("\n")

const first: SyncApp.Migration = {
  id: "001",
  sql: `CREATE TABLE members (list text, user_id text, PRIMARY KEY (list, user_id));
    CREATE TABLE notes (id text PRIMARY KEY, list text NOT NULL, title text NOT NULL, stars integer NOT NULL DEFAULT 0);
    CREATE TABLE drafts (id text PRIMARY KEY, owner text NOT NULL);`,
  serverSql: `${secured("members", "notes", "drafts")}
    CREATE POLICY own ON members USING (user_id = synchrotron.user_id());
    CREATE POLICY shared ON notes USING (list IN (SELECT list FROM members));
    CREATE POLICY own ON drafts USING (owner = synchrotron.user_id());`
}

/** Columns that old captures and images name are gone, rows are moved, removed and added, and so are tables. */
const second: SyncApp.Migration = {
  id: "002",
  sql: `ALTER TABLE notes DROP COLUMN stars;
    ALTER TABLE notes RENAME COLUMN title TO body;
    UPDATE notes SET body = upper(body);
    UPDATE notes SET list = 'B' WHERE id LIKE 'moved%';
    DELETE FROM notes WHERE id LIKE 'removed%';
    DROP TABLE drafts;
    CREATE TABLE tags (note text, tag text, list text NOT NULL, PRIMARY KEY (note, tag));`,
  serverSql: `${secured("tags")}
    CREATE POLICY shared ON tags USING (list IN (SELECT list FROM members));
    INSERT INTO notes VALUES ('welcome', 'A', 'HELLO');
    INSERT INTO tags SELECT id, 'old', list FROM notes;`
}

const Note = Schema.Struct({ id: Schema.String, list: Schema.String, text: Schema.String })
const addNote = (column: string) =>
  Action.make("note.add", {
    version: 1,
    args: Note,
    run: ({ args, sql }) =>
      sql.unsafe(`INSERT INTO notes (id, list, ${column}) VALUES ($1, $2, $3)`, [
        args.id,
        args.list,
        args.text
      ])
  })
const addDraft = Action.make("draft.add", {
  version: 1,
  args: Schema.Struct({ id: Schema.String }),
  run: ({ args, ctx, sql }) => sql`INSERT INTO drafts VALUES (${args.id}, ${ctx.principal.userId})`
})
const add = { 1: addNote("title"), 2: addNote("body") }

const appOf = (options: {
  readonly migrations: ReadonlyArray<SyncApp.Migration>
  readonly tables: Readonly<Record<string, string>>
  readonly actions: Parameters<typeof SyncApp.make>[0]["actions"]
  readonly label?: string
}) =>
  SyncApp.make({
    name: "notes",
    migrations: options.migrations,
    tables: Object.entries(options.tables).map(([name, audience]) => SyncTable.make(name, { audience })),
    actions: options.actions,
    audiences: `SELECT '${options.label ?? "list"}:' || list FROM members UNION SELECT 'user:' || synchrotron.user_id()`
  })

const own = { members: "'user:' || user_id" }
const v1 = appOf({
  migrations: [first],
  tables: { ...own, notes: "'list:' || list", drafts: "'user:' || owner" },
  actions: [add[1], addDraft]
})
const v2 = appOf({
  migrations: [first, second],
  tables: { ...own, notes: "'list:' || list", tags: "'list:' || list" },
  actions: [add[2]]
})
/** Without a migration: rows have other audiences, and a table is not synced any more. */
const v3 = appOf({
  migrations: [first, second],
  tables: { ...own, notes: "'notes:' || list" },
  actions: [add[2]],
  label: "notes"
})

const users = ["u1", "u2", "u3"]

describe.each(kinds)("a newer version on %s", (kind: Kind) => {
  let directory: string
  let database: TestDatabase | undefined
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "synchrotron-upgrade-"))
    if (kind === "postgres") database = await createDatabase(inject("postgresUrl"))
  })
  afterEach(async () => {
    await database?.drop()
    await rm(directory, { recursive: true, force: true })
  })

  const stored = (): ServerDatabase.Database =>
    database === undefined
      ? { _tag: "embedded", dataDir: join(directory, "server") }
      : { _tag: "postgres", url: database.url }

  /** Starts a version of the server; its clients open what earlier versions left on their devices. */
  const running = <A>(
    app: SyncApp.SyncApp,
    body: (world: World, clients: ReadonlyArray<TestClient>) => Effect.Effect<A, unknown, Scope.Scope>
  ) =>
    Effect.gen(function* () {
      const world = yield* makeWorld(app, stored())
      const clients = yield* Effect.forEach(users, (user) =>
        world.client(user, { dataDir: join(directory, user) })
      )
      return yield* body(world, clients)
    }).pipe(Effect.scoped)

  const converge = (world: World, clients: ReadonlyArray<TestClient>, hint: string) =>
    Effect.gen(function* () {
      const fresh = yield* world.client("fresh", { userId: "u1" })
      yield* syncAll([...clients, fresh])
      yield* expectConverged(world, [...clients, fresh], hint)
      expect(yield* noted(world), hint).toEqual(yield* present(world))
    })

  /** Rows that the log names, by table. */
  const noted = (world: World) =>
    Effect.map(
      world.server.unsafe<{ tbl: string; count: number }>(
        "SELECT tbl, count(*)::integer AS count FROM synchrotron.row_versions WHERE NOT gone GROUP BY tbl"
      ),
      (rows) => Object.fromEntries(rows.map(({ count, tbl }) => [tbl, count]))
    )
  const present = (world: World) =>
    Effect.map(
      Effect.forEach(world.app.tables, ({ name }) =>
        Effect.map(
          scalar(world.server, `SELECT count(*)::integer FROM ${name}`),
          (count) => [name, count] as const
        )
      ),
      Object.fromEntries
    )

  const notesOf = (world: World) =>
    Effect.map(
      world.server.unsafe<{ id: string; list: string; body: string }>(
        "SELECT id, list, body FROM notes ORDER BY id"
      ),
      (rows) => rows.map(({ body, id, list }) => `${id} ${list} ${body}`)
    )

  const scenario = Effect.gen(function* () {
    const old = yield* running(v1, (world, clients) =>
      Effect.gen(function* () {
        yield* world.server.unsafe(
          "INSERT INTO members VALUES ('A', 'u1'), ('B', 'u1'), ('B', 'u2'), ('A', 'u3')"
        )
        yield* syncAll(clients)
        const [one] = clients
        for (const id of ["kept", "moved", "removed"])
          yield* one!.replica.execute(add[1]({ id, list: "A", text: id }))
        for (const { replica } of clients) yield* replica.execute(addDraft({ id: replica.clientId }))
        yield* converge(world, clients, "first version")
        for (const { name, replica } of clients)
          yield* replica.execute(
            add[1]({ id: `offline ${name}`, list: name === "u3" ? "A" : "B", text: name })
          )
        return yield* one!.replica.request
      })
    )

    // A device that was not updated hears why it does not go on; devices that are keep what is pending.
    yield* running(v2, (world, clients) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(world.authority.sync(clients[0]!.principal, old))
        expect(error).toBeInstanceOf(Protocol.SchemaMismatch)
        for (const { replica } of clients) expect(yield* replica.pendingCount).toBe(1)
        yield* converge(world, clients, "second version")
        expect(yield* notesOf(world)).toEqual([
          "kept A KEPT",
          "moved B MOVED",
          "offline u1 B u1",
          "offline u2 B u2",
          "offline u3 A u3",
          "welcome A HELLO"
        ])
        yield* clients[0]!.replica.execute(add[2]({ id: "new", list: "B", text: "new" }))
        yield* converge(world, clients, "writes of the second version")
      })
    )

    // The older version refuses what it does not know, and leaves it alone.
    const refused = yield* Effect.flip(running(v1, () => Effect.void))
    expect(refused).toBeInstanceOf(DatabaseTooNew)
    yield* running(v2, (world, clients) => converge(world, clients, "second version again"))

    // Without a migration both directions work.
    for (const [app, hint] of [
      [v3, "other audiences"],
      [v2, "and back"]
    ] as const)
      yield* running(app, (world, clients) =>
        Effect.gen(function* () {
          yield* clients[1]!.replica.execute(add[2]({ id: hint, list: "B", text: "x" }))
          yield* world.server.unsafe(`INSERT INTO tags VALUES ('kept', '${hint}', 'A')`)
          yield* converge(world, clients, hint)
        })
      )
  })

  it("I1, I4: finds all rows where it looks for them, and what was pending", () =>
    Effect.runPromise(scenario))

  it.runIf(kind === "postgres")(
    "ends what a server of the version before does, also what waits already",
    () =>
      Effect.gen(function* () {
        const old = yield* makeWorld(v1, stored())
        const client = yield* old.client("u1")
        yield* client.sync
        yield* client.replica.execute(addDraft({ id: "pending" }))
        const request = yield* client.replica.request
        /** Of the newer server, and then of the older one behind it. */
        const waiting = (count: number) =>
          scalar(
            old.server,
            `SELECT count(*)::integer FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
          ).pipe(Effect.repeat({ until: (n) => n === count, schedule: Schedule.spaced("10 millis") }))
        const writer = yield* old.server.reserve
        // Whoever writes holds the realm until the end of the transaction.
        yield* writer.executeUnprepared("BEGIN; INSERT INTO members VALUES ('A', 'u1')", [], undefined)
        const newer = yield* Effect.forkScoped(makeWorld(v2, stored()))
        yield* waiting(1)
        const refused = yield* Effect.forkScoped(Effect.flip(old.authority.sync(client.principal, request)))
        yield* waiting(2)
        yield* writer.executeUnprepared("COMMIT", [], undefined)
        yield* Fiber.join(newer)
        for (const error of [yield* Fiber.join(refused), yield* Effect.flip(old.authority.health)]) {
          expect(error).toBeInstanceOf(Protocol.Unavailable)
          expect(error.message).toContain("another version of the application")
        }
        expect(yield* scalar(old.server, "SELECT count(*)::integer FROM synchrotron.dead_letters")).toBe(0)
      }).pipe(Effect.scoped, Effect.runPromise)
  )
})

/** The application that is measured: rows of `{id, title, n, done}`, incremented by read-modify-write or put. */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

export const title = "A title of about seventy characters, which is what a row of a list holds."

const schema = `CREATE TABLE items (id text PRIMARY KEY, title text NOT NULL, n integer NOT NULL, done boolean NOT NULL DEFAULT false)`

export const selectSql = "SELECT n FROM items WHERE id = $1"
export const updateSql = "UPDATE items SET n = $1 WHERE id = $2"
export const insertSql = "INSERT INTO items (id, title, n) VALUES ($1, $2, $3)"

export const inc = Action.make("item.inc", {
  args: Schema.Struct({ id: Schema.String }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const [row] = yield* sql.unsafe<{ n: number }>(selectSql, [args.id])
      yield* sql.unsafe(updateSql, [row!.n + 1, args.id])
    })
})

export const put = Action.make("item.put", {
  args: Schema.Struct({ id: Schema.String, n: Schema.Int }),
  run: ({ args, sql }) => Effect.asVoid(sql.unsafe(insertSql, [args.id, title, args.n]))
})

/** As many inserts as `count` in one action. */
export const putMany = Action.make("item.putMany", {
  args: Schema.Struct({ prefix: Schema.String, count: Schema.Int }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      for (let i = 0; i < args.count; i++) yield* sql.unsafe(insertSql, [`${args.prefix}-${i}`, title, 1])
    })
})

/** Base rows in one action, so that a world is quick to prepare. */
export const fill = Action.make("item.fill", {
  args: Schema.Struct({ prefix: Schema.String, count: Schema.Int }),
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql.unsafe(
        "INSERT INTO items (id, title, n) SELECT $1 || i, $2, 0 FROM generate_series(0, $3::integer - 1) AS i",
        [args.prefix, title, args.count]
      )
    )
})

export const app = SyncApp.make({
  name: "bench",
  migrations: [
    {
      id: "001",
      sql: schema,
      serverSql: `
        ALTER TABLE items ENABLE ROW LEVEL SECURITY;
        CREATE POLICY everyone ON items USING ((SELECT synchrotron.user_id()) IS NOT NULL);
        GRANT SELECT, INSERT, UPDATE, DELETE ON items TO synchrotron_user;`
    }
  ],
  tables: [SyncTable.make("items", { audience: "'all'" })],
  actions: [inc, put, putMany, fill],
  audiences: "SELECT 'all'"
})

/** The bare table, for floors. */
export const bareSchema = schema

/** Alternates an increment of a base row with a new row: the workload W2. */
export const mixed = (prefix: string, i: number, baseRows: number) =>
  i % 2 === 0 ? inc({ id: `base${(i * 7) % baseRows}` }) : put({ id: `${prefix}${i}`, n: i })

/** The application in the browser: lists of items that everybody sees, and three tables more for the user `wide`. */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

export const tables = ["items", "notes", "tasks", "people"] as const
/** Rows of a table are spread over so many lists. */
export const lists = 100

export const tableSql = (name: string) =>
  `CREATE TABLE ${name} (id text PRIMARY KEY, list integer NOT NULL, title text NOT NULL, n integer NOT NULL DEFAULT 0);
   CREATE INDEX ON ${name} (list);`

export const insertSql = "INSERT INTO items (id, list, title) VALUES ($1, $2, $3)"
export const listSql = "SELECT id, title, n FROM items WHERE list = $1 ORDER BY id DESC"
export const rowSql = "SELECT id, title, n FROM items WHERE id = $1"
export const bumpSql = "UPDATE items SET n = n + 1 WHERE id = $1"
export const fillSql = (table: string) =>
  `INSERT INTO ${table} (id, list, title) SELECT 'row' || i, i % ${lists}, 'A title of about forty characters, ' || i FROM generate_series(0, $1::integer - 1) AS i`

export const put = Action.make("item.put", {
  args: Schema.Struct({ id: Schema.String, list: Schema.Int }),
  run: ({ args, sql }) => Effect.asVoid(sql.unsafe(insertSql, [args.id, args.list, `A new item, ${args.id}`]))
})

export const bump = Action.make("item.bump", {
  args: Schema.Struct({ id: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql.unsafe(bumpSql, [args.id]))
})

export const fill = Action.make("fill", {
  args: Schema.Struct({ table: Schema.Literal(...tables), rows: Schema.Int }),
  run: ({ args, sql }) => Effect.asVoid(sql.unsafe(fillSql(args.table), [args.rows]))
})

const wide = "(SELECT synchrotron.user_id()) = 'wide'"

export const app = SyncApp.make({
  name: "bench-browser",
  migrations: [
    {
      id: "001",
      sql: tables.map(tableSql).join("\n"),
      serverSql: tables
        .map(
          (name) => `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY;
            CREATE POLICY readers ON ${name} USING (${name === "items" ? "true" : wide});
            GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO synchrotron_user;`
        )
        .join("\n")
    }
  ],
  tables: tables.map((name) => SyncTable.make(name, { audience: name === "items" ? "'all'" : "'wide'" })),
  actions: [put, bump, fill],
  audiences: `SELECT 'all' UNION ALL SELECT 'wide' WHERE ${wide}`
})

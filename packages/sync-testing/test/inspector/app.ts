/** A list of things to do, whose authority refuses some and changes others. */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

const Named = Schema.Struct({ id: Schema.String, title: Schema.String })

export const addTodo = Action.make("todo.add", {
  args: Named,
  run: ({ args, sql }) =>
    sql`INSERT INTO todos (id, title) VALUES (${args.id}, ${args.title})`.pipe(Effect.asVoid)
})

export const renameTodo = Action.make("todo.rename", {
  args: Named,
  run: ({ args, sql }) =>
    sql`UPDATE todos SET title = ${args.title}, renamed = renamed + 1 WHERE id = ${args.id}`.pipe(
      Effect.asVoid
    )
})

export const finishTodo = Action.make("todo.finish", {
  args: Schema.Struct({ id: Schema.String }),
  run: ({ args, sql }) => sql`UPDATE todos SET done = true WHERE id = ${args.id}`.pipe(Effect.asVoid)
})

export const app = SyncApp.make({
  name: "todos",
  migrations: [
    {
      id: "001",
      sql: `CREATE TABLE todos (id text PRIMARY KEY, title text NOT NULL, done boolean NOT NULL DEFAULT false,
        renamed integer NOT NULL DEFAULT 0, created_at timestamptz NOT NULL DEFAULT now())`,
      serverSql: `ALTER TABLE todos ENABLE ROW LEVEL SECURITY;
        CREATE POLICY reading ON todos FOR SELECT USING (true);
        CREATE POLICY adding ON todos FOR INSERT WITH CHECK (title <> 'Forbidden');
        CREATE POLICY changing ON todos FOR UPDATE USING (id <> 'locked');
        GRANT SELECT, INSERT, UPDATE ON todos TO synchrotron_user;
        INSERT INTO todos (id, title) VALUES ('locked', 'Only the server changes this')`
    }
  ],
  tables: [SyncTable.make("todos", { audience: "'all'" })],
  actions: [addTodo, renameTodo, finishTodo],
  audiences: "SELECT 'all'"
})

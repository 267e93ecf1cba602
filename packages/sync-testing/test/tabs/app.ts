/** An application of one counter, so that whatever is lost or doubled shows. */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

export class TooMany extends Schema.TaggedError<TooMany>()("TooMany", { most: Schema.Int }) {}

/** Gives the new count, which is another one for each execution. */
export const increment = Action.make("count.increment", {
  args: Schema.Struct({ by: Schema.Int }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      if (args.by > 9) return yield* new TooMany({ most: 9 })
      const [row] = yield* sql<{ n: number }>`
        INSERT INTO counts (id, n) VALUES ('all', ${args.by}) ON CONFLICT (id) DO UPDATE SET n = counts.n + excluded.n RETURNING n`
      return row!.n
    }).pipe(Effect.catchTag("SqlError", Effect.die))
})

/** Overflows the stack of the database, which is dead then. */
export const crash = Action.make("count.crash", {
  args: Schema.Struct({}),
  run: ({ sql }) => Effect.orDie(sql`SELECT endless()`)
})

export const app = SyncApp.make({
  name: "tabs",
  migrations: [
    {
      id: "001",
      sql: "CREATE TABLE counts (id text PRIMARY KEY, n integer NOT NULL)",
      serverSql: `ALTER TABLE counts ENABLE ROW LEVEL SECURITY;
        CREATE POLICY everybody ON counts USING (true);
        GRANT SELECT, INSERT, UPDATE, DELETE ON counts TO synchrotron_user`
    },
    {
      id: "002",
      sql: "CREATE FUNCTION endless() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN endless(); END'"
    }
  ],
  tables: [SyncTable.make("counts", { audience: "'all'" })],
  actions: [increment, crash],
  audiences: "SELECT 'all'"
})

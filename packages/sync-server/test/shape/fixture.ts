/** Notes of teams. Root writes whatever a test wants; others read what their teams have and is not hidden. */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

export const write = Action.make("sql.write", {
  args: Schema.Struct({ statements: Schema.Array(Schema.String) }),
  run: Effect.fn("sql.write")(function* ({ args, sql }) {
    for (const statement of args.statements) yield* sql.unsafe(statement)
  })
})

export const app = SyncApp.make({
  name: "teams",
  migrations: [
    {
      id: "001_teams",
      sql: `
        CREATE DOMAIN amount AS bigint;
        CREATE TABLE members (team text NOT NULL, user_id text NOT NULL, PRIMARY KEY (team, user_id));
        CREATE TABLE notes (
          id text PRIMARY KEY,
          team text NOT NULL,
          text text,
          hidden boolean NOT NULL DEFAULT false,
          n bigint,
          cost amount,
          data jsonb,
          tags text[],
          length integer GENERATED ALWAYS AS (length(text)) STORED
        );`,
      serverSql: `
        CREATE FUNCTION my_teams() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
          AS $$ SELECT team FROM public.members WHERE user_id = synchrotron.user_id() $$;
        ALTER TABLE members ENABLE ROW LEVEL SECURITY;
        ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY root ON members USING ((SELECT synchrotron.user_id()) = 'root');
        CREATE POLICY root ON notes USING ((SELECT synchrotron.user_id()) = 'root');
        CREATE POLICY mine ON members FOR SELECT USING (team IN (SELECT my_teams()));
        CREATE POLICY mine ON notes FOR SELECT USING (team IN (SELECT my_teams()) AND NOT hidden);
        GRANT SELECT, INSERT, UPDATE, DELETE ON members, notes TO synchrotron_user;
        GRANT EXECUTE ON FUNCTION my_teams() TO synchrotron_user;`
    }
  ],
  tables: [
    SyncTable.make("members", { audience: "'team:' || team" }),
    SyncTable.make("notes", { audience: "'team:' || team" })
  ],
  actions: [write],
  audiences: "SELECT 'team:' || t FROM my_teams() AS t"
})

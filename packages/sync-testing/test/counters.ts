/** A small application with rules that crossing actions can break: counters in lists, with members. */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

class Refused extends Schema.TaggedError<Refused>()("Refused", { message: Schema.String }) {}

const Target = Schema.Struct({ id: Schema.String, n: Schema.Int })

export const inc = Action.make("counter.inc", {
  args: Target,
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const [row] = yield* sql<{ n: number }>`SELECT n FROM counters WHERE id = ${args.id}`
      if (row === undefined) return yield* new Refused({ message: `there is no counter ${args.id}` })
      yield* sql`UPDATE counters SET n = ${row.n + args.n} WHERE id = ${args.id}`
      return row.n + args.n
    })
})

export const put = Action.make("counter.put", {
  args: Schema.Struct({ id: Schema.String, n: Schema.Int, list: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`INSERT INTO counters (id, n, list) VALUES (${args.id}, ${args.n}, ${args.list})
      ON CONFLICT (id) DO UPDATE SET n = excluded.n`)
})

export const remove = Action.make("counter.remove", {
  args: Schema.Struct({ id: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql`DELETE FROM counters WHERE id = ${args.id}`)
})

export const copy = Action.make("counter.copy", {
  args: Schema.Struct({ from: Schema.String, to: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`UPDATE counters SET n = (SELECT n FROM counters WHERE id = ${args.from})
      WHERE id = ${args.to} AND EXISTS (SELECT FROM counters WHERE id = ${args.from})`)
})

export const move = Action.make("counter.move", {
  args: Schema.Struct({ id: Schema.String, list: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql`UPDATE counters SET list = ${args.list} WHERE id = ${args.id}`)
})

/** At most 12 in all the counters that the author sees. */
export const limited = Action.make("counter.limited", {
  args: Target,
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const [total] = yield* sql<{ sum: number }>`SELECT coalesce(sum(n), 0)::integer AS sum FROM counters`
      if (total!.sum + args.n > 12)
        return yield* new Refused({ message: `${total!.sum} + ${args.n} is more than 12` })
      yield* sql`INSERT INTO counters (id, n, list) VALUES (${args.id}, ${args.n}, 'A')
        ON CONFLICT (id) DO UPDATE SET n = counters.n + ${args.n}`
    })
})

export const join = Action.make("member.join", {
  args: Schema.Struct({ list: Schema.String, user: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql`INSERT INTO members (list, user_id) VALUES (${args.list}, ${args.user}) ON CONFLICT DO NOTHING`
    )
})

export const leave = Action.make("member.leave", {
  args: Schema.Struct({ list: Schema.String, user: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`DELETE FROM members WHERE list = ${args.list} AND user_id = ${args.user}`)
})

/** Takes a seat of which there is one per list, also of lists that the author does not see. */
export const claimSeat = Action.make("seat.claim", {
  args: Schema.Struct({ list: Schema.String, user: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`INSERT INTO seats (list, user_id) VALUES (${args.list}, ${args.user})`)
})

/** Times and ids out of SQL and out of the context. */
export const note = Action.make("note.add", {
  args: Schema.Struct({ text: Schema.String, list: Schema.String }),
  run: ({ args, sql, ctx }) =>
    Effect.asVoid(
      sql`INSERT INTO notes (id, text, list, weight) VALUES (${ctx.uuid("note")}, ${args.text}, ${args.list}, random()), (DEFAULT, ${args.text}, ${args.list}, ${ctx.random()})`
    )
})

export const countersApp = SyncApp.make({
  name: "counters",
  migrations: [
    {
      id: "001",
      sql: `
        CREATE TABLE members (list text NOT NULL, user_id text NOT NULL, PRIMARY KEY (list, user_id));
        CREATE TABLE counters (id text PRIMARY KEY, n integer NOT NULL, list text NOT NULL);
        CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), text text NOT NULL, list text NOT NULL,
          weight double precision NOT NULL, at timestamptz NOT NULL DEFAULT now());
        CREATE TABLE seats (list text PRIMARY KEY, user_id text NOT NULL);
      `,
      serverSql: `
        CREATE FUNCTION my_lists() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
          SELECT list FROM members WHERE user_id = synchrotron.user_id()
        $$;
        ALTER TABLE members ENABLE ROW LEVEL SECURITY;
        ALTER TABLE counters ENABLE ROW LEVEL SECURITY;
        ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY lists ON members USING (list IN (SELECT my_lists())) WITH CHECK (true);
        CREATE POLICY lists ON counters USING (list IN (SELECT my_lists()));
        ALTER TABLE seats ENABLE ROW LEVEL SECURITY;
        CREATE POLICY lists ON seats USING (list IN (SELECT my_lists())) WITH CHECK (true);
        CREATE POLICY lists ON notes USING (list IN (SELECT my_lists()));
        GRANT SELECT, INSERT, UPDATE, DELETE ON members, counters, notes, seats TO synchrotron_user;
      `
    }
  ],
  tables: [
    SyncTable.make("members", { audience: "'list:' || list" }),
    SyncTable.make("counters", { audience: "'list:' || list" }),
    SyncTable.make("notes", { audience: "'list:' || list" }),
    SyncTable.make("seats", { audience: "'list:' || list" })
  ],
  actions: [inc, put, remove, copy, move, limited, join, leave, claimSeat, note],
  audiences: "SELECT 'list:' || list FROM my_lists() AS list"
})

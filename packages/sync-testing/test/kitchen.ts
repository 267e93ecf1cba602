/** An application that uses what is awkward to sync: types, keys, foreign keys, triggers, uniqueness, narrow security. */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  message: Schema.String,
  missing: Schema.Int
}) {}

const Target = Schema.Struct({ id: Schema.String, n: Schema.Int })
const Id = Schema.Struct({ id: Schema.String })

/** Reads, then writes what it has read plus `n`: a lost update wherever replay is not exact. */
export const inc = Action.make("counter.inc", {
  args: Target,
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const [row] = yield* sql<{ n: number }>`SELECT n FROM counters WHERE id = ${args.id}`
      yield* row === undefined
        ? sql`INSERT INTO counters (id, n) VALUES (${args.id}, ${args.n})`
        : sql`UPDATE counters SET n = ${row.n + args.n} WHERE id = ${args.id}`
    })
})

export const set = Action.make("counter.set", {
  args: Target,
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql`INSERT INTO counters (id, n) VALUES (${args.id}, ${args.n}) ON CONFLICT (id) DO UPDATE SET n = excluded.n`
    )
})

export const copy = Action.make("counter.copy", {
  args: Schema.Struct({ from: Schema.String, to: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql`INSERT INTO counters (id, n) SELECT ${args.to}, n FROM counters WHERE id = ${args.from}
        ON CONFLICT (id) DO UPDATE SET n = excluded.n`
    )
})

/** Has no effect when there is no such counter. */
export const clear = Action.make("counter.clear", {
  args: Id,
  run: ({ args, sql }) => Effect.asVoid(sql`UPDATE counters SET n = 0 WHERE id = ${args.id}`)
})

export const deposit = Action.make("wallet.deposit", {
  args: Target,
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql`INSERT INTO wallets (id, balance) VALUES (${args.id}, ${args.n}) ON CONFLICT (id) DO UPDATE SET balance = wallets.balance + ${args.n}`
    )
})

/** Fails by its own rule when there is too little. */
export const withdraw = Action.make("wallet.withdraw", {
  args: Target,
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const [row] = yield* sql<{ balance: number }>`SELECT balance FROM wallets WHERE id = ${args.id}`
      const balance = row?.balance ?? 0
      if (balance < args.n)
        return yield* new Refused({ message: "insufficient funds", missing: args.n - balance })
      yield* sql`UPDATE wallets SET balance = ${balance - args.n} WHERE id = ${args.id}`
    })
})

/** Leaves the rule to a CHECK constraint. */
export const overdraw = Action.make("wallet.overdraw", {
  args: Target,
  run: ({ args, sql }) =>
    Effect.asVoid(sql`UPDATE wallets SET balance = balance - ${args.n} WHERE id = ${args.id}`)
})

export const claim = Action.make("name.claim", {
  args: Schema.Struct({ id: Schema.String, name: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql`INSERT INTO names (id, name) VALUES (${args.id}, ${args.name})`)
})

export const release = Action.make("name.release", {
  args: Id,
  run: ({ args, sql }) => Effect.asVoid(sql`DELETE FROM names WHERE id = ${args.id}`)
})

export const swap = Action.make("name.swap", {
  args: Schema.Struct({ a: Schema.String, b: Schema.String }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const rows = yield* sql<{ id: string; name: string }>`
        SELECT id, name FROM names WHERE id IN (${args.a}, ${args.b}) ORDER BY id`
      yield* sql`DELETE FROM names WHERE id IN (${args.a}, ${args.b})`
      for (const [i, row] of rows.entries())
        yield* sql`INSERT INTO names (id, name) VALUES (${row.id}, ${rows[rows.length - 1 - i]!.name})`
    })
})

export const addParent = Action.make("parent.add", {
  args: Id,
  run: ({ args, sql }) =>
    Effect.asVoid(sql`INSERT INTO parents (id, title) VALUES (${args.id}, ${`title of ${args.id}`})`)
})

export const addChild = Action.make("child.add", {
  args: Schema.Struct({ id: Schema.String, parent: Schema.String }),
  run: ({ args, sql }) =>
    Effect.zipRight(
      sql`INSERT INTO children (id, parent, title) VALUES (${args.id}, ${args.parent}, 'child')`,
      sql`INSERT INTO toys (id, child) VALUES (${args.id}, ${args.id})`
    )
})

/** Children first, as NO ACTION demands; their toys go by cascade. */
export const removeParent = Action.make("parent.remove", {
  args: Id,
  run: ({ args, sql }) =>
    Effect.zipRight(
      sql`DELETE FROM children WHERE parent = ${args.id}`,
      sql`DELETE FROM parents WHERE id = ${args.id}`
    )
})

/** What JSON cannot hold travels as text. */
const Thing = Schema.Struct({
  id: Schema.String,
  ints: Schema.NullOr(Schema.Array(Schema.Int)),
  texts: Schema.NullOr(Schema.Array(Schema.NullOr(Schema.String))),
  doc: Schema.NullOr(Schema.String),
  big: Schema.NullOr(Schema.String),
  exact: Schema.NullOr(Schema.String),
  mood: Schema.NullOr(Schema.String)
})

export const putThing = Action.make("thing.put", {
  args: Thing,
  run: ({ args, sql }) =>
    Effect.asVoid(sql`INSERT INTO things (id, ints, texts, doc, big, exact, mood, bytes, span, real)
      VALUES (${args.id}, (SELECT array_agg(x::int) FROM json_array_elements_text(${JSON.stringify(args.ints ?? [])}::json) AS x),
        CASE WHEN ${args.texts === null} THEN NULL ELSE (SELECT coalesce(array_agg(x), '{}') FROM json_array_elements_text(${JSON.stringify(args.texts)}::json) AS x) END,
        ${args.doc}::jsonb, ${args.big}::bigint, ${args.exact}::numeric, ${args.mood}::mood, decode('00ff5c27', 'hex'), '1 mon -2 days 03:04:05.6', 0.1::real)
      ON CONFLICT (id) DO UPDATE SET ints = excluded.ints, texts = excluded.texts, doc = excluded.doc, big = excluded.big, exact = excluded.exact, mood = excluded.mood`)
})

export const order = Action.make("order.put", {
  args: Schema.Struct({ tenant: Schema.String, no: Schema.Int, qty: Schema.Int, price: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`INSERT INTO shop.orders (tenant, no, qty, price) VALUES (${args.tenant}, ${args.no}, ${args.qty}, ${args.price}::numeric)
      ON CONFLICT (tenant, no) DO UPDATE SET qty = shop.orders.qty + excluded.qty`)
})

/** Gives an order another key. */
export const renumber = Action.make("order.renumber", {
  args: Schema.Struct({ tenant: Schema.String, from: Schema.Int, to: Schema.Int }),
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql`UPDATE shop.orders SET no = ${args.to} WHERE tenant = ${args.tenant} AND no = ${args.from}`
    )
})

export const writeDoc = Action.make("doc.write", {
  args: Schema.Struct({ id: Schema.String, body: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql`INSERT INTO docs (id, owner, body) VALUES (${args.id}, synchrotron.user_id(), ${args.body})`
    )
})

/** Anybody may try; on the server only the owner's rows are there to be updated. */
export const editDoc = Action.make("doc.edit", {
  args: Schema.Struct({ id: Schema.String, body: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql`UPDATE docs SET body = ${args.body} WHERE id = ${args.id}`)
})

/** Writes a row in another's name, which the policy refuses. */
export const forgeDoc = Action.make("doc.forge", {
  args: Schema.Struct({ id: Schema.String, owner: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`INSERT INTO docs (id, owner, body) VALUES (${args.id}, ${args.owner}, 'forged')`)
})

/** Two rows in one record: one that everybody sees, and one that only its owner sees. */
export const writeSecret = Action.make("secret.write", {
  args: Schema.Struct({ id: Schema.String, body: Schema.String }),
  run: ({ args, sql }) =>
    Effect.zipRight(
      sql`INSERT INTO secrets (id, owner, body) VALUES (${args.id}, synchrotron.user_id(), ${args.body})`,
      sql`INSERT INTO counters (id, n) VALUES (${args.id}, 1)`
    )
})

export const crash = Action.make("crash", {
  args: Schema.Struct({ id: Schema.String, when: Schema.Literal("server", "never") }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const [side] = yield* sql<{
        server: boolean
      }>`SELECT to_regclass('synchrotron.realm') IS NOT NULL AS server`
      if (side!.server && args.when === "server") throw new Error("boom")
      yield* sql`INSERT INTO counters (id, n) VALUES (${args.id}, 1)`
    })
})

/** Only in the newer application; the older one does not know it. */
export const novelty = Action.make("novelty", {
  args: Target,
  run: ({ args, sql }) =>
    Effect.asVoid(sql`INSERT INTO counters (id, n) VALUES (${args.id}, ${args.n}) ON CONFLICT DO NOTHING`)
})

const everyone = [
  "counters",
  "wallets",
  "names",
  "parents",
  "children",
  "toys",
  "things",
  "audit",
  "shop.orders"
]

const options = {
  name: "kitchen",
  migrations: [
    {
      id: "001",
      sql: `
        CREATE SCHEMA shop;
        CREATE TYPE mood AS ENUM ('calm', 'not "calm"');
        CREATE TABLE counters (id text PRIMARY KEY, n integer NOT NULL);
        CREATE TABLE wallets (id text PRIMARY KEY, balance integer NOT NULL CHECK (balance >= 0));
        CREATE TABLE names (id text PRIMARY KEY, name text NOT NULL UNIQUE);
        CREATE TABLE parents (id text PRIMARY KEY, title text NOT NULL);
        CREATE TABLE children (id text PRIMARY KEY, parent text NOT NULL REFERENCES parents, title text NOT NULL);
        CREATE TABLE toys (id text PRIMARY KEY, child text NOT NULL REFERENCES children ON DELETE CASCADE);
        CREATE TABLE things (id text PRIMARY KEY, ints integer[], texts text[], doc jsonb, big bigint, exact numeric, mood mood,
          bytes bytea, span interval, real real, half bigint GENERATED ALWAYS AS (big / 2) STORED,
          made timestamptz NOT NULL DEFAULT clock_timestamp(), token uuid NOT NULL DEFAULT gen_random_uuid());
        CREATE TABLE shop.orders (tenant text NOT NULL, no integer NOT NULL, qty integer NOT NULL, price numeric(12, 2) NOT NULL,
          total numeric GENERATED ALWAYS AS (qty * price) STORED, PRIMARY KEY (tenant, no));
        CREATE TABLE audit (id text PRIMARY KEY, times integer NOT NULL);
        CREATE TABLE docs (id text PRIMARY KEY, owner text NOT NULL, body text NOT NULL);
        CREATE TABLE secrets (id text PRIMARY KEY, owner text NOT NULL, body text NOT NULL);
        CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO audit (id, times) VALUES (NEW.id, 1) ON CONFLICT (id) DO UPDATE SET times = audit.times + 1;
          RETURN NULL;
        END $$;
        CREATE TRIGGER audit AFTER INSERT ON names FOR EACH ROW EXECUTE FUNCTION audit();
      `,
      serverSql: `
        ${everyone.map((t) => `ALTER TABLE ${t} ENABLE ROW LEVEL SECURITY; CREATE POLICY everyone ON ${t} USING (true);`).join("\n")}
        ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
        CREATE POLICY read ON docs FOR SELECT USING (true);
        CREATE POLICY add ON docs FOR INSERT WITH CHECK (owner = synchrotron.user_id());
        CREATE POLICY edit ON docs FOR UPDATE USING (owner = synchrotron.user_id());
        ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON secrets USING (owner = synchrotron.user_id());
        GRANT USAGE ON SCHEMA shop TO synchrotron_user;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, shop TO synchrotron_user;
      `
    }
  ],
  tables: [...everyone, "docs", "secrets"].map((name) => SyncTable.make(name, { audience: "'all'" })),
  actions: [
    inc,
    set,
    copy,
    clear,
    deposit,
    withdraw,
    overdraw,
    claim,
    release,
    swap,
    addParent,
    addChild,
    removeParent,
    putThing,
    order,
    renumber,
    writeDoc,
    editDoc,
    forgeDoc,
    writeSecret,
    crash
  ],
  audiences: "SELECT 'all'"
}

export const kitchenApp = SyncApp.make(options)

/** The same schema with one action more. */
export const newerKitchenApp = SyncApp.make({ ...options, actions: [...options.actions, novelty] })

/**
 * A bank: people transfer money between a few accounts that all of them see, and the sum of the money stays what it was.
 *
 * Money moves by actions alone. What the bank's own people write on the server (names, freezes, new accounts, news) never
 * touches a balance, because a write without code is replayed as the value that it left. Row-level security lets only an
 * account's owner and tellers rename, freeze and debit it; any account may be credited, so that a transfer never loses
 * its second half to a policy.
 */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import type { Random } from "../Random.ts"
import { defineScenario, type Query } from "../Scenario.ts"

export class NoAccount extends Schema.TaggedError<NoAccount>()("NoAccount", { account: Schema.String }) {
  override get message() {
    return `There is no account ${this.account}.`
  }
}

export class AccountFrozen extends Schema.TaggedError<AccountFrozen>()("AccountFrozen", {
  account: Schema.String
}) {
  override get message() {
    return `The account ${this.account} is frozen.`
  }
}

export class InsufficientFunds extends Schema.TaggedError<InsufficientFunds>()("InsufficientFunds", {
  account: Schema.String,
  missing: Schema.Int
}) {
  override get message() {
    return `The account ${this.account} lacks ${this.missing}.`
  }
}

/** The account is another's, or holds money: only what the author may do, and only an empty account closes. */
export class NotAllowed extends Schema.TaggedError<NotAllowed>()("NotAllowed", { message: Schema.String }) {}

type Sql = Action.ActionInput<unknown>["sql"]

const Amount = Schema.Int.pipe(Schema.positive())
const Name = Schema.NonEmptyTrimmedString.pipe(Schema.maxLength(40))

interface Account {
  readonly id: string
  readonly frozen: boolean
  readonly amount: number
}

const findAccount = (sql: Sql, account: string) =>
  Effect.gen(function* () {
    const [row] = yield* sql<Account>`
      SELECT a.id, a.frozen, b.amount FROM accounts AS a JOIN balances AS b ON b.account = a.id WHERE a.id = ${account}::uuid`
    return row ?? (yield* new NoAccount({ account }))
  })

/** Changes a balance to what was read plus `delta`: a lost update wherever a replay is not exact. */
const setAmount = (sql: Sql, account: Account, delta: number) =>
  Effect.gen(function* () {
    const changed = yield* sql`
      UPDATE balances SET amount = ${account.amount + delta} WHERE account = ${account.id}::uuid RETURNING account`
    if (changed.length !== 1) return yield* new NoAccount({ account: account.id })
  })

const move = (
  sql: Sql,
  { from, to, amount, reverses }: { from: string; to: string; amount: number; reverses: string | null }
) =>
  Effect.gen(function* () {
    if (from === to) return yield* new NotAllowed({ message: "A transfer needs two accounts." })
    const source = yield* findAccount(sql, from)
    const target = yield* findAccount(sql, to)
    if (source.frozen) return yield* new AccountFrozen({ account: from })
    if (source.amount < amount)
      return yield* new InsufficientFunds({ account: from, missing: amount - source.amount })
    yield* sql`INSERT INTO transfers (source, target, amount, by_user, reverses)
      VALUES (${from}::uuid, ${to}::uuid, ${amount}, synchrotron.user_id(), ${reverses}::uuid)`
    yield* setAmount(sql, source, -amount)
    yield* setAmount(sql, target, amount)
    return source.amount - amount
  })

/** Moves money; whose account may be debited is left to the policy of `transfers`. */
export const transfer = Action.make("transfer.make", {
  args: Schema.Struct({ from: Schema.UUID, to: Schema.UUID, amount: Amount }),
  run: ({ args, sql }) => move(sql, { ...args, reverses: null })
})

/** Moves the money of a transfer back, once: that there is one reversal at most is left to a UNIQUE constraint. */
export const reverse = Action.make("transfer.reverse", {
  args: Schema.Struct({ transfer: Schema.UUID }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const [made] = yield* sql<{ source: string; target: string; amount: number; reverses: string | null }>`
        SELECT source, target, amount, reverses FROM transfers WHERE id = ${args.transfer}::uuid`
      if (made === undefined || made.reverses !== null)
        return yield* new NotAllowed({ message: "There is no such transfer." })
      return yield* move(sql, {
        from: made.target,
        to: made.source,
        amount: made.amount,
        reverses: args.transfer
      })
    })
})

/** Puts the money of all the author's accounts that are not frozen into one of them. */
export const sweep = Action.make("account.sweep", {
  args: Schema.Struct({ into: Schema.UUID }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const sources = yield* sql<{ id: string; amount: number }>`
        SELECT a.id, b.amount FROM accounts AS a JOIN balances AS b ON b.account = a.id
        WHERE a.owner = ${ctx.principal.userId} AND NOT a.frozen AND b.amount > 0 AND a.id <> ${args.into}::uuid
        ORDER BY a.id`
      for (const { id, amount } of sources)
        yield* move(sql, { from: id, to: args.into, amount, reverses: null })
      return sources.length
    })
})

/** Opens an empty account of the author's. A name that is taken is refused by a UNIQUE constraint. */
export const open = Action.make("account.open", {
  args: Schema.Struct({ name: Name }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const id = ctx.uuid("account")
      yield* sql`INSERT INTO accounts (id, name, owner) VALUES (${id}::uuid, ${args.name}, ${ctx.principal.userId})`
      yield* sql`INSERT INTO balances (account) VALUES (${id}::uuid)`
      return id
    })
})

/** Closes an empty account; one that has ever seen a transfer is kept by the foreign keys of `transfers`. */
export const close = Action.make("account.close", {
  args: Schema.Struct({ account: Schema.UUID }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const account = yield* findAccount(sql, args.account)
      if (account.amount > 0) return yield* new NotAllowed({ message: "There is money on the account." })
      const closed = yield* sql`DELETE FROM accounts WHERE id = ${args.account}::uuid RETURNING id`
      if (closed.length === 0) return yield* new NotAllowed({ message: "The account is another's." })
    })
})

/** Where row-level security hides the account from the update, nothing happens, and the outcome is `changed`. */
export const rename = Action.make("account.rename", {
  args: Schema.Struct({ account: Schema.UUID, name: Name }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`UPDATE accounts SET name = ${args.name} WHERE id = ${args.account}::uuid`)
})

/** Fails where row-level security hides the account from the update. */
export const freeze = Action.make("account.freeze", {
  args: Schema.Struct({ account: Schema.UUID, frozen: Schema.Boolean }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const changed =
        yield* sql`UPDATE accounts SET frozen = ${args.frozen} WHERE id = ${args.account}::uuid RETURNING id`
      if (changed.length === 0) return yield* new NotAllowed({ message: "The account is another's." })
    })
})

/** Writes down what came, what went and what is there now. */
export const issueStatement = Action.make("statement.issue", {
  args: Schema.Struct({ account: Schema.UUID }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      yield* findAccount(sql, args.account)
      yield* sql`
        INSERT INTO statements (account, no, initial, incoming, outgoing, amount)
        SELECT a.id, (SELECT count(*) + 1 FROM statements WHERE account = a.id), a.initial,
          (SELECT coalesce(sum(amount), 0) FROM transfers WHERE target = a.id),
          (SELECT coalesce(sum(amount), 0) FROM transfers WHERE source = a.id), b.amount
        FROM accounts AS a JOIN balances AS b ON b.account = a.id WHERE a.id = ${args.account}::uuid`
    })
})

const tables = `
CREATE TABLE tellers (user_id text PRIMARY KEY);
CREATE TABLE accounts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  owner text NOT NULL,
  initial integer NOT NULL DEFAULT 0 CHECK (initial >= 0),
  frozen boolean NOT NULL DEFAULT false,
  opened_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE balances (
  account uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
  amount integer NOT NULL DEFAULT 0 CHECK (amount >= 0)
);
CREATE TABLE transfers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  source uuid NOT NULL REFERENCES accounts,
  target uuid NOT NULL REFERENCES accounts,
  amount integer NOT NULL CHECK (amount > 0),
  by_user text NOT NULL,
  reverses uuid UNIQUE REFERENCES transfers,
  made_at timestamptz NOT NULL DEFAULT now(),
  CHECK (source <> target)
);
CREATE INDEX ON transfers (source);
CREATE INDEX ON transfers (target);
CREATE TABLE statements (
  account uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
  no integer NOT NULL,
  initial integer NOT NULL,
  incoming integer NOT NULL,
  outgoing integer NOT NULL,
  amount integer NOT NULL,
  issued_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (account, no)
);
CREATE TABLE news (id text PRIMARY KEY, body text NOT NULL, posted_at timestamptz NOT NULL DEFAULT now());
`

const names = ["tellers", "accounts", "balances", "transfers", "statements", "news"]

const security = `
CREATE FUNCTION is_teller() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM public.tellers WHERE user_id = synchrotron.user_id())
$$;
CREATE FUNCTION my_accounts() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT id FROM public.accounts WHERE owner = synchrotron.user_id() OR public.is_teller()
$$;
${names.map((name) => `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY; CREATE POLICY see ON ${name} FOR SELECT USING ((SELECT synchrotron.user_id()) IS NOT NULL);`).join("\n")}
CREATE POLICY add ON accounts FOR INSERT WITH CHECK (owner = (SELECT synchrotron.user_id()) AND initial = 0);
CREATE POLICY edit ON accounts FOR UPDATE USING (owner = (SELECT synchrotron.user_id()) OR (SELECT is_teller()));
CREATE POLICY remove ON accounts FOR DELETE USING (owner = (SELECT synchrotron.user_id()) OR (SELECT is_teller()));
CREATE POLICY add ON balances FOR INSERT WITH CHECK (amount = 0);
CREATE POLICY edit ON balances FOR UPDATE USING (true);
CREATE POLICY add ON transfers FOR INSERT
  WITH CHECK (by_user = (SELECT synchrotron.user_id()) AND source IN (SELECT my_accounts()));
CREATE POLICY add ON statements FOR INSERT WITH CHECK (account IN (SELECT my_accounts()));
GRANT SELECT ON ${names.join(", ")} TO synchrotron_user;
GRANT INSERT, UPDATE, DELETE ON accounts TO synchrotron_user;
GRANT INSERT, UPDATE ON balances TO synchrotron_user;
GRANT INSERT ON transfers, statements TO synchrotron_user;
`

export const app = SyncApp.make({
  name: "bank",
  migrations: [{ id: "001_bank", sql: tables, serverSql: security }],
  tables: names.map((name) => SyncTable.make(name, { audience: "'bank'" })),
  actions: [transfer, reverse, sweep, open, close, rename, freeze, issueStatement],
  audiences: "SELECT 'bank'"
})

const users = ["ada", "ben", "cleo"]
const seeded = users.flatMap((owner, i) =>
  ["wallet", "savings"].map((kind, j) => ({
    id: `00000000-0000-4000-8000-0000000000${i}${j}`,
    name: `${kind} of ${owner}`,
    owner,
    initial: j === 0 ? 100 : 50
  }))
)
const total = seeded.reduce((sum, account) => sum + account.initial, 0)

const seed = `
INSERT INTO tellers (user_id) VALUES ('cleo');
INSERT INTO accounts (id, name, owner, initial) VALUES ${seeded.map((a) => `('${a.id}', '${a.name}', '${a.owner}', ${a.initial})`).join(", ")};
INSERT INTO balances (account, amount) SELECT id, initial FROM accounts;
INSERT INTO news (id, body) VALUES ('opening', 'We are open.');
`

/** So few that names are often taken. */
const accountNames = ["holidays", "rent", "tax", "car", "gifts", "bike", "garden", "books"]
const accountsMax = 12

const accountsOf = (query: Query) =>
  query<{ id: string; owner: string; frozen: boolean; amount: number; used: boolean }>(
    `SELECT a.id, a.owner, a.frozen, b.amount, EXISTS (SELECT FROM transfers AS t WHERE a.id IN (t.source, t.target)) AS used
     FROM accounts AS a JOIN balances AS b ON b.account = a.id ORDER BY a.id`
  )

/** Sometimes more than there is. */
const amountOf = (random: Random, available: number) =>
  random.chance(0.12) ? available + 1 + random.int(40) : 1 + random.int(Math.max(1, Math.ceil(available / 2)))

export default defineScenario({
  app,
  users,
  seed,
  next: async ({ random, client, query }) => {
    const accounts = await accountsOf(query)
    // Nothing has come from the server yet.
    if (accounts.length === 0) return undefined
    // People mostly use what is theirs and works; now and then they try what security or the rules will refuse.
    const mine = accounts.filter((account) => account.owner === client.userId)
    const working = mine.filter((account) => !account.frozen)
    const own = () =>
      random.chance(0.12) || mine.length === 0
        ? random.pick(accounts)
        : random.pick(working.length === 0 || random.chance(0.1) ? mine : working)
    const name = () => random.pick(accountNames)
    const roll = random.int(100)
    if (roll < 58) {
      const funded = working.filter((account) => account.amount > 0)
      const from = funded.length > 0 && random.chance(0.9) ? random.pick(funded) : own()
      const others = accounts.filter((account) => account !== from)
      const to = random.pick(random.chance(0.95) ? others : accounts)
      return transfer({ from: from.id, to: to.id, amount: amountOf(random, from.amount) })
    }
    if (roll < 66) {
      // Two people may reverse one transfer, before they hear of each other.
      const made = await query<{ id: string }>(
        `SELECT id FROM transfers AS t WHERE reverses IS NULL AND NOT EXISTS (SELECT FROM transfers AS r WHERE r.reverses = t.id)
         ORDER BY made_at DESC, id LIMIT 6`
      )
      return made.length === 0 ? undefined : reverse({ transfer: random.pick(made).id })
    }
    if (roll < 70) return sweep({ into: own().id })
    if (roll < 77) return accounts.length < accountsMax ? open({ name: name() }) : undefined
    if (roll < 82) {
      const unused = mine.filter((account) => !account.used && account.amount === 0)
      const known = unused.length > 0 && random.chance(0.9)
      return close({ account: (known ? random.pick(unused) : own()).id })
    }
    if (roll < 88) return rename({ account: random.pick(accounts).id, name: name() })
    if (roll < 94) {
      const frozen = accounts.filter((account) => account.frozen)
      const account = frozen.length > 0 && random.chance(0.7) ? random.pick(frozen) : random.pick(accounts)
      return freeze({ account: account.id, frozen: !account.frozen })
    }
    return issueStatement({ account: own().id })
  },
  external: async ({ random, query }) => {
    const accounts = await accountsOf(query)
    const { id } = random.pick(accounts)
    switch (random.int(5)) {
      case 0:
        return `UPDATE accounts SET name = 'renamed ${random.int(1e6)}' WHERE id = '${id}'`
      case 1:
        return `UPDATE accounts SET frozen = ${random.chance(0.3)} WHERE id = '${id}'`
      case 2:
        return accounts.length < accountsMax
          ? `WITH opened AS (INSERT INTO accounts (id, name, owner) VALUES ('${uuidOf(random)}', 'opened ${random.int(1e6)}', '${random.pick(users)}') RETURNING id)
             INSERT INTO balances (account) SELECT id FROM opened`
          : undefined
      case 3:
        return `INSERT INTO news (id, body) VALUES ('${random.int(5)}', 'News ${random.int(1000)}')
          ON CONFLICT (id) DO UPDATE SET body = excluded.body`
      default:
        return `DELETE FROM news WHERE id = '${random.int(5)}'`
    }
  },
  membership: ({ random }) => {
    const user = random.pick(users)
    return random.chance(0.5)
      ? `INSERT INTO tellers (user_id) VALUES ('${user}') ON CONFLICT DO NOTHING`
      : `DELETE FROM tellers WHERE user_id = '${user}'`
  },
  invariants: [
    {
      name: "the sum of all money stays",
      sql: `SELECT sum(amount) FROM balances HAVING sum(amount) <> ${total}`
    },
    { name: "no balance is negative", sql: "SELECT account, amount FROM balances WHERE amount < 0" },
    {
      name: "a balance is the initial amount and the account's transfers",
      sql: `SELECT a.id, a.initial, b.amount FROM accounts AS a JOIN balances AS b ON b.account = a.id
        WHERE b.amount <> a.initial
          + (SELECT coalesce(sum(t.amount), 0) FROM transfers AS t WHERE t.target = a.id)
          - (SELECT coalesce(sum(t.amount), 0) FROM transfers AS t WHERE t.source = a.id)`
    },
    {
      name: "every account has a balance, and every balance an account",
      sql: `SELECT a.id, b.account FROM accounts AS a FULL JOIN balances AS b ON b.account = a.id
        WHERE a.id IS NULL OR b.account IS NULL`
    },
    {
      name: "every transfer is between accounts that exist",
      sql: `SELECT id FROM transfers WHERE source NOT IN (SELECT id FROM accounts) OR target NOT IN (SELECT id FROM accounts)`
    },
    {
      name: "a reversal is the mirror image of its transfer",
      sql: `SELECT r.id FROM transfers AS r LEFT JOIN transfers AS t ON t.id = r.reverses
        WHERE r.reverses IS NOT NULL
          AND (t.id IS NULL OR (r.source, r.target, r.amount) IS DISTINCT FROM (t.target, t.source, t.amount))`
    },
    {
      name: "a statement adds up",
      sql: "SELECT account, no FROM statements WHERE amount <> initial + incoming - outgoing"
    },
    {
      name: "an account's statements are numbered without gaps",
      sql: "SELECT account FROM statements GROUP BY account HAVING max(no) <> count(*) OR min(no) <> 1"
    }
  ]
})

const uuidOf = (random: Random): string => {
  const digits = (count: number) => Array.from({ length: count }, () => random.int(16).toString(16)).join("")
  return `${digits(8)}-${digits(4)}-4${digits(3)}-8${digits(3)}-${digits(12)}`
}

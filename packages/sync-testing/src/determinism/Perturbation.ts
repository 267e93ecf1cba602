/** What may be different where a record is executed again, and must make no difference. */
import type { Surroundings } from "./Surroundings.ts"

export const perturbationNames = [
  /** Nothing: the record is undone, and executed again. */
  "again",
  /** The clock of the process, and with it that of SQL. */
  "clock",
  /** `Math.random`, and the bytes and UUIDs of `crypto`. */
  "random",
  /** The time zone of the process and of the session, and the order of day and month in its dates. */
  "time-zone",
  /** Where the rows lie on the disk, and with which plans they are found. */
  "order",
  /** Another database with the same rows, where the principals' role has another name. */
  "replica",
  /** A Postgres; only with a connection string for one. */
  "postgres"
] as const

export type PerturbationName = (typeof perturbationNames)[number]

/** One way of executing the record again on the database where it was executed first. */
export interface Trial {
  readonly sql: string
  readonly around: (usual: Surroundings) => Surroundings
}

interface Perturbation {
  /** Ends the sentence "it did something else …". */
  readonly when: string
  /** What to do about it. */
  readonly advice: string
  readonly trials: ReadonlyArray<Trial>
}

const asUsual = (usual: Surroundings) => usual
const inSql = (sql: string): Trial => ({ sql, around: asUsual })
const inProcess = (change: (usual: Surroundings) => Partial<Surroundings>): Trial => ({
  sql: "",
  around: (usual) => ({ ...usual, ...change(usual) })
})

/** More than a year, and no whole number of anything. */
const laterMs = 400 * 86_400_000 + 19_087_913

/** 12:45 ahead of UTC, or 13:45: most moments have another date there. */
const timeZone = "Pacific/Chatham"

/** Puts all rows of the synced tables back in the reverse of the order in which they are found. */
const reversed = `DO $$
DECLARE
  t synchrotron.tables;
  keys text[];
  images jsonb[];
BEGIN
  FOR t IN SELECT * FROM synchrotron.tables LOOP
    EXECUTE t.all_sql INTO keys, images;
    CONTINUE WHEN keys IS NULL;
    PERFORM synchrotron.put_rows(t.name, keys, array_fill(NULL::jsonb, ARRAY[cardinality(keys)]));
    PERFORM synchrotron.put_rows(t.name, array_agg(x.key ORDER BY x.n DESC), array_agg(x.image ORDER BY x.n DESC))
    FROM unnest(keys, images) WITH ORDINALITY AS x(key, image, n);
  END LOOP;
END $$;`

const without = (...plans: ReadonlyArray<string>) =>
  inSql(plans.map((plan) => `SET LOCAL enable_${plan} = off;`).join(""))

export const perturbations: Readonly<Record<PerturbationName, Perturbation>> = {
  again: {
    when: "when it was undone and executed again",
    advice:
      "Something outlives an execution or is drawn anew in each: a variable of the module, a sequence (nextval), random bytes of node:crypto, a qualified pg_catalog.random(). Keep state in tables; take chance from ctx.random() and ctx.uuid(key), in SQL from random() and gen_random_uuid() as they are.",
    trials: [inSql("")]
  },
  clock: {
    when: "with another clock",
    advice:
      "The time is the record's, not that of whoever executes it. Use ctx.now instead of Date.now() and new Date(), and in SQL now() instead of CURRENT_TIMESTAMP, CURRENT_DATE, LOCALTIMESTAMP and the like.",
    trials: [inProcess(({ nowMs }) => ({ nowMs: nowMs + laterMs }))]
  },
  random: {
    when: "with other random numbers",
    advice:
      "Chance has to be the record's. Use ctx.random() instead of Math.random(), and ctx.uuid(key) instead of crypto.randomUUID(). Or draw before, and put what was drawn into the arguments.",
    trials: [inProcess(({ chance }) => ({ chance: `${chance}, another time` }))]
  },
  "time-zone": {
    when: "in another time zone",
    advice:
      "Say which time zone is meant: AT TIME ZONE in SQL, getUTCHours() and the like in code, and the user's zone in the arguments. (The engine's own sessions are all in UTC, so SQL without a zone gives days of UTC, which are rarely the user's.)",
    trials: [
      {
        sql: `SET LOCAL timezone = '${timeZone}';SET LOCAL datestyle = 'ISO, DMY';`,
        around: (usual) => ({ ...usual, timeZone })
      }
    ]
  },
  order: {
    when: "when Postgres found the rows in another order",
    advice:
      "Rows have no order of their own. Give an ORDER BY that leaves no ties (end it with the key) to LIMIT, array_agg, string_agg and DISTINCT ON, and to every SELECT whose rows are gone through one by one.",
    trials: [
      inSql(reversed),
      without("seqscan", "hashagg", "hashjoin", "nestloop"),
      without("indexscan", "indexonlyscan", "bitmapscan", "mergejoin", "sort")
    ]
  },
  replica: {
    when: "on another database with the same rows",
    advice:
      "Something is only of this database: a role's or the database's name (current_user), a number of Postgres' own (ctid, oid, xmin). Use ctx.principal for the user, and what is in the rows or the arguments for the rest.",
    trials: []
  },
  postgres: {
    when: "on Postgres",
    advice:
      'PGlite and your Postgres differ here: in collation (give text that is compared or ordered a COLLATE "C"), in version, or in a setting. Use what both have.',
    trials: []
  }
}

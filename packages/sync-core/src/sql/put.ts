/**
 * Makes rows of a table be exactly what their images say (NULL: absent), whatever triggers and foreign keys would make of
 * it, for images hold their effects. Each synced table has a function for it, with plans that are kept.
 *
 * There are two ways. With `session_replication_role = replica` nothing fires; but to change that setting makes Postgres
 * forget the plans of all statements of the session, which costs more than putting a few rows. So ordinary writes come
 * first where nothing can act on them: foreign keys may then only refuse, and a refusal undoes the attempt and leads
 * to the other way.
 */
import type { TableShape } from "./inspect.ts"
import { literal } from "./text.ts"

/** A condition in triggers of the engine: the write is not one that puts rows. */
export const notPutting = "coalesce(current_setting('synchrotron.putting', true), '') = ''"

/** What the function of a table is made of: expressions of `capture.ts`, which has others of the same kind. */
export interface PutParts {
  readonly shape: TableShape
  /** Of the function, quoted. */
  readonly name: string
  /** Quoted. */
  readonly table: string
  /** Whether the row `t` has the key `x.key`. */
  readonly keyMatches: string
  /** Whether there is a row `t`. */
  readonly present: string
  /** Of the row `t`. */
  readonly image: string
  /** Of the columns that are stored, quoted. */
  readonly columns: ReadonlyArray<string>
  /** Of the key, quoted. */
  readonly keyColumns: ReadonlyArray<string>
  /** Of the image `x.image`, for each of the columns. */
  readonly values: string
}

/**
 * The function of one table: keys and images in, how many rows were different out. Compares all rows with one join, and
 * writes only what differs. Rows are removed before others are added, so that values may swap under a unique constraint.
 * Plans do not follow the size of the table, which may grow from nothing, so they always go by the key's index.
 */
export const putSql = (parts: PutParts): string => {
  const { columns, image, keyColumns, keyMatches, name, present, shape, table, values } = parts
  const others = columns.filter((column) => !keyColumns.includes(column))
  const update =
    others.length === 0
      ? "NOTHING"
      : `UPDATE SET ${others.map((column) => `${column} = excluded.${column}`).join(", ")}`
  // The alias, because a table may be called excluded.
  const insert = `INSERT INTO ${table} AS t (${columns.join(", ")}) SELECT ${values} FROM unnest(put.changed_images) AS x(image) WHERE x.image IS NOT NULL`
  const remove = `DELETE FROM ${table} AS t USING unnest(put.changed_keys, put.changed_images) AS x(key, image) WHERE ${keyMatches}`
  const ordinary = `IF NOT ${actsSql(table)} THEN
    BEGIN
      PERFORM set_config('synchrotron.putting', 'on', true);
      IF put.removes THEN ${remove} AND x.image IS NULL; END IF;
      ${insert} ON CONFLICT (${keyColumns.join(", ")}) DO ${update};
      PERFORM set_config('synchrotron.putting', '', true);
      RETURN cardinality(put.changed_keys);
    EXCEPTION WHEN integrity_constraint_violation THEN NULL;
    END;
  END IF;`
  return `
CREATE FUNCTION ${name}(text[], jsonb[]) RETURNS integer LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $put$
#variable_conflict use_column
<<put>>
DECLARE
  changed_keys text[];
  changed_images jsonb[];
  removes boolean;
BEGIN
  SELECT array_agg(x.key), array_agg(x.image), bool_or(x.image IS NULL) INTO put.changed_keys, put.changed_images, put.removes
  FROM unnest($1, $2) AS x(key, image) LEFT JOIN ${table} AS t ON ${keyMatches}
  WHERE (CASE WHEN ${present} THEN ${image} END) IS DISTINCT FROM x.image;
  IF put.changed_keys IS NULL THEN RETURN 0; END IF;
  ${shape.upserts ? ordinary : ""}
  PERFORM set_config('session_replication_role', 'replica', true);
  ${remove};
  ${insert};
  PERFORM set_config('session_replication_role', 'origin', true);
  RETURN cardinality(put.changed_keys);
END $put$;`
}

/**
 * Whether ordinary writes could do more than they say, or fail after the statement: a trigger or rule of the application,
 * a constraint that is checked late, a foreign key that follows the removal of a row or the change of what it refers to.
 * Asked each time: on a server others may alter the table.
 */
const actsSql = (table: string): string => `(
    EXISTS (
      SELECT FROM pg_trigger AS g WHERE g.tgrelid = ${literal(table)}::regclass AND (
        NOT g.tgisinternal AND g.tgname NOT LIKE '!synchrotron%' OR g.tgdeferrable
        OR put.removes AND g.tgisinternal AND g.tgtype & 8 <> 0
        OR g.tgfoid IN ('"RI_FKey_cascade_upd"'::regproc, '"RI_FKey_setnull_upd"'::regproc, '"RI_FKey_setdefault_upd"'::regproc)))
    OR (SELECT c.relhasrules FROM pg_class AS c WHERE c.oid = ${literal(table)}::regclass))`

/** Leads to the functions of the tables. Runs after those are made. */
export const dispatchSql = `
DO $do$ BEGIN
  EXECUTE (
    SELECT format($f$CREATE OR REPLACE FUNCTION synchrotron.put_rows(tbl text, keys text[], images jsonb[]) RETURNS integer LANGUAGE plpgsql AS $put$
BEGIN
  %s
  RAISE EXCEPTION 'synchrotron: %% is not a synced table', tbl USING ERRCODE = '42P01';
END $put$$f$, string_agg(format('IF tbl = %L THEN RETURN %s(keys, images); END IF;', t.name, t.put), E'\\n  '))
    FROM synchrotron.tables AS t
  );
END $do$;`

/**
 * Puts the rows of a relation (columns tbl, key, image; no key twice), table by table, and gives for each how many were
 * different. Older tables come first, for the others may refer to them.
 */
export const puttingSql = (relation: string): string => `
SELECT o.tbl, synchrotron.put_rows(o.tbl, o.keys, o.images) AS changed FROM (
  SELECT net.tbl, array_agg(net.key) AS keys, array_agg(net.image) AS images FROM (${relation}) AS net
  GROUP BY net.tbl ORDER BY (SELECT t.relations[1] FROM synchrotron.tables AS t WHERE t.name = net.tbl) OFFSET 0
) AS o`

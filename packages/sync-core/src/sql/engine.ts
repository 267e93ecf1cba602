/** The schema `synchrotron` as every replica has it: what is captured, and the set-based ways to put rows back. */

/** Places in the order of patches that one draw of the sequence gives: see `interleaves` in inspect.ts. */
export const patchPlaces = 2 ** 20

export const engineSql = `
CREATE SCHEMA IF NOT EXISTS synchrotron;

CREATE TABLE IF NOT EXISTS synchrotron.migrations (
  id text PRIMARY KEY,
  position integer NOT NULL,
  hash text NOT NULL
);

-- What was installed last, so that an unchanged start does nothing, and for which schema of the application.
CREATE TABLE IF NOT EXISTS synchrotron.installed (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  hash text NOT NULL
);
ALTER TABLE synchrotron.installed ADD COLUMN IF NOT EXISTS schema_hash text;

-- The synced tables, each with its generated statements ($1: keys as text[], $2: images as jsonb[], unless capture.ts says
-- otherwise), and its own and its indexes' oids.
CREATE TABLE IF NOT EXISTS synchrotron.tables (
  name text COLLATE "C" PRIMARY KEY,
  get_sql text NOT NULL,
  read_sql text NOT NULL,
  visible_sql text NOT NULL,
  all_sql text NOT NULL,
  purge_sql text NOT NULL,
  audience_sql text NOT NULL,
  clashes_sql text,
  relations oid[] NOT NULL
);
-- A database of an earlier version lacks these.
ALTER TABLE synchrotron.tables ADD COLUMN IF NOT EXISTS clashes_sql text, ADD COLUMN IF NOT EXISTS rows_sql text,
  ADD COLUMN IF NOT EXISTS key_columns text[], ADD COLUMN IF NOT EXISTS staged text, ADD COLUMN IF NOT EXISTS stage_sql text,
  ADD COLUMN IF NOT EXISTS gone_sql text, ADD COLUMN IF NOT EXISTS drop_sql text, ADD COLUMN IF NOT EXISTS take_sql text,
  ADD COLUMN IF NOT EXISTS put text, ADD COLUMN IF NOT EXISTS absent_sql text,
  ADD COLUMN IF NOT EXISTS present_sql text;

-- What records did, in the order in which they did it: n grows along the order of execution.
CREATE TABLE IF NOT EXISTS synchrotron.patches (
  n bigint GENERATED ALWAYS AS IDENTITY (INCREMENT ${patchPlaces}) PRIMARY KEY,
  record_id uuid NOT NULL,
  tbl text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  before jsonb,
  after jsonb
);
CREATE INDEX IF NOT EXISTS patches_record ON synchrotron.patches (record_id);

-- The user on whose behalf the current record or query runs; policies read it.
CREATE OR REPLACE FUNCTION synchrotron.user_id() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT nullif(current_setting('synchrotron.user_id', true), '')
$$;

-- All rows of a statement are captured; the next one takes places after them.
CREATE OR REPLACE FUNCTION synchrotron.end_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchrotron.place_' || pg_trigger_depth(), '', true);
  RETURN NULL;
END $$;

-- Fails as Postgres does when two rows have what a constraint gives to one.
CREATE OR REPLACE FUNCTION synchrotron.raise_clash(tbl text, name text, state text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% key value violates % constraint "%"', CASE state WHEN '23505' THEN 'duplicate' ELSE 'conflicting' END,
    CASE state WHEN '23505' THEN 'unique' ELSE 'exclusion' END, name
    USING ERRCODE = state, CONSTRAINT = name, SCHEMA = split_part(tbl, '.', 1), TABLE = substr(tbl, strpos(tbl, '.') + 1);
END $$;

-- Fails when rows that a record's patches have put break a late constraint (see inspect.ts), which no trigger has
-- checked. Costs O(rows of the record) in tables that have such constraints, through their indexes. A client checks
-- too: it holds some of the rows of which no two may clash.
CREATE OR REPLACE FUNCTION synchrotron.check_clashes(record uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  touched record;
  name text;
  state text;
BEGIN
  FOR touched IN
    SELECT t.name, t.clashes_sql, array_agg(p.key) AS keys
    FROM synchrotron.patches AS p JOIN synchrotron.tables AS t ON t.name = p.tbl
    WHERE p.record_id = record AND p.after IS NOT NULL AND t.clashes_sql IS NOT NULL
    GROUP BY t.name
  LOOP
    EXECUTE touched.clashes_sql INTO name, state USING touched.keys;
    IF name IS NOT NULL THEN PERFORM synchrotron.raise_clash(touched.name, name, state); END IF;
  END LOOP;
END $$;

-- Does what a record did elsewhere, on the state that is here: an insert puts the row, a delete removes it, an update
-- sets the columns that it changed and leaves a row alone that is not there. Journals what it really changed. What an
-- insert does where another row has its key is the side's to say (key_taken).
CREATE OR REPLACE FUNCTION synchrotron.apply_patches(record uuid, patches jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p record;
  get_sql text;
  present jsonb;
  target jsonb;
BEGIN
  FOR p IN SELECT x.* FROM jsonb_to_recordset(patches) AS x("table" text, key text, before jsonb, after jsonb) LOOP
    SELECT known.get_sql INTO STRICT get_sql FROM synchrotron.tables AS known WHERE known.name = p."table";
    EXECUTE get_sql INTO present USING p.key;
    IF p.after IS NULL OR p.before IS NULL THEN target := p.after;
    ELSIF present IS NULL THEN CONTINUE;
    ELSE
      SELECT present || coalesce(jsonb_object_agg(c.key, c.value), '{}') INTO target
      FROM jsonb_each(p.after) AS c WHERE c.value IS DISTINCT FROM p.before -> c.key;
    END IF;
    CONTINUE WHEN target IS NOT DISTINCT FROM present;
    IF p.before IS NULL AND present IS NOT NULL THEN PERFORM synchrotron.key_taken(p."table"); END IF;
    PERFORM synchrotron.put_rows(p."table", ARRAY[p.key], ARRAY[target]);
    INSERT INTO synchrotron.patches (record_id, tbl, key, before, after)
    VALUES (record, p."table", p.key, present, target);
  END LOOP;
  -- Not before all rows are there: values may have changed places.
  PERFORM synchrotron.check_clashes(record);
  PERFORM synchrotron.check_references(record);
END $$;

-- Removes the rows whose audience is not among those given.
CREATE OR REPLACE FUNCTION synchrotron.purge(audiences text[]) RETURNS TABLE (tbl text, changed integer) LANGUAGE plpgsql AS $$
DECLARE
  t synchrotron.tables;
  keys text[];
BEGIN
  FOR t IN SELECT * FROM synchrotron.tables LOOP
    EXECUTE t.purge_sql INTO keys USING audiences;
    CONTINUE WHEN keys IS NULL;
    tbl := t.name;
    changed := synchrotron.put_rows(t.name, keys, array_fill(NULL::jsonb, ARRAY[cardinality(keys)]));
    RETURN NEXT;
  END LOOP;
END $$;

-- Digest of the net effect of records' patches: equal on two replicas exactly when they left the same rows behind.
CREATE OR REPLACE FUNCTION synchrotron.digests(records uuid[]) RETURNS TABLE (record_id uuid, digest text) LANGUAGE sql STABLE AS $$
  SELECT net.record_id, md5(string_agg(net.tbl || ' ' || net.key || ' ' || coalesce(net.after::text, '-'), E'\\n' ORDER BY net.tbl, net.key))
  FROM (
    SELECT p.record_id, p.tbl, p.key,
      (array_agg(p.before ORDER BY p.n))[1] AS before, (array_agg(p.after ORDER BY p.n DESC))[1] AS after
    FROM synchrotron.patches AS p
    WHERE p.record_id = ANY (records)
    GROUP BY p.record_id, p.tbl, p.key
  ) AS net
  WHERE net.before IS DISTINCT FROM net.after
  GROUP BY net.record_id
$$;
`

/** What only a client's database has: its identity, its records, and the confirmed records that its pending ones cross. */

import { puttingSql } from "./put.ts"

export const clientSql = `
-- seq: the commit of the last response applied. clock: the latest that the authority has named.
CREATE TABLE IF NOT EXISTS synchrotron.replica (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  client_id uuid NOT NULL,
  app text NOT NULL,
  user_id text NOT NULL,
  seq bigint NOT NULL DEFAULT 0,
  clock_ms bigint NOT NULL DEFAULT 0,
  clock_counter integer NOT NULL DEFAULT 0,
  clock_offset_ms bigint NOT NULL DEFAULT 0
);

-- The audiences of which rows are applied; the cursor of each is the commit of the last response.
CREATE TABLE IF NOT EXISTS synchrotron.cursors (
  audience text COLLATE "C" PRIMARY KEY
);
ALTER TABLE synchrotron.cursors DROP COLUMN IF EXISTS seq;

CREATE TABLE IF NOT EXISTS synchrotron.records (
  id uuid PRIMARY KEY,
  hlc text COLLATE "C" NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  args text NOT NULL,
  status text NOT NULL CHECK (status IN ('pending', 'rejected', 'voided')),
  error text,
  patches text
);
CREATE INDEX IF NOT EXISTS records_order ON synchrotron.records (hlc) WHERE status = 'pending';

-- What calls gave whose caller may not have heard it, and asks again: as JSON, in an array that is empty for undefined; NULL
-- when JSON cannot hold it.
CREATE TABLE IF NOT EXISTS synchrotron.answers (
  record_id uuid PRIMARY KEY,
  hlc text COLLATE "C" NOT NULL,
  value text,
  kept_at timestamptz NOT NULL DEFAULT now()
);

-- Canonical patches of the confirmed records that the pending ones cross, in order, as this user sees them.
CREATE TABLE IF NOT EXISTS synchrotron.later_patches (
  n bigint PRIMARY KEY,
  tbl text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  before jsonb,
  after jsonb
);

-- A load: rows that come in chunks and are not shown before all are here. What is known of it is one row.
-- position: where in an audience the last chunk ended, as the protocol has it; NULL when all rows are here.
CREATE TABLE IF NOT EXISTS synchrotron.load (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  position json,
  chunks bigint NOT NULL,
  rows_done bigint NOT NULL,
  rows_total bigint NOT NULL
);
-- The audiences that the user held when a chunk was read, each with how far the load is where it has gone through it.
CREATE TABLE IF NOT EXISTS synchrotron.load_cursors (
  audience text COLLATE "C" PRIMARY KEY,
  seq bigint
);
ALTER TABLE synchrotron.load_cursors ALTER COLUMN seq DROP NOT NULL;
-- Rows that the load says are gone, and in which chunk it did. Those that it has are in the tables that
-- synchrotron.tables names as staged. A row that changes meanwhile comes again; what the last chunk says holds.
CREATE TABLE IF NOT EXISTS synchrotron.staged_gone (
  tbl text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  chunk bigint NOT NULL
);

-- The rows of an answer, given as the protocol has them: for each table its name, images and keys of rows that are gone.
CREATE OR REPLACE FUNCTION synchrotron.rows_of(tables jsonb) RETURNS TABLE (tbl text, key text, image jsonb) LANGUAGE sql STABLE AS $$
  SELECT x.tbl, (SELECT jsonb_agg(r.image ->> c.name ORDER BY c.place)::text FROM unnest(t.key_columns) WITH ORDINALITY AS c(name, place)), r.image
  FROM jsonb_to_recordset(tables) AS x(tbl text, rows jsonb)
  CROSS JOIN jsonb_array_elements(x.rows) AS r(image)
  LEFT JOIN synchrotron.tables AS t ON t.name = x.tbl
  UNION ALL
  SELECT x.tbl, g.key, NULL FROM jsonb_to_recordset(tables) AS x(tbl text, gone jsonb), jsonb_array_elements_text(x.gone) AS g(key)
$$;

-- Keeps the rows of a chunk, given as for rows_of. Costs O(rows), and finds rows that do not fit the table's columns. The
-- staged tables have no index: a sort at the end costs less than one for each row.
CREATE OR REPLACE FUNCTION synchrotron.stage(tables jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  x record;
  t synchrotron.tables;
  this_chunk bigint := coalesce((SELECT load.chunks FROM synchrotron.load), 0);
BEGIN
  FOR x IN SELECT r.* FROM jsonb_to_recordset(tables) AS r(tbl text, rows jsonb, gone jsonb) LOOP
    SELECT * INTO t FROM synchrotron.tables AS known WHERE known.name = x.tbl;
    IF NOT FOUND THEN RAISE EXCEPTION 'synchrotron: % is not a synced table', x.tbl USING ERRCODE = '42P01'; END IF;
    EXECUTE t.stage_sql USING x.rows, this_chunk;
    INSERT INTO synchrotron.staged_gone (tbl, key, chunk) SELECT x.tbl, g.key, this_chunk FROM jsonb_array_elements_text(x.gone) AS g(key);
  END LOOP;
END $$;

-- Makes the rows of the load be what it says, and ends it; the others go when it is about all rows. What goes or changes is
-- removed before anything is added, as in put_rows. Memory does not grow with the load. One sort is enough, and a merge
-- join would sort once more.
DROP FUNCTION IF EXISTS synchrotron.put_load();
CREATE OR REPLACE FUNCTION synchrotron.put_load(of_all boolean) RETURNS TABLE (tbl text, changed bigint)
LANGUAGE plpgsql SET enable_mergejoin = off SET work_mem = '16MB' AS $$
DECLARE
  t synchrotron.tables;
  statement text;
  n bigint;
BEGIN
  PERFORM set_config('session_replication_role', 'replica', true);
  FOR t IN SELECT * FROM synchrotron.tables LOOP
    tbl := t.name;
    changed := 0;
    FOREACH statement IN ARRAY ARRAY[t.gone_sql, CASE WHEN of_all THEN t.absent_sql END, t.drop_sql, t.take_sql] LOOP
      CONTINUE WHEN statement IS NULL;
      EXECUTE statement;
      GET DIAGNOSTICS n = ROW_COUNT;
      changed := changed + n;
    END LOOP;
    RETURN NEXT;
  END LOOP;
  PERFORM set_config('session_replication_role', 'origin', true);
  PERFORM synchrotron.forget_load();
END $$;

-- A file is made for each table that is truncated, so those that have nothing are left alone.
CREATE OR REPLACE FUNCTION synchrotron.forget_load() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  staged text;
  filled boolean;
BEGIN
  DELETE FROM synchrotron.load;
  DELETE FROM synchrotron.load_cursors;
  FOR staged IN SELECT t.staged FROM synchrotron.tables AS t UNION ALL SELECT 'synchrotron.staged_gone' LOOP
    EXECUTE 'SELECT EXISTS (SELECT FROM ' || staged || ')' INTO filled;
    IF filled THEN EXECUTE 'TRUNCATE ' || staged; END IF;
  END LOOP;
END $$;

-- Scans of each synced table and its indexes in this transaction: what was read shows here.
CREATE OR REPLACE FUNCTION synchrotron.scans() RETURNS TABLE (name text, scans bigint) LANGUAGE sql VOLATILE AS $$
  SELECT t.name, (SELECT sum(pg_stat_get_xact_numscans(r.oid)) FROM unnest(t.relations) AS r(oid))::bigint FROM synchrotron.tables AS t
$$;

-- Ends a local record: keeps it, and says which synced tables it wrote and read. One round trip with cached plans.
CREATE OR REPLACE FUNCTION synchrotron.keep_record(
  this_id uuid, this_hlc text, this_name text, this_version integer, this_args text, forget uuid, OUT written text[], OUT used text[]
) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchrotron.record', '', true), set_config('synchrotron.now', '', true);
  INSERT INTO synchrotron.records (id, hlc, name, version, args, status)
  VALUES (this_id, this_hlc, this_name, this_version, this_args, 'pending');
  IF forget IS NOT NULL THEN DELETE FROM synchrotron.records AS r WHERE r.id = forget; END IF;
  written := ARRAY(SELECT DISTINCT p.tbl FROM synchrotron.patches AS p WHERE p.record_id = this_id);
  used := ARRAY(
    SELECT s.name FROM synchrotron.scans() AS s
    LEFT JOIN json_each_text(nullif(current_setting('synchrotron.scans', true), '')::json) AS b(name, scans) ON b.name = s.name
    WHERE s.scans > coalesce(b.scans::bigint, 0)
  );
END $$;

-- The authority's result is final: its row takes the place of one that a pending record has put. And what looks like an
-- insert here may be an update of a row that its user did not see before.
CREATE OR REPLACE FUNCTION synchrotron.key_taken(tbl text) RETURNS void LANGUAGE sql AS $$ $$;

-- A client holds the rows that its user sees, and references may lead out of them.
CREATE OR REPLACE FUNCTION synchrotron.check_references(record uuid) RETURNS void LANGUAGE sql AS $$ $$;

CREATE OR REPLACE FUNCTION synchrotron.outside_record(tbl text) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'synchrotron: % is a synced table, and only actions write to it', tbl
    USING ERRCODE = '25006', HINT = 'Put the write into an action and run it with client.execute.';
END $$;

CREATE OR REPLACE FUNCTION synchrotron.outside_record_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM synchrotron.outside_record(TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME);
  RETURN NULL;
END $$;
`

/**
 * Puts every row where a sync wants it before records are replayed. $1: incoming rows as rows_of takes them, $2: patches
 * of the new later records, in order. For each key the strongest source wins: before the new later records (the new common ancestor),
 * else the incoming row, else after the old later records (the confirmed state), else before the journal (the old
 * common ancestor). Returns tables with the number of rows that changed. Costs O(keys that the four sources name).
 */
export const settleSql = puttingSql(`
  SELECT DISTINCT ON (s.tbl, s.key) s.tbl, s.key, s.image
  FROM (
    SELECT 1 AS strength, x.position AS place, x.tbl, x.key, x.before AS image
    FROM ROWS FROM (jsonb_to_recordset($2::jsonb) AS (tbl text, key text, before jsonb)) WITH ORDINALITY AS x(tbl, key, before, position)
    UNION ALL SELECT 2, 0, x.tbl, x.key, x.image FROM synchrotron.rows_of($1::jsonb) AS x
    UNION ALL SELECT 3, -l.n, l.tbl, l.key, l.after FROM synchrotron.later_patches AS l
    UNION ALL SELECT 4, p.n, p.tbl, p.key, p.before FROM synchrotron.patches AS p
  ) AS s
  ORDER BY s.tbl, s.key, s.strength, s.place`)

/** Removes the rows of audiences that are no longer held. $1: those that are. */
export const purgeSql = `SELECT purged.tbl, purged.changed FROM synchrotron.purge($1::text[]) AS purged`

/** Keeps the canonical patches of the records that are crossed from now on. $1: as for settleSql, with the after image. */
export const keepLaterSql = `
INSERT INTO synchrotron.later_patches (n, tbl, key, before, after)
SELECT x.position, x.tbl, x.key, x.before, x.after
FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (tbl text, key text, before jsonb, after jsonb))
  WITH ORDINALITY AS x(tbl, key, before, after, position)`

/** Moves refused records to the inbox, with the patches that are about to be undone. $1: id, status and error of each. */
export const refuseSql = `
UPDATE synchrotron.records AS r SET status = x.status, error = x.error, patches = coalesce((
  SELECT json_agg(json_build_object('table', p.tbl, 'key', p.key, 'before', p.before, 'after', p.after) ORDER BY p.n)::text
  FROM synchrotron.patches AS p WHERE p.record_id = r.id), '[]')
FROM jsonb_to_recordset($1::jsonb) AS x(id uuid, status text, error text)
WHERE r.id = x.id AND r.status = 'pending'`

/** Applies the rows of a load. $1: whether it is about all rows. Returns tables with the number of rows that changed. */
export const putLoadSql = "SELECT put.tbl, put.changed FROM synchrotron.put_load($1::boolean) AS put"

/** Puts rows that nothing else names. $1: as rows_of takes them. Returns tables with the number of rows that changed. */
export const putRowsSql = puttingSql("SELECT x.tbl, x.key, x.image FROM synchrotron.rows_of($1::jsonb) AS x")

/** Keeps the rows of a chunk. $1: as rows_of takes them. */
export const stageSql = "SELECT synchrotron.stage($1::jsonb)"

/**
 * Moves a load on. $1: its position or null, $2: the audiences that the answer names, as a JSON array, $3: the answer's seq,
 * $4: rows of the chunk, $5: rows in all as far as the answer says so, or null. Returns where it is now.
 */
export const moveLoadSql = `
WITH passed AS (
  INSERT INTO synchrotron.load_cursors (audience, seq)
  SELECT a.audience, CASE WHEN $1::json IS NULL OR a.audience COLLATE "C" < ($1::json ->> 'audience') THEN $3::bigint END
  FROM json_array_elements_text($2::json) AS a(audience)
  ON CONFLICT (audience) DO UPDATE SET seq = excluded.seq WHERE excluded.seq IS NOT NULL
)
INSERT INTO synchrotron.load (position, chunks, rows_done, rows_total) VALUES ($1::json, 1, $4::bigint, coalesce($5::bigint, $4::bigint))
ON CONFLICT (singleton) DO UPDATE SET position = excluded.position, chunks = load.chunks + 1, rows_done = load.rows_done + $4::bigint,
  rows_total = greatest(load.rows_total, load.rows_done + $4::bigint)
RETURNING rows_done, rows_total`

/** Where the client is: its commit, its load if there is one, the audiences of which it has rows, and the cursors of the load. */
export const positionSql = `
SELECT r.seq AS applied, l.singleton IS NOT NULL AS loading, l.position, l.rows_done, l.rows_total,
  (SELECT json_agg(c.audience) FROM synchrotron.cursors AS c) AS held,
  (SELECT json_agg(json_build_array(n.audience, n.seq)) FROM synchrotron.load_cursors AS n) AS loaded
FROM synchrotron.replica AS r LEFT JOIN synchrotron.load AS l ON true`

/** Ends a response that was applied as a whole. $1: its audiences as a JSON array, when they are others than those of which rows were applied. */
export const holdSql = `
WITH held AS MATERIALIZED (SELECT a.audience FROM json_array_elements_text($1::json) AS a(audience)),
lost AS (DELETE FROM synchrotron.cursors AS c WHERE c.audience NOT IN (SELECT held.audience FROM held))
INSERT INTO synchrotron.cursors (audience) SELECT held.audience FROM held ON CONFLICT DO NOTHING`

/** Keeps what a call gave, and forgets what was heard. Parameters: record id, stamp, value, ids that were heard. */
export const keepAnswerSql = `
WITH heard AS (DELETE FROM synchrotron.answers WHERE record_id = ANY ($4::uuid[]))
INSERT INTO synchrotron.answers (record_id, hlc, value) VALUES ($1::uuid, $2, $3)`

export const findAnswerSql = "SELECT hlc, value FROM synchrotron.answers WHERE record_id = $1::uuid"

export const forgetOldAnswersSql = "DELETE FROM synchrotron.answers WHERE kept_at < now() - interval '1 day'"

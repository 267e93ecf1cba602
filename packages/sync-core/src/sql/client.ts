/** What only a client's database has: its identity, its records, and the confirmed records that its pending ones cross. */

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

CREATE TABLE IF NOT EXISTS synchrotron.cursors (
  audience text COLLATE "C" PRIMARY KEY,
  seq bigint NOT NULL
);

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

-- Canonical patches of the confirmed records that the pending ones cross, in order, as this user sees them.
CREATE TABLE IF NOT EXISTS synchrotron.later_patches (
  n bigint PRIMARY KEY,
  tbl text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  before jsonb,
  after jsonb
);

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
 * Puts every row where a sync wants it before records are replayed. $1: incoming rows, $2: patches of the new later
 * records, in order. For each key the strongest source wins: before the new later records (the new common ancestor),
 * else the incoming row, else after the old later records (the confirmed state), else before the journal (the old
 * common ancestor). Returns tables with the number of rows that changed. Costs O(keys that the four sources name).
 */
export const settleSql = `
SELECT net.tbl, synchrotron.put_rows(net.tbl, array_agg(net.key), array_agg(net.image)) AS changed
FROM (
  SELECT DISTINCT ON (s.tbl, s.key) s.tbl, s.key, s.image
  FROM (
    SELECT 1 AS strength, x.position AS place, x.tbl, x.key, x.before AS image
    FROM ROWS FROM (jsonb_to_recordset($2::jsonb) AS (tbl text, key text, before jsonb)) WITH ORDINALITY AS x(tbl, key, before, position)
    UNION ALL SELECT 2, 0, x.tbl, x.key, x.image FROM jsonb_to_recordset($1::jsonb) AS x(tbl text, key text, image jsonb)
    UNION ALL SELECT 3, -l.n, l.tbl, l.key, l.after FROM synchrotron.later_patches AS l
    UNION ALL SELECT 4, p.n, p.tbl, p.key, p.before FROM synchrotron.patches AS p
  ) AS s
  ORDER BY s.tbl, s.key, s.strength, s.place
) AS net
GROUP BY net.tbl`

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

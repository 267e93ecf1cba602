/** What only the authority's database has: the canonical records, and which rows changed in which commit. */
import { searchPath, sessionSettingsSql } from "@synchrotron/sync-core"

/** Key of the advisory lock under which the canonical state changes, so that the order of `seq` is that of commits. */
export const realmLock = 7_309_453_021_447_113n

/** SQLSTATE of a statement of a server whose application has another schema than the database. */
export const schemaChanged = "SYN01"

/** The place of a row within its commit: positive, below 2^63, the same for ever. Two rows may share one. */
export const placeSql = (key: string): string =>
  `((pg_catalog.hashtextextended(${key}, 0) & 9223372036854775807) | 1)`

export const authoritySql = `
-- seq: the last commit. clock: the latest stamp of the canonical order. floor: nothing before it is taken back any
-- more. last_n: the last patch of that commit.
CREATE TABLE IF NOT EXISTS synchrotron.realm (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  seq bigint NOT NULL DEFAULT 0,
  clock_ms bigint NOT NULL DEFAULT 0,
  clock_counter integer NOT NULL DEFAULT 0,
  floor_ms bigint NOT NULL DEFAULT 0,
  floor_counter integer NOT NULL DEFAULT 0,
  last_n bigint NOT NULL DEFAULT 0
);
INSERT INTO synchrotron.realm DEFAULT VALUES ON CONFLICT DO NOTHING;
-- Tombstones of commits up to it may be missing. A database of an earlier version lacks the column.
ALTER TABLE synchrotron.realm ADD COLUMN IF NOT EXISTS tombstone_seq bigint NOT NULL DEFAULT 0;

-- Records up to this hlc are compacted. Not in realm, whose row every commit locks.
CREATE TABLE IF NOT EXISTS synchrotron.compacted (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  hlc text COLLATE "C" NOT NULL DEFAULT ''
);
INSERT INTO synchrotron.compacted DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Commits up to seq had happened at at_ms: what compaction knows of the age of tombstones.
CREATE TABLE IF NOT EXISTS synchrotron.commit_times (seq bigint PRIMARY KEY, at_ms bigint NOT NULL);

CREATE TABLE IF NOT EXISTS synchrotron.clients (
  client_id uuid PRIMARY KEY,
  user_id text NOT NULL
);

-- The canonical records in the order of hlc. A voided record stays for its verdict and has no effect. Compaction
-- leaves empty args and claims, which are no JSON.
CREATE TABLE IF NOT EXISTS synchrotron.records (
  id uuid PRIMARY KEY,
  hlc text COLLATE "C" NOT NULL UNIQUE,
  client_id uuid,
  user_id text NOT NULL,
  claims text NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  args text NOT NULL,
  content text NOT NULL,
  status text NOT NULL CHECK (status IN ('applied', 'changed', 'voided')),
  error text,
  seq bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS records_client ON synchrotron.records (client_id, hlc);
CREATE INDEX IF NOT EXISTS records_voided ON synchrotron.records (client_id, seq) WHERE status = 'voided';

-- Records that were refused, for whoever operates the server. Their clients have them too.
CREATE TABLE IF NOT EXISTS synchrotron.dead_letters (
  id uuid PRIMARY KEY,
  hlc text COLLATE "C" NOT NULL,
  client_id uuid NOT NULL,
  user_id text NOT NULL,
  claims text NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  args text NOT NULL,
  content text NOT NULL,
  error text NOT NULL,
  refused_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- For each row and audience that it has or had: the last commit that changed it there, and whether it is gone there.
CREATE TABLE IF NOT EXISTS synchrotron.row_versions (
  tbl text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  audience text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  gone boolean NOT NULL,
  PRIMARY KEY (tbl, key, audience)
);
DROP INDEX IF EXISTS synchrotron.row_versions_feed;
CREATE INDEX IF NOT EXISTS row_versions_order ON synchrotron.row_versions (audience, seq, tbl, key);
-- For whom a commit is news.
CREATE INDEX IF NOT EXISTS row_versions_commits ON synchrotron.row_versions (seq, audience);
-- One table's rows, from a place in the log on; within a commit a row's place is the hash of its key.
CREATE INDEX IF NOT EXISTS row_versions_places ON synchrotron.row_versions (audience, tbl, seq, ${placeSql("key")});
CREATE INDEX IF NOT EXISTS row_versions_gone ON synchrotron.row_versions (seq) WHERE gone;

-- For each audience the last commit that touched it: all that Electric reads. It is kept once a server stands before one.
CREATE TABLE IF NOT EXISTS synchrotron.feed (
  audience text COLLATE "C" PRIMARY KEY,
  seq bigint NOT NULL
);
ALTER TABLE synchrotron.realm ADD COLUMN IF NOT EXISTS keeps_feed boolean NOT NULL DEFAULT false;

-- Patches that the current commit has taken back; empty between commits.
CREATE TABLE IF NOT EXISTS synchrotron.undone (
  n bigint PRIMARY KEY,
  record_id uuid NOT NULL,
  tbl text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  before jsonb,
  after jsonb
);

-- One row for a transaction that writes outside of the engine, so that its end can be noticed.
CREATE TABLE IF NOT EXISTS synchrotron.external_writes (id uuid PRIMARY KEY);

-- Fails when another version of the application has migrated the database: its tables are not those that the caller knows.
CREATE OR REPLACE FUNCTION synchrotron.check_schema(expected text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF expected IS DISTINCT FROM (SELECT i.schema_hash FROM synchrotron.installed AS i) THEN
    RAISE EXCEPTION 'synchrotron: the database was prepared for another version of the application' USING ERRCODE = '${schemaChanged}';
  END IF;
END $$;

-- Changed rows in the order of the protocol's positions, at most rows_max of them. cursors: for each audience the last commit
-- that the reader has, and for one of them also the table and key in the commit at which it stopped. known: whether the
-- reader may have had the row; what is gone matters only then. Costs O(audiences + rows_max) through the index.
CREATE OR REPLACE FUNCTION synchrotron.changes(cursors jsonb, rows_max integer)
RETURNS TABLE (audience text, seq bigint, tbl text, key text, known boolean) LANGUAGE plpgsql STABLE AS $$
DECLARE
  c record;
  rows_left integer := rows_max;
  n integer;
BEGIN
  FOR c IN
    SELECT x.* FROM (
      SELECT r.audience, r.seq + CASE WHEN r.tbl IS NULL THEN 1 ELSE 0 END AS seq, coalesce(r.tbl, '') AS tbl,
        coalesce(r.key, '') AS key, r.seq > 0 AS known
      FROM jsonb_to_recordset(cursors) AS r(audience text, seq bigint, tbl text, key text)
    ) AS x
    WHERE EXISTS (SELECT FROM synchrotron.row_versions AS v WHERE v.audience = x.audience AND v.seq >= x.seq)
    ORDER BY x.audience COLLATE "C"
  LOOP
    RETURN QUERY SELECT v.audience, v.seq, v.tbl, v.key, c.known FROM synchrotron.row_versions AS v
      WHERE v.audience = c.audience AND (v.seq, v.tbl, v.key) > (c.seq, c.tbl, c.key) AND (c.known OR NOT v.gone)
      ORDER BY v.seq, v.tbl, v.key LIMIT rows_left;
    GET DIAGNOSTICS n = ROW_COUNT;
    rows_left := rows_left - n;
    EXIT WHEN rows_left <= 0;
  END LOOP;
END $$;

-- Ends a commit: numbers it, and notes each row whose image is another than before the commit, in the audiences that
-- it had and has. Costs O(keys of the commit's patches). Returns the commit's number.
CREATE OR REPLACE FUNCTION synchrotron.publish(top_ms bigint, top_counter integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  this_seq bigint;
  from_n bigint;
  keeps_feed boolean;
  net record;
  audience_sql text;
  audiences_before text[];
  audiences_after text[];
BEGIN
  SELECT realm.seq + 1, realm.last_n, realm.keeps_feed INTO this_seq, from_n, keeps_feed FROM synchrotron.realm FOR UPDATE;
  FOR net IN
    SELECT k.tbl, array_agg(k.key) AS keys, array_agg(k.before) AS befores, array_agg(k.after) AS afters
    FROM (
      SELECT s.tbl, s.key,
        CASE WHEN bool_or(s.undone) THEN (array_agg(s.after ORDER BY s.n DESC) FILTER (WHERE s.undone))[1]
          ELSE (array_agg(s.before ORDER BY s.n))[1] END AS before,
        CASE WHEN bool_and(s.undone) THEN (array_agg(s.before ORDER BY s.n))[1]
          ELSE (array_agg(s.after ORDER BY s.n DESC) FILTER (WHERE NOT s.undone))[1] END AS after
      FROM (
        SELECT u.tbl, u.key, u.n, true AS undone, u.before, u.after FROM synchrotron.undone AS u
        UNION ALL SELECT p.tbl, p.key, p.n, false, p.before, p.after FROM synchrotron.patches AS p WHERE p.n > from_n
      ) AS s
      GROUP BY s.tbl, s.key
    ) AS k
    WHERE k.before IS DISTINCT FROM k.after
    GROUP BY k.tbl
  LOOP
    SELECT known.audience_sql INTO STRICT audience_sql FROM synchrotron.tables AS known WHERE known.name = net.tbl;
    EXECUTE audience_sql INTO audiences_before USING net.befores;
    EXECUTE audience_sql INTO audiences_after USING net.afters;
    INSERT INTO synchrotron.row_versions (tbl, key, audience, seq, gone)
    SELECT net.tbl, x.key, x.audience, this_seq, x.gone FROM (
      SELECT a.key, a.after AS audience, false AS gone FROM unnest(net.keys, audiences_after) AS a(key, after)
      UNION ALL
      SELECT b.key, b.before, true FROM unnest(net.keys, audiences_before, audiences_after) AS b(key, before, after)
      WHERE b.before IS DISTINCT FROM b.after
    ) AS x WHERE x.audience IS NOT NULL
    ON CONFLICT (tbl, key, audience) DO UPDATE SET seq = excluded.seq, gone = excluded.gone;
  END LOOP;
  IF keeps_feed THEN
    INSERT INTO synchrotron.feed (audience, seq)
    SELECT DISTINCT v.audience, this_seq FROM synchrotron.row_versions AS v WHERE v.seq = this_seq
    ON CONFLICT (audience) DO UPDATE SET seq = excluded.seq;
  END IF;
  DELETE FROM synchrotron.undone;
  UPDATE synchrotron.realm SET seq = this_seq,
    clock_ms = CASE WHEN (top_ms, top_counter) > (clock_ms, clock_counter) THEN top_ms ELSE clock_ms END,
    clock_counter = CASE WHEN (top_ms, top_counter) > (clock_ms, clock_counter) THEN top_counter ELSE clock_counter END,
    last_n = coalesce((SELECT max(n) FROM synchrotron.patches), last_n);
  PERFORM pg_notify('synchrotron_commits', this_seq::text);
  RETURN this_seq;
END $$;

-- A record's insert finds another row under its key. Both were done, and a table has room for one: it fails as an INSERT.
CREATE OR REPLACE FUNCTION synchrotron.key_taken(tbl text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM synchrotron.raise_clash(tbl, c.conname, CASE WHEN c.conexclop IS NULL THEN '23505' ELSE '23P01' END)
  FROM pg_constraint AS c JOIN pg_class AS r ON r.oid = c.conrelid JOIN pg_namespace AS n ON n.oid = r.relnamespace
  WHERE c.contype = 'p' AND n.nspname || '.' || r.relname = tbl;
END $$;

-- Fails when what a record's patches have put or taken breaks a foreign key, which no trigger has checked. Costs one
-- statement for each foreign key of the tables concerned.
CREATE OR REPLACE FUNCTION synchrotron.check_references(record uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  reference record;
  broken boolean;
BEGIN
  FOR reference IN
    SELECT c.conname, c.conrelid::regclass AS child, c.confrelid::regclass AS parent,
      pg_catalog.format('SELECT true FROM (
          SELECT %s FROM synchrotron.patches AS p WHERE p.record_id = $1 AND p.tbl = %L AND p.after IS NOT NULL
          UNION SELECT %s FROM synchrotron.patches AS p WHERE p.record_id = $1 AND p.tbl = %L AND p.before IS NOT NULL
        ) AS x WHERE EXISTS (SELECT FROM %s AS y WHERE %s) AND NOT EXISTS (SELECT FROM %s AS y WHERE %s) LIMIT 1',
        string_agg(format('(p.after ->> %L)::%s AS v%s', a.attname, format_type(a.atttypid, a.atttypmod), k.i), ', '),
        names.child,
        string_agg(format('(p.before ->> %L)::%s AS v%s', b.attname, format_type(b.atttypid, b.atttypmod), k.i), ', '),
        names.parent,
        c.conrelid::regclass, string_agg(format('y.%I = x.v%s', a.attname, k.i), ' AND '),
        c.confrelid::regclass, string_agg(format('y.%I = x.v%s', b.attname, k.i), ' AND ')
      ) AS find
    FROM pg_constraint AS c
    CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(child, parent, i)
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.child
    JOIN pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = k.parent
    CROSS JOIN LATERAL (
      SELECT (SELECT n.nspname || '.' || r.relname FROM pg_class AS r JOIN pg_namespace AS n ON n.oid = r.relnamespace WHERE r.oid = c.conrelid) AS child,
        (SELECT n.nspname || '.' || r.relname FROM pg_class AS r JOIN pg_namespace AS n ON n.oid = r.relnamespace WHERE r.oid = c.confrelid) AS parent
    ) AS names
    WHERE c.contype = 'f' AND EXISTS (
      SELECT FROM synchrotron.patches AS p WHERE p.record_id = record AND p.tbl IN (names.child, names.parent)
    )
    GROUP BY c.oid, c.conname, c.conrelid, c.confrelid, names.child, names.parent
  LOOP
    EXECUTE reference.find INTO broken USING record;
    IF broken THEN
      RAISE EXCEPTION 'rows of % would refer to rows of % that are not there', reference.child, reference.parent
        USING ERRCODE = 'foreign_key_violation', CONSTRAINT = reference.conname;
    END IF;
  END LOOP;
END $$;

-- The record of the transaction that writes without the engine. The first write takes the realm's lock, so that this
-- transaction commits in its turn; the row in external_writes has a deferred trigger, which fires at commit.
CREATE OR REPLACE FUNCTION synchrotron.outside_record(tbl text) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  id text := nullif(current_setting('synchrotron.external', true), '');
BEGIN
  IF id IS NULL THEN
    PERFORM pg_advisory_xact_lock(${realmLock});
    id := pg_catalog.gen_random_uuid()::text;
    PERFORM set_config('synchrotron.external', id, true);
    -- The transaction may have made all constraints immediate; this one has to wait for what will be written.
    SET CONSTRAINTS synchrotron.finish_external DEFERRED;
    INSERT INTO synchrotron.external_writes (id) VALUES (id::uuid);
  END IF;
  RETURN id::uuid;
END $$;

CREATE OR REPLACE FUNCTION synchrotron.outside_record_trigger() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM synchrotron.outside_record(TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME);
  RETURN NULL;
END $$;

-- Makes the external record out of what the transaction wrote: its args are its patches, so that it can be executed again.
CREATE OR REPLACE FUNCTION synchrotron.finish_external() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER${sessionSettingsSql} SET search_path = ${searchPath} AS $$
DECLARE
  realm synchrotron.realm;
  patches text;
  ms bigint;
  counter integer := 0;
  this_seq bigint;
BEGIN
  DELETE FROM synchrotron.external_writes AS w WHERE w.id = NEW.id;
  PERFORM set_config('synchrotron.external', '', true);
  SELECT json_agg(json_build_object('table', p.tbl, 'key', p.key, 'before', p.before, 'after', p.after) ORDER BY p.n)::text
  INTO patches FROM synchrotron.patches AS p WHERE p.record_id = NEW.id;
  IF patches IS NULL THEN RETURN NULL; END IF;
  SELECT * INTO realm FROM synchrotron.realm FOR UPDATE;
  -- A simulation gives the time in synchrotron.now.
  ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
  IF ms <= realm.clock_ms THEN
    ms := realm.clock_ms;
    counter := realm.clock_counter + 1;
    IF counter > 65535 THEN ms := ms + 1; counter := 0; END IF;
  END IF;
  this_seq := synchrotron.publish(ms, counter);
  INSERT INTO synchrotron.records (id, hlc, user_id, claims, name, version, args, content, status, seq)
  VALUES (NEW.id, lpad(to_hex(ms), 12, '0') || '-' || lpad(to_hex(counter), 4, '0') || '-00000000-0000-0000-0000-000000000000',
    session_user, '{}', 'synchrotron.external', 1, patches, '', 'applied', this_seq);
  RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS finish_external ON synchrotron.external_writes;
CREATE CONSTRAINT TRIGGER finish_external AFTER INSERT ON synchrotron.external_writes
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION synchrotron.finish_external();

-- Makes row_versions say what the synced tables hold, as of a commit of its own if it says anything else: what a migration
-- writes is in no record, a table's audience may have become another, and rows may be older than the engine. Costs O(rows).
CREATE OR REPLACE FUNCTION synchrotron.adopt() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  t synchrotron.tables;
  this_seq bigint := (SELECT realm.seq + 1 FROM synchrotron.realm);
  changed bigint;
  n bigint;
BEGIN
  UPDATE synchrotron.row_versions AS v SET seq = this_seq, gone = true
  WHERE NOT v.gone AND v.tbl NOT IN (SELECT known.name FROM synchrotron.tables AS known);
  GET DIAGNOSTICS changed = ROW_COUNT;
  FOR t IN SELECT * FROM synchrotron.tables LOOP
    EXECUTE format('
      WITH present AS MATERIALIZED (%1$s),
      added AS (
        INSERT INTO synchrotron.row_versions (tbl, key, audience, seq, gone)
        SELECT %2$L, p.key, p.audience, $1, false FROM present AS p WHERE p.audience IS NOT NULL AND NOT EXISTS (
          SELECT FROM synchrotron.row_versions AS v WHERE v.tbl = %2$L AND v.key = p.key AND v.audience = p.audience AND NOT v.gone)
        ON CONFLICT (tbl, key, audience) DO UPDATE SET seq = excluded.seq, gone = false
        RETURNING 1
      ),
      removed AS (
        UPDATE synchrotron.row_versions AS v SET seq = $1, gone = true WHERE v.tbl = %2$L AND NOT v.gone AND NOT EXISTS (
          SELECT FROM present AS p WHERE p.key = v.key AND p.audience = v.audience)
        RETURNING 1
      )
      SELECT (SELECT count(*) FROM added) + (SELECT count(*) FROM removed)', t.present_sql, t.name)
    INTO n USING this_seq;
    changed := changed + n;
  END LOOP;
  IF changed > 0 THEN PERFORM synchrotron.publish(0, 0); END IF;
END $$;
`

const tables = [
  "realm",
  "compacted",
  "commit_times",
  "clients",
  "records",
  "dead_letters",
  "row_versions",
  "feed",
  "undone",
  "external_writes",
  "patches",
  "tables",
  "migrations",
  "installed"
]

/** Lets the principals' role use the two schemas and nothing of the engine's in them. */
export const privilegesSql = (role: string): string => `
${tables.map((table) => `ALTER TABLE synchrotron.${table} ENABLE ROW LEVEL SECURITY;`).join("\n")}
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA synchrotron FROM PUBLIC;
GRANT EXECUTE ON FUNCTION synchrotron.user_id() TO PUBLIC;
GRANT USAGE ON SCHEMA synchrotron, synchrotron_det TO ${role};
`

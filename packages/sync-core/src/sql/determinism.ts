/**
 * The schema `synchrotron_det`: functions that shadow nondeterministic ones of `pg_catalog`. It stands after the
 * application's schema and before `pg_catalog` in `search_path`, so unqualified calls and column defaults bind to
 * it. Inside a record each function derives its value from the record; outside any record it is the real one.
 */

/** The path under which migrations and actions run. */
export const searchPath = "public, synchrotron_det, pg_catalog"

/** Functions of `pg_catalog` that a column default must not call directly, because replicas would differ. */
export const shadowed = [
  "now",
  "transaction_timestamp",
  "statement_timestamp",
  "clock_timestamp",
  "timeofday",
  "age",
  "random",
  "random_normal",
  "gen_random_uuid",
  "uuidv4",
  "uuidv7"
] as const

const time = (name: string) => `
CREATE OR REPLACE FUNCTION synchrotron_det.${name}() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
  SELECT coalesce(nullif(current_setting('synchrotron.now', true), '')::timestamptz, pg_catalog.${name}())
$$;`

export const determinismSql = `
CREATE SCHEMA IF NOT EXISTS synchrotron_det;

-- The next 128 bits of the record's sequence in hexadecimal; NULL outside of records, unless a simulation gives a seed.
CREATE OR REPLACE FUNCTION synchrotron_det.draw() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  seed text := coalesce(nullif(current_setting('synchrotron.record', true), ''), nullif(current_setting('synchrotron.seed', true), ''));
  n text;
BEGIN
  IF seed IS NULL THEN RETURN NULL; END IF;
  n := (coalesce(nullif(current_setting('synchrotron.draws', true), ''), '0')::integer + 1)::text;
  PERFORM set_config('synchrotron.draws', n, true);
  RETURN md5(seed || ':' || n);
END $$;

${["now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"].map(time).join("")}

CREATE OR REPLACE FUNCTION synchrotron_det.timeofday() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(synchrotron_det.now(), 'Dy Mon DD HH24:MI:SS.US YYYY TZ')
$$;

CREATE OR REPLACE FUNCTION synchrotron_det.age(timestamptz) RETURNS interval LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.age(synchrotron_det.now()::date::timestamptz, $1)
$$;
CREATE OR REPLACE FUNCTION synchrotron_det.age(timestamp) RETURNS interval LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.age(synchrotron_det.now()::date::timestamp, $1)
$$;

CREATE OR REPLACE FUNCTION synchrotron_det.random() RETURNS double precision LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  bits text := synchrotron_det.draw();
BEGIN
  IF bits IS NULL THEN RETURN pg_catalog.random(); END IF;
  RETURN ('x' || substr(bits, 1, 13))::bit(52)::bigint / 4503599627370496.0::double precision;
END $$;

CREATE OR REPLACE FUNCTION synchrotron_det.random(min integer, max integer) RETURNS integer LANGUAGE sql VOLATILE AS $$
  SELECT min + floor(synchrotron_det.random() * (max::bigint - min + 1))::integer
$$;
CREATE OR REPLACE FUNCTION synchrotron_det.random(min bigint, max bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (min + floor(synchrotron_det.random()::numeric * (max::numeric - min + 1)))::bigint
$$;

-- As the numeric form of Postgres 17: any value of the finer of the two scales, both ends included.
CREATE OR REPLACE FUNCTION synchrotron_det.random(min numeric, max numeric) RETURNS numeric LANGUAGE sql VOLATILE AS $$
  SELECT round(min + floor(synchrotron_det.random()::numeric * ((max - min) * 10::numeric ^ s + 1)) / 10::numeric ^ s, s)
  FROM (SELECT greatest(scale(min), scale(max)) AS s) AS digits
$$;

-- Box and Muller's transform of two uniform draws.
CREATE OR REPLACE FUNCTION synchrotron_det.random_normal(mean double precision DEFAULT 0, stddev double precision DEFAULT 1)
RETURNS double precision LANGUAGE sql VOLATILE AS $$
  SELECT mean + stddev * sqrt(-2 * ln(1 - synchrotron_det.random())) * cos(2 * pi() * synchrotron_det.random())
$$;

CREATE OR REPLACE FUNCTION synchrotron_det.gen_random_uuid() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  bits text := synchrotron_det.draw();
BEGIN
  IF bits IS NULL THEN RETURN pg_catalog.gen_random_uuid(); END IF;
  RETURN (substr(bits, 1, 12) || '4' || substr(bits, 14, 3) || '8' || substr(bits, 18, 15))::uuid;
END $$;

CREATE OR REPLACE FUNCTION synchrotron_det.uuidv4() RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT synchrotron_det.gen_random_uuid()
$$;

-- RFC 9562: 48 bits of milliseconds, then random bits. Written out because Postgres has its own only since 18.
CREATE OR REPLACE FUNCTION synchrotron_det.uuidv7(shift interval) RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT (lpad(to_hex(floor(extract(epoch FROM synchrotron_det.clock_timestamp() + shift) * 1000)::bigint), 12, '0')
    || '7' || substr(bits, 14, 3) || '8' || substr(bits, 18, 15))::uuid
  FROM (SELECT replace(synchrotron_det.gen_random_uuid()::text, '-', '') AS bits) AS drawn
$$;
CREATE OR REPLACE FUNCTION synchrotron_det.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT synchrotron_det.uuidv7(interval '0')
$$;
`

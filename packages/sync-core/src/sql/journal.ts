/**
 * Reading what a client's records did. The journal has the patches of pending records, and of confirmed ones that they cross,
 * in the order in which all of them were executed.
 */
import { puttingSql } from "./put.ts"
import { identifier } from "./text.ts"

/** The last $1 of the records that are kept, in order, each with its number of patches. Costs O(records + journal). */
export const recordsSql = `
SELECT * FROM (
  SELECT r.id, r.hlc, r.name, r.version, r.status, r.error,
    CASE WHEN r.status = 'pending' THEN coalesce(p.patches, 0) ELSE coalesce(json_array_length(r.patches::json), 0) END AS patches
  FROM synchrotron.records AS r
  LEFT JOIN (SELECT record_id, count(*)::integer AS patches FROM synchrotron.patches GROUP BY record_id) AS p ON p.record_id = r.id
  ORDER BY r.hlc DESC LIMIT $1
) AS last ORDER BY last.hlc`

/** How many records are kept. */
export const recordCountSql = "SELECT count(*)::integer AS count FROM synchrotron.records"

/** The records that have patches in the journal, in the order of execution. */
export const journalSql = `
SELECT p.record_id AS id, count(*)::integer AS patches, max(p.n) AS last, max(r.hlc) AS hlc
FROM synchrotron.patches AS p LEFT JOIN synchrotron.records AS r ON r.id = p.record_id
GROUP BY p.record_id ORDER BY min(p.n)`

/** Patches in the journal of the records $1, at most $2 of each, in order, each with how many its record has. */
export const patchesSql = `
SELECT id, "table", key, before, after, total FROM (
  SELECT p.record_id AS id, p.tbl AS "table", p.key, p.before, p.after, p.n,
    row_number() OVER (PARTITION BY p.record_id ORDER BY p.n)::integer AS place,
    count(*) OVER (PARTITION BY p.record_id)::integer AS total
  FROM synchrotron.patches AS p WHERE p.record_id = ANY ($1::uuid[])
) AS x WHERE x.place <= $2 ORDER BY x.n`

/** A record that is kept, whole. */
export const recordSql =
  "SELECT id, hlc, name, version, args, status, error, patches FROM synchrotron.records WHERE id = $1::uuid"

/** Puts the rows as they were before every patch after the place $1. */
export const undoAfterSql = puttingSql(`
  SELECT DISTINCT ON (p.tbl, p.key) p.tbl, p.key, p.before AS image FROM synchrotron.patches AS p
  WHERE p.n > $1::bigint ORDER BY p.tbl, p.key, p.n`)

/** What changed in all after the place $1, at most $2 rows, and of how many: each row's image there and now. */
export const changesAfterSql = `
SELECT net.tbl AS "table", net.key, net.before AS was, net.after AS now, (count(*) OVER ())::integer AS total FROM (
  SELECT p.tbl, p.key, (array_agg(p.before ORDER BY p.n))[1] AS before, (array_agg(p.after ORDER BY p.n DESC))[1] AS after
  FROM synchrotron.patches AS p WHERE p.n > $1::bigint GROUP BY p.tbl, p.key
) AS net WHERE net.before IS DISTINCT FROM net.after ORDER BY net.tbl, net.key LIMIT $2`

/** The synced tables with their columns, keys and names for SQL. */
export const tablesSql = `
SELECT t.name, t.key_columns, n.nspname AS schema_name, c.relname AS table_name, ARRAY(
  SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
) AS columns
FROM synchrotron.tables AS t JOIN pg_class AS c ON c.oid = t.relations[1] JOIN pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY t.name`

export interface TableNames {
  readonly name: string
  readonly schema_name: string
  readonly table_name: string
  readonly key_columns: ReadonlyArray<string>
  readonly columns: ReadonlyArray<string>
}

/** The first $1 rows of a table in the order of its key, with at most $2 characters of each cell. */
export const rowsSql = ({ columns, key_columns, schema_name, table_name }: TableNames): string =>
  `SELECT jsonb_build_array(${key_columns.map((c) => `t.${identifier(c)}::text`).join(", ")})::text AS key,
     ARRAY[${columns.map((c) => `left(t.${identifier(c)}::text, $2)`).join(", ")}] AS cells
   FROM ${identifier(schema_name)}.${identifier(table_name)} AS t ORDER BY ${key_columns.map((c) => `t.${identifier(c)}`).join(", ")} LIMIT $1`
